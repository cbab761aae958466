//! When it is looked whether the app's terminal has stopped the program, which no event tells.

use std::cell::Cell;
use std::time::Duration;

use super::timers::{Timer, Timers};

/// So long after the start, and then after each other. Later it is looked at whenever another alarm rings.
const TIMES: [Duration; 4] = [
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(4),
    Duration::from_secs(15),
];

/// See the module.
pub(in crate::command) struct Looks {
    wanted: bool,
    taken: Cell<usize>,
}

impl Looks {
    /// `wanted`: it is in the session of the app, and in another group, so that it is stopped if it reads from the app's
    /// terminal.
    pub(in crate::command) fn new(wanted: bool) -> Self {
        let taken = Cell::new(0);
        Looks { wanted, taken }
    }

    pub(super) fn are_wanted(&self) -> bool {
        self.wanted
    }

    /// Sets the time of the next one, if there is one.
    pub(super) fn set_next(&self, timers: &Timers) {
        let look = self.taken.replace(self.taken.get() + 1);
        let next = TIMES.get(look).filter(|_| self.wanted);
        timers.set(Timer::Look, next.copied());
    }
}
