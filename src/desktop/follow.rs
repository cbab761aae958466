//! One child and one surface: the [`Status`] is all that is told, and its last change is the end.

use std::cell::RefCell;
use std::rc::Rc;

use glib::prelude::*;

use crate::child::Control;
use crate::child::observer::Observer;
use crate::model::Status;

/// What a surface has of one child. Dropped when that has ended.
pub(super) trait Shown: 'static {
    /// Something of the status has changed.
    fn changed(&self, _status: &Status) {}

    /// The child has ended, as the status says.
    fn ended(&self, _status: &Status) {}
}

/// An observer that makes one of these for its child.
pub(super) fn observer<S: Shown>(show: impl FnOnce(&Status, &Control) -> S + 'static) -> Observer {
    Box::new(move |status, control| {
        if !status.running() {
            return;
        }
        // Held by the status itself, and so by its job: what has lost its context is dropped with it.
        let shown = RefCell::new(Some(Rc::new(show(status, control))));
        status.connect_notify_local(None, move |status, _| {
            if status.running() {
                let living = shown.borrow().clone();
                if let Some(shown) = living {
                    shown.changed(status);
                }
            } else if let Some(shown) = shown.take() {
                shown.ended(status);
            }
        });
    })
}
