//! Samples, and the figures that are reported of them.
//!
//! A shared machine is noisy, and noise only ever adds time. So the median is reported, with the 10th and the 90th
//! percentile. Things that are compared are measured in turns, in an order that is shuffled each time, never one after
//! the other.

use serde::{Deserialize, Serialize};

/// The unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// Nanoseconds.
    Nanoseconds,
    /// Bytes.
    Bytes,
    /// A number of things: descriptors, wakeups, iterations.
    Count,
    /// Things per second.
    PerSecond,
}

/// A measured quantity, as it is reported.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Figure {
    /// The name of what was measured.
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) median: f64,
    /// One sample in ten is lower.
    pub(crate) low: f64,
    /// One sample in ten is higher.
    pub(crate) high: f64,
    pub(crate) samples: usize,
}

impl Figure {
    /// A quantity that is counted once, not sampled.
    pub(crate) fn once(name: &str, unit: Unit, value: f64) -> Self {
        Figure {
            name: name.into(),
            unit,
            median: value,
            low: value,
            high: value,
            samples: 1,
        }
    }
}

/// Readings of one quantity.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The value that `share` (0 to 1) of the samples do not exceed; 0 without samples.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let place = (sorted.len().saturating_sub(1) as f64 * share).round() as usize;
        sorted.get(place).copied().unwrap_or(0.0)
    }

    pub(crate) fn figure(&self, name: &str, unit: Unit) -> Figure {
        Figure {
            name: name.into(),
            unit,
            median: self.quantile(0.5),
            low: self.quantile(0.1),
            high: self.quantile(0.9),
            samples: self.0.len(),
        }
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Samples(values.into_iter().collect())
    }
}

/// One reading of something that is compared. If it fails, the row ends.
pub(crate) type Reading<'a> = &'a mut dyn FnMut() -> crate::Result<f64>;

/// Takes `rounds` readings of each, in turns. The first round is a warm-up and is discarded.
///
/// The order changes in each round, so that no reading always follows the same other one and finds what that one left
/// in the caches. The orders are the same in every run.
pub(crate) fn in_turns<const N: usize>(
    rounds: usize,
    readings: [Reading; N],
) -> crate::Result<[Samples; N]> {
    let mut samples = [(); N].map(|()| Samples::default());
    let mut order: [usize; N] = std::array::from_fn(|which| which);
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    for round in 0..=rounds {
        for turn in 1..N {
            order.swap(turn, dice.below(turn + 1));
        }
        for which in order {
            let value = readings[which]()?;
            if round > 0 {
                samples[which].push(value);
            }
        }
    }
    Ok(samples)
}

/// Marsaglia's xorshift: random enough to shuffle with.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as usize % bound
    }
}
