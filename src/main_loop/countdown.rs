//! The time that a child has for something.
//!
//! What keeps the app from running (a debugger, SIGSTOP, a frozen cgroup, the moments around a suspend) often keeps its
//! children as well, and then the alarm finds that the time has passed, though the child has had none of it. So the
//! time is counted in parts, of which each begins when the main loop has seen the end of the one before: whatever stops
//! both takes at most one of them.

use std::time::{Duration, Instant};

/// Into how many parts the time is divided.
const PARTS: u32 = 4;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Countdown {
    part: Duration,
    left: u32,
    at: Instant,
}

impl Countdown {
    /// `None` for a time beyond the end of the clock.
    pub(crate) fn new(time: Duration) -> Option<Self> {
        let part = time / PARTS;
        let now = Instant::now();
        now.checked_add(time)?;
        Some(Countdown {
            part,
            left: PARTS,
            at: now + part,
        })
    }

    /// A point of time that comes, whoever runs.
    pub(crate) fn until(at: Instant) -> Self {
        Countdown {
            part: Duration::ZERO,
            left: 1,
            at,
        }
    }

    /// When it is to be [looked at](Self::is_over) again.
    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    /// Whether the last part is over.
    pub(crate) fn is_over(&mut self, now: Instant) -> bool {
        while self.at <= now && self.left > 1 {
            self.left -= 1;
            self.at = now + self.part;
        }
        self.at <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// How long it takes when the main loop runs every 10 ms, but for a time.
    fn takes(time: Duration, stands_from: Duration, stands_for: Duration) -> Duration {
        let mut countdown = Countdown::new(time).unwrap();
        let start = countdown.at() - time / PARTS;
        let mut passed = Duration::ZERO;
        while !countdown.is_over(start + passed) {
            passed += Duration::from_millis(10);
            if passed == stands_from {
                passed += stands_for;
            }
        }
        passed
    }

    #[test]
    fn what_stops_the_app_takes_a_quarter_of_the_time_at_most() {
        assert_eq!(takes(Duration::ZERO, SECOND, SECOND), Duration::ZERO);
        assert_eq!(takes(2 * SECOND, 9 * SECOND, SECOND), 2 * SECOND);
        for hundredth in 1..200 {
            let from = hundredth * SECOND / 100;
            let ran = takes(2 * SECOND, from, 100 * SECOND) - 100 * SECOND;
            assert!(ran >= 2 * SECOND * 3 / 4, "{from:?}: {ran:?}");
            assert!(ran <= 2 * SECOND, "{from:?}: {ran:?}");
        }
    }

    #[test]
    fn a_point_of_time_comes_whoever_runs() {
        let now = Instant::now();
        let mut deadline = Countdown::until(now + SECOND);
        assert!(!deadline.is_over(now));
        assert!(deadline.is_over(now + SECOND) && deadline.is_over(now + 2 * SECOND));
        assert!(Countdown::new(Duration::MAX).is_none());
    }
}
