//! Whether a thread that was watched spins, and around what.

use legwork::process::descriptors::End;

use super::report::Report;
use super::watch::{Ready, Watch};

/// From here on a thread is busy, as a share of one processor, or by wakeups a second.
const BUSY: f64 = 0.5;
const OFTEN: f64 = 1000.0;
/// From here on a descriptor counts as ready whenever one looks.
const ALWAYS: f64 = 0.9;

/// What keeps a thread busy, if anything does.
pub(super) enum Verdict<'a> {
    Quiet,
    /// Busy, and no descriptor explains it.
    Busy,
    Spins(Vec<&'a Ready>),
}

pub(super) fn verdict<'a>(report: &Report<'_>, watch: &'a Watch) -> Verdict<'a> {
    if watch.busiest.busy < BUSY && watch.busiest.wakeups < OFTEN {
        return Verdict::Quiet;
    }
    let is_shared = |ready: &Ready| {
        let entries = &report.descriptors;
        let entry = entries
            .iter()
            .find(|entry| entry.info.number == ready.number);
        entry.is_some_and(|entry| {
            let mut holders = entry.holders.iter();
            holders.any(|holder| holder.end == End::Same && holder.pid != report.subject.pid)
        })
    };
    let mut suspects = watch
        .ready
        .iter()
        // Somebody else may fill it as fast as the loop empties it.
        .filter(|ready| ready.share >= ALWAYS || is_shared(ready))
        .collect::<Vec<_>>();
    // Few loops wait for these, and a closed standard input is always ready.
    if suspects.iter().any(|ready| ready.number > 2) {
        suspects.retain(|ready| ready.number > 2);
    }
    if suspects.is_empty() {
        Verdict::Busy
    } else {
        Verdict::Spins(suspects)
    }
}
