//! What happens by itself, and when.

use std::cell::Cell;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// The exec helper has to have executed the program.
    Helper,
    /// It is looked whether the app's terminal has stopped the program.
    Look,
    /// The program has to have ended.
    Deadline,
    /// The program has to have written something.
    Stall,
    /// The next step of the stop.
    StopStep,
    /// The program has ended, and its outputs are read no longer.
    Drain,
    /// A descriptor that the kernel cannot watch is looked at.
    Poll,
    /// Progress is parsed or shown.
    Progress,
}

const COUNT: usize = Timer::Progress as usize + 1;

/// One alarm for each [`Timer`] that was set.
#[derive(Debug, Default)]
pub(super) struct Timers([Cell<Option<Instant>>; COUNT]);

impl Timers {
    /// `None` is never, and so is a time beyond the end of the clock.
    pub(super) fn set(&self, timer: Timer, after: Option<Duration>) {
        self.set_at(
            timer,
            after.and_then(|after| Instant::now().checked_add(after)),
        );
    }

    pub(super) fn set_at(&self, timer: Timer, at: Option<Instant>) {
        self.0[timer as usize].set(at);
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize].get().is_some()
    }

    pub(super) fn is_due(&self, timer: Timer, now: Instant) -> bool {
        self.0[timer as usize].get().is_some_and(|at| at <= now)
    }

    pub(super) fn clear(&self) {
        self.0.iter().for_each(|at| at.set(None));
    }

    /// When the first is due.
    pub(super) fn first(&self) -> Option<Instant> {
        self.0.iter().filter_map(Cell::get).min()
    }
}
