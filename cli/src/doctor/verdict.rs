//! Whether a thread that was watched spins, and around what.

use legwork_inspect::End;

use super::report::Report;
use super::watch::{Ready, Watch};

/// From here on a thread is busy, as a share of one processor, or by wakeups a second.
const BUSY: f64 = 0.5;
const OFTEN: f64 = 1000.0;
/// Where nothing is ready at every look, what is ready more often than not: it is emptied and filled again. A busy loop
/// of GLib's does that to its own wakeup as well, so this is the second choice.
const OFTEN_READY: f64 = 0.5;

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
    let suspects = |from: f64| {
        let ready = watch.ready.iter();
        // Somebody else may fill what is shared as fast as the loop empties it.
        let some = ready.filter(move |ready| ready.share >= from || is_shared(ready));
        some.collect::<Vec<_>>()
    };
    let mut suspects = match suspects(1.0) {
        none if none.is_empty() => suspects(OFTEN_READY),
        some => some,
    };
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
