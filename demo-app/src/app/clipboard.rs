//! Copies text of any length to the clipboard.

use gtk::{gdk, glib, prelude::*};

use super::toast::toast;

/// Copies `text` from `widget`, and shows the message `copied`.
///
/// As bytes and not as a string: GTK converts a string while another app reads it, and on X11 the main loop waits for
/// ever if that is more than fits in one request.
pub(super) fn copy(widget: &impl IsA<gtk::Widget>, text: String, copied: &str) {
    let bytes = glib::Bytes::from_owned(text.into_bytes());
    let content = gdk::ContentProvider::for_bytes("text/plain;charset=utf-8", &bytes);
    match widget.clipboard().set_content(Some(&content)) {
        Ok(()) => toast(widget, copied),
        Err(error) => toast(widget, &format!("This could not be copied: {error}")),
    }
}
