//! The number of entries that are done: the line below a job's progress bar, and the summary at its end.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// What a job did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Entries of the folder; there was a message for each.
    pub entries: u64,
    /// How many of them could not be read.
    pub failed: u64,
    /// Files that the job ignored.
    pub skipped: u64,
    /// Bytes that were read.
    pub bytes: u64,
}

/// Counts entries from several threads.
pub(super) struct Counter {
    total: u64,
    done: AtomicU64,
    failed: AtomicU64,
    unit: &'static str,
}

impl Counter {
    pub(super) fn new(total: u64, unit: &'static str) -> Self {
        Self {
            total,
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            unit,
        }
    }

    /// Counts one entry, and returns the new line.
    pub(super) fn add(&self, failed: bool) -> String {
        self.failed.fetch_add(failed.into(), Ordering::Relaxed);
        self.done.fetch_add(1, Ordering::Relaxed);
        self.line()
    }

    /// The line: `2 of 5,310 files`.
    pub(super) fn line(&self) -> String {
        let done = grouped(self.done.load(Ordering::Relaxed));
        format!("{done} of {} {}", grouped(self.total), self.unit)
    }

    /// The summary of all entries, of which `skipped` were ignored.
    pub(super) fn summary(&self, skipped: u64, bytes: u64) -> Summary {
        Summary {
            entries: self.total - skipped,
            failed: self.failed.load(Ordering::Relaxed),
            skipped,
            bytes,
        }
    }
}

/// A number with its digits in groups: `5,310`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_of_large_numbers_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 12_345, 1_234_567].map(grouped),
            ["0", "999", "1,000", "12,345", "1,234,567"]
        );
    }

    #[test]
    fn entries_are_counted() {
        let counter = Counter::new(5310, "files");
        counter.add(true);
        assert_eq!(counter.add(false), "2 of 5,310 files");
        assert_eq!(counter.summary(10, 0).entries, 5300);
        assert_eq!(counter.summary(10, 0).failed, 1);
    }
}
