//! How long outputs are read after the program's end: other processes may hold the pipes open.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::timers::{Timer, Timers};

/// How many times the bound, which counts from the last byte, an output is read at most.
const TOTAL: u32 = 10;

/// See the module.
pub(in crate::command) struct Drain {
    bound: Duration,
    /// Outputs are not read after this.
    end: Cell<Option<Instant>>,
}

impl Drain {
    pub(in crate::command) fn new(bound: Duration) -> Self {
        let end = Cell::new(None);
        Drain { bound, end }
    }

    /// The program has ended.
    pub(super) fn begin(&self, timers: &Timers) {
        let total = self.bound.checked_mul(TOTAL);
        self.end
            .set(total.and_then(|total| Instant::now().checked_add(total)));
        timers.set(Timer::Drain, Some(self.bound));
    }

    /// Another process has written, after the end.
    pub(super) fn renew(&self, timers: &Timers) {
        if timers.is_set(Timer::Drain) {
            let left = (self.end.get()).map(|end| end.saturating_duration_since(Instant::now()));
            let next = left.unwrap_or(Duration::MAX).min(self.bound);
            timers.set(Timer::Drain, Some(next));
        }
    }

    /// Nobody waits any longer.
    pub(super) fn cut(&self, timers: &Timers) {
        self.end.set(Some(Instant::now()));
        timers.set(Timer::Drain, Some(Duration::ZERO));
    }
}
