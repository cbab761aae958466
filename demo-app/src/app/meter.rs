//! How fast a job is, and how long it will still take.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Looks back over the last seconds only, so that a slow disk in the middle does not count for ever.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    seen: VecDeque<(Instant, u64)>,
}

const WINDOW: Duration = Duration::from_secs(5);
/// Below this, a rate is a guess.
const ENOUGH: Duration = Duration::from_millis(800);

impl Meter {
    /// Notes that `done` units were done by `now`.
    pub(crate) fn note(&mut self, now: Instant, done: u64) {
        if self.seen.back().is_some_and(|(_, before)| done < *before) {
            self.seen.clear();
        }
        self.seen.push_back((now, done));
        while self.seen.len() > 2 && now.duration_since(self.seen[1].0) > WINDOW {
            self.seen.pop_front();
        }
    }

    /// Units a second.
    pub(crate) fn rate(&self) -> Option<f64> {
        let ((start, before), (end, done)) = (*self.seen.front()?, *self.seen.back()?);
        let time = end.duration_since(start);
        (time >= ENOUGH && done > before).then(|| (done - before) as f64 / time.as_secs_f64())
    }

    /// The time until `total` units are done, at this rate.
    pub(crate) fn remaining(&self, total: u64) -> Option<Duration> {
        let done = self.seen.back()?.1;
        let seconds = total.saturating_sub(done) as f64 / self.rate()?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let mut meter = Meter::default();
        for second in 0..20 {
            let done = if second < 10 {
                second
            } else {
                10 + (second - 10) * 100
            };
            meter.note(start + Duration::from_secs(second), done);
        }
        assert_eq!(meter.rate(), Some(100.0));
        assert_eq!(meter.remaining(1_110), Some(Duration::from_secs(2)));
    }

    #[test]
    fn at_the_start_nothing_is_guessed() {
        let start = Instant::now();
        let mut meter = Meter::default();
        assert_eq!(meter.rate(), None);
        meter.note(start, 0);
        meter.note(start + Duration::from_millis(100), 50);
        assert_eq!((meter.rate(), meter.remaining(100)), (None, None));
    }

    #[test]
    fn counting_anew_starts_anew() {
        let start = Instant::now();
        let mut meter = Meter::default();
        meter.note(start, 500);
        meter.note(start + Duration::from_secs(1), 0);
        assert_eq!(meter.rate(), None);
    }
}
