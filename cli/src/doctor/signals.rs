//! The signals that a careless child would not receive, from `/proc/PID/status`.

use legwork::process::Signal;

use super::proc::AnyStatus;
use super::subject::Subject;

/// What happens to the signals of a process.
pub(super) struct Signals {
    pub(super) blocked: Vec<Blocked>,
    /// Ignored by the whole process, and by a program that it executes.
    pub(super) ignored: Vec<Signal>,
    /// Handled by the process. Handlers do not survive an exec.
    pub(super) handled: Vec<Signal>,
}

/// A signal that some threads block. A child has the mask of the thread that starts it.
pub(super) struct Blocked {
    pub(super) signal: Signal,
    pub(super) by_main_thread: bool,
    /// How many threads block it.
    pub(super) threads: usize,
}

impl Signals {
    pub(super) fn of(subject: &Subject) -> Self {
        let of_main = subject.status.sigblk;
        let masks = subject.threads().filter_map(|thread| {
            let AnyStatus(status) = thread.read("status").ok()?;
            Some(status.sigblk)
        });
        let masks = masks.collect::<Vec<_>>();
        let blocked = masks.iter().fold(of_main, |all, mask| all | mask);
        let blocked = in_mask(blocked).map(|signal| Blocked {
            signal,
            by_main_thread: has(of_main, signal),
            threads: masks.iter().filter(|mask| has(**mask, signal)).count(),
        });
        Self {
            blocked: blocked.collect(),
            ignored: in_mask(subject.status.sigign).collect(),
            handled: in_mask(subject.status.sigcgt).collect(),
        }
    }
}

/// Bit 0 is signal 1.
fn has(mask: u64, signal: Signal) -> bool {
    mask >> (signal.as_raw() - 1) & 1 == 1
}

fn in_mask(mask: u64) -> impl Iterator<Item = Signal> {
    (1..=64)
        .filter_map(Signal::from_raw)
        .filter(move |signal| has(mask, *signal))
}
