//! The line of text under a job's bar: how many of how many.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts entries from several threads and says where the count stands.
pub(super) struct Counter {
    all: u64,
    done: AtomicU64,
    failed: AtomicU64,
    unit: &'static str,
}

impl Counter {
    pub(super) fn new(all: u64, unit: &'static str) -> Self {
        Self {
            all,
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            unit,
        }
    }

    /// Counts one entry and returns the line that says so.
    pub(super) fn one_more(&self, failed: bool) -> String {
        self.failed.fetch_add(failed.into(), Ordering::Relaxed);
        self.done.fetch_add(1, Ordering::Relaxed);
        self.line()
    }

    /// The line as it is now.
    pub(super) fn line(&self) -> String {
        let done = grouped(self.done.load(Ordering::Relaxed));
        format!("{done} of {} {}", grouped(self.all), self.unit)
    }

    pub(super) fn all(&self) -> u64 {
        self.all
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

/// A count as people write it: `5,310`.
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
    fn large_counts_are_grouped() {
        assert_eq!(
            [0, 999, 1000, 12_345, 1_234_567].map(grouped),
            ["0", "999", "1,000", "12,345", "1,234,567"]
        );
    }

    #[test]
    fn the_line_says_how_many_of_how_many() {
        let counter = Counter::new(5310, "files");
        counter.one_more(true);
        assert_eq!(counter.one_more(false), "2 of 5,310 files");
        assert_eq!(counter.failed(), 1);
    }
}
