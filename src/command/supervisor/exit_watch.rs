//! How the program exited, for everybody who asks, also while its pipes are still read.

use std::cell::{Cell, RefCell};
use std::task::{Poll, Waker};

use crate::process::{Exit, WaitError};

/// See the module.
#[derive(Default)]
pub(super) struct ExitWatch {
    end: Cell<Option<Result<Exit, WaitError>>>,
    wakers: RefCell<Vec<Waker>>,
}

impl ExitWatch {
    pub(super) fn get(&self) -> Option<Result<Exit, WaitError>> {
        self.end.get()
    }

    pub(super) fn set(&self, end: Result<Exit, WaitError>) {
        self.end.set(Some(end));
    }

    /// To be called, with nothing borrowed, when the exit is known or never will be.
    pub(super) fn take_wakers(&self) -> Vec<Waker> {
        self.wakers.take()
    }

    /// The exit; `None` when it cannot be known.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<Option<Exit>> {
        if let Some(end) = self.end.get() {
            return Poll::Ready(end.ok());
        }
        // The app's code: with nothing borrowed.
        let waker = waker.clone();
        let mut wakers = self.wakers.borrow_mut();
        if !wakers.iter().any(|other| other.will_wake(&waker)) {
            wakers.push(waker);
        }
        Poll::Pending
    }
}
