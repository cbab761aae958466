//! Short messages at the bottom of the window that go away by themselves.

use gtk::prelude::*;

/// The window's action that shows a toast; its parameter is the text.
pub(super) const ACTION: &str = "win.toast";

/// Shows `text` in the window that contains `widget`.
///
/// The window is reached by an action and not by its type, so that its parts need not know it.
pub(super) fn toast(widget: &impl IsA<gtk::Widget>, text: &str) {
    // Without the window there is nobody to read it.
    let _ = widget.activate_action(ACTION, Some(&text.to_variant()));
}
