//! What happens by itself, and when.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::main_loop::countdown::Countdown;

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

impl Timer {
    /// Whether it is the time that the program, or what it has left, has for something.
    fn is_for_program(self) -> bool {
        use Timer::{Drain, Helper, Stall, StopStep};
        matches!(self, Helper | Stall | StopStep | Drain)
    }
}

/// One alarm for each [`Timer`] that was set.
#[derive(Debug, Default)]
pub(super) struct Timers([Cell<Option<Countdown>>; COUNT]);

impl Timers {
    /// `None` is never, and so is a time beyond the end of the clock.
    pub(super) fn set(&self, timer: Timer, after: Option<Duration>) {
        match timer.is_for_program() {
            true => self.0[timer as usize].set(after.and_then(Countdown::new)),
            false => self.set_at(
                timer,
                after.and_then(|after| Instant::now().checked_add(after)),
            ),
        }
    }

    /// At a point of time.
    pub(super) fn set_at(&self, timer: Timer, at: Option<Instant>) {
        self.0[timer as usize].set(at.map(Countdown::until));
    }

    pub(super) fn is_set(&self, timer: Timer) -> bool {
        self.0[timer as usize].get().is_some()
    }

    /// Whether at least a part of its time has passed since the last look.
    pub(super) fn rings(&self, timer: Timer, now: Instant) -> bool {
        let countdown = self.0[timer as usize].get();
        countdown.is_some_and(|countdown| countdown.at() <= now)
    }

    /// Whether its time has come; a part that has passed is counted.
    pub(super) fn is_due(&self, timer: Timer, now: Instant) -> bool {
        let mut countdown = self.0[timer as usize].get();
        let is_due = countdown.as_mut().is_some_and(|left| left.is_over(now));
        self.0[timer as usize].set(countdown);
        is_due
    }

    pub(super) fn clear(&self) {
        self.0.iter().for_each(|at| at.set(None));
    }

    /// When the first is to be looked at.
    pub(super) fn first(&self) -> Option<Instant> {
        let set = self.0.iter().filter_map(Cell::get);
        set.map(|countdown| countdown.at()).min()
    }
}
