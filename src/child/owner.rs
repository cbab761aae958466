//! What every handle and its future own: the child, which stops when they are dropped.

use std::cell::{Cell, OnceCell};
use std::rc::{Rc, Weak};

use gio::prelude::*;

use super::cancel;
use super::control::{Control, Supervised};
use super::observer::Observers;
use crate::model::Status;

/// The untyped part of every handle and its future. Dropping it stops the child.
pub(crate) struct Owner<S: Supervised + 'static> {
    supervisor: Weak<S>,
    status: Status,
    cancellable: OnceCell<gio::Cancellable>,
    detached: Cell<bool>,
}

impl<S: Supervised + 'static> Owner<S> {
    /// Without a supervisor for what has not started.
    pub(crate) fn new(supervisor: Option<&Rc<S>>, status: Status) -> Self {
        Owner {
            supervisor: supervisor.map(Rc::downgrade).unwrap_or_default(),
            status,
            cancellable: OnceCell::new(),
            detached: Cell::new(false),
        }
    }

    /// The supervisor, while the child lives.
    pub(crate) fn supervisor(&self) -> Option<Rc<S>> {
        self.supervisor.upgrade()
    }

    pub(crate) fn status(&self) -> &Status {
        &self.status
    }

    pub(crate) fn control(&self) -> Control {
        Control::new(self.supervisor.clone())
    }

    /// Made when it is first asked for, and always the same one.
    pub(crate) fn cancellable(&self) -> gio::Cancellable {
        let own = self.cancellable.get_or_init(|| {
            let cancellable = gio::Cancellable::new();
            self.follow(&cancellable);
            cancellable
        });
        own.clone()
    }

    /// Stops the child when `cancellable` is cancelled, on whichever thread.
    pub(crate) fn follow(&self, cancellable: &gio::Cancellable) {
        if let Some(supervisor) = self.supervisor() {
            let (canceller, notice) = (supervisor.seat().canceller(), supervisor.notice());
            let stop = move || {
                // First: when the child ends because it was told, it is known why.
                canceller.cancel();
                if let Some(notice) = &notice {
                    notice();
                }
            };
            let unfollow = cancel::follow(cancellable, stop);
            supervisor.seat().at_end(unfollow);
        }
    }

    /// Tells the observers of the child, if it has started.
    pub(crate) fn tell(&self, observers: Observers) {
        if self.supervisor().is_some() {
            observers.tell(&self.status, &self.control());
        }
    }

    /// Stops the child when `object` is disposed of.
    pub(crate) fn stop_with(&self, object: &impl IsA<glib::Object>) {
        if let Some(supervisor) = self.supervisor() {
            let seat = supervisor.seat();
            seat.at_end(cancel::stop_with(object, seat.canceller()));
        }
    }

    /// Lets the child run without a handle.
    pub(crate) fn detach(&self) {
        self.detached.set(true);
    }
}

impl<S: Supervised + 'static> Drop for Owner<S> {
    fn drop(&mut self) {
        if !self.detached.get()
            && let Some(supervisor) = self.supervisor()
        {
            supervisor.abandon();
        }
    }
}
