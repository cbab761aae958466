//! Who is woken when.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Instant;

/// The timers that have not rung, in the order in which they will. The number tells two of the same time apart.
#[derive(Default)]
pub(super) struct Timers(BTreeMap<(Instant, u64), Waker>);

impl Timers {
    /// Returns the time of the first.
    pub(super) fn first(&self) -> Option<Instant> {
        self.0.keys().next().map(|(at, _)| *at)
    }

    /// Sets or replaces a timer, and returns what it would have woken, which is to be dropped with nothing locked.
    pub(super) fn set(&mut self, at: Instant, key: u64, waker: Waker) -> Option<Waker> {
        self.0.insert((at, key), waker)
    }

    pub(super) fn remove(&mut self, at: Instant, key: u64) -> Option<Waker> {
        self.0.remove(&(at, key))
    }

    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Waker> {
        let mut due = Vec::new();
        while let Some(first) = self.0.first_entry()
            && first.key().0 <= now
        {
            due.push(first.remove());
        }
        due
    }

    pub(super) fn take_all(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.0).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timers_ring_in_the_order_of_their_times_and_once() {
        let (mut timers, now) = (Timers::default(), Instant::now());
        let at = |milliseconds| now + Duration::from_millis(milliseconds);
        for (time, key) in [(3, 0), (1, 1), (1, 2), (9, 3)] {
            timers.set(at(time), key, Waker::noop().clone());
        }
        assert_eq!(timers.first(), Some(at(1)));
        assert_eq!(timers.take_due(at(0)).len(), 0);
        assert_eq!(timers.take_due(at(3)).len(), 3);
        assert_eq!(timers.take_due(at(3)).len(), 0);
        assert_eq!(timers.first(), Some(at(9)));
        assert!(timers.remove(at(9), 3).is_some());
        assert_eq!(timers.first(), None);
    }
}
