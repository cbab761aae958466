//! The signals that a careless child would not hear, as `/proc/PID/status` shows them.

use std::fs;
use std::io;

use legwork::process::Signal;

use super::subject::{Subject, field};

/// What happens to the signals of a process.
pub(super) struct Signals {
    pub(super) blocked: Vec<Blocked>,
    /// By the whole process. A program that it executes ignores them, too.
    pub(super) ignored: Vec<Signal>,
    /// By a handler, which does not survive an exec.
    pub(super) handled: Vec<Signal>,
}

/// A signal that some threads keep waiting. A child has the mask of the thread that starts it.
pub(super) struct Blocked {
    pub(super) signal: Signal,
    pub(super) by_main_thread: bool,
    /// How many threads block it.
    pub(super) threads: usize,
}

impl Signals {
    pub(super) fn of(subject: &Subject) -> io::Result<Self> {
        let status = fs::read_to_string(subject.file("status"))?;
        let of_main = mask(&status, "SigBlk");
        let masks = subject
            .threads()
            .into_iter()
            .filter_map(|thread| {
                let path = subject.file("task").join(thread.to_string()).join("status");
                Some(mask(&fs::read_to_string(path).ok()?, "SigBlk"))
            })
            .collect::<Vec<_>>();
        let blocked = masks.iter().fold(of_main, |all, mask| all | mask);
        let blocked = in_mask(blocked).map(|signal| Blocked {
            signal,
            by_main_thread: has(of_main, signal),
            threads: masks.iter().filter(|mask| has(**mask, signal)).count(),
        });
        Ok(Self {
            blocked: blocked.collect(),
            ignored: in_mask(mask(&status, "SigIgn")).collect(),
            handled: in_mask(mask(&status, "SigCgt")).collect(),
        })
    }
}

/// Bit 0 is signal 1.
fn mask(status: &str, name: &str) -> u64 {
    let digits = field(status, name).unwrap_or_default();
    u64::from_str_radix(digits, 16).unwrap_or_default()
}

fn has(mask: u64, signal: Signal) -> bool {
    mask >> (signal.as_raw() - 1) & 1 == 1
}

fn in_mask(mask: u64) -> impl Iterator<Item = Signal> {
    (1..=64)
        .filter_map(Signal::from_raw)
        .filter(move |signal| has(mask, *signal))
}
