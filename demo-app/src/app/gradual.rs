//! A list model that a view meets a few rows at a time.
//!
//! A view makes some two hundred rows before its first frame, more than anybody sees. Made at once they hold up the
//! window for as long as half a second; made a few at a time, frames and clicks get through.

use gtk::{gio, glib, glib::clone, prelude::*};

/// Rows more at each step: a screenful.
const STEP: u32 = 24;
/// As many rows as a view ever makes; from there on, more cost nothing.
const ALL: u32 = 256;

/// The whole of `model`, beginning with a few.
pub(crate) fn gradually(model: &impl IsA<gio::ListModel>) -> gtk::SliceListModel {
    let slice = gtk::SliceListModel::new(Some(model.clone()), 0, STEP);
    // Below the priority of drawing.
    glib::idle_add_local(clone!(
        #[weak]
        slice,
        #[upgrade_or]
        glib::ControlFlow::Break,
        move || {
            let more = slice.size() + STEP;
            slice.set_size(if more < ALL { more } else { u32::MAX });
            if more < ALL {
                glib::ControlFlow::Continue
            } else {
                glib::ControlFlow::Break
            }
        }
    ));
    slice
}
