//! How fast a job is, and how much time remains.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Samples of the last seconds only, so that one slow file does not count for ever.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    samples: VecDeque<(Instant, u64)>,
}

const WINDOW: Duration = Duration::from_secs(5);
/// The shortest time from which a rate is computed.
const MINIMUM: Duration = Duration::from_millis(800);

impl Rate {
    /// Adds a sample: `done` units were done by `now`.
    pub(crate) fn add(&mut self, now: Instant, done: u64) {
        if self
            .samples
            .back()
            .is_some_and(|(_, before)| done < *before)
        {
            self.samples.clear();
        }
        self.samples.push_back((now, done));
        while self.samples.len() > 2 && now.duration_since(self.samples[1].0) > WINDOW {
            self.samples.pop_front();
        }
    }

    /// Units per second.
    pub(crate) fn per_second(&self) -> Option<f64> {
        let ((start, before), (end, done)) = (*self.samples.front()?, *self.samples.back()?);
        let time = end.duration_since(start);
        (time >= MINIMUM && done > before).then(|| (done - before) as f64 / time.as_secs_f64())
    }

    /// The time until `total` units are done, at this rate.
    pub(crate) fn remaining(&self, total: u64) -> Option<Duration> {
        let done = self.samples.back()?.1;
        let seconds = total.saturating_sub(done) as f64 / self.per_second()?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let mut rate = Rate::default();
        for second in 0..20_u64 {
            let done = second.min(10) + second.saturating_sub(10) * 100;
            rate.add(start + Duration::from_secs(second), done);
        }
        assert_eq!(rate.per_second(), Some(100.0));
        assert_eq!(rate.remaining(1_110), Some(Duration::from_secs(2)));
    }

    #[test]
    fn there_is_no_rate_at_the_start() {
        let start = Instant::now();
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(), None);
        rate.add(start, 0);
        rate.add(start + Duration::from_millis(100), 50);
        assert_eq!((rate.per_second(), rate.remaining(100)), (None, None));
    }

    #[test]
    fn a_count_that_starts_again_resets_the_rate() {
        let start = Instant::now();
        let mut rate = Rate::default();
        rate.add(start, 500);
        rate.add(start + Duration::from_secs(1), 0);
        assert_eq!(rate.per_second(), None);
    }
}
