//! A list model that grows a few rows at a time.
//!
//! A view creates some two hundred rows before its first frame, more than are visible. Created at once, they block the
//! window for as long as half a second; created a few at a time, frames and clicks get through.

use gtk::{gio, glib, glib::clone, prelude::*};

/// The rows of a step: about a screenful.
const STEP: u32 = 24;
/// The rows that a view creates at most; beyond that, rows cost nothing.
const MAXIMUM: u32 = 256;

/// All of `model`, beginning with a few rows.
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
            slice.set_size(if more < MAXIMUM { more } else { u32::MAX });
            if more < MAXIMUM {
                glib::ControlFlow::Continue
            } else {
                glib::ControlFlow::Break
            }
        }
    ));
    slice
}
