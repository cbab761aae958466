//! How the process waits for its children, as far as that shows.
//!
//! `SIGCHLD` ignored shows, and so do children that have ended and that nobody waits for, and a thread that waits for
//! *any* child at this instant. What does not show: `SA_NOCLDWAIT`, and a handler or a library that reaps every child
//! when one ends.

use std::fs;
use std::time::Duration;

use legwork::process::Signal;

use super::signals::Signals;
use super::subject::{Subject, file, numbers, stat};

/// Who waits for a child does so within this time after its end.
const PROMPT: Duration = Duration::from_millis(300);

/// What becomes of the children of a process.
pub(super) struct Children {
    pub(super) sigchld: Disposition,
    /// How many there are, ended or not.
    pub(super) count: usize,
    /// Those that have ended and have not been waited for.
    pub(super) zombies: Vec<u32>,
    /// Threads that wait for any child right now.
    pub(super) waiting_for_any: Vec<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    Default,
    Handled,
    Ignored,
}

impl Disposition {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Handled => "handled",
            Self::Ignored => "ignored",
        }
    }
}

impl Children {
    pub(super) fn of(subject: &Subject, signals: &Signals, nap: &dyn Fn(Duration) -> bool) -> Self {
        let is_child = |signal: &Signal| signal.as_raw() == libc::SIGCHLD;
        let sigchld = if signals.ignored.iter().any(is_child) {
            Disposition::Ignored
        } else if signals.handled.iter().any(is_child) {
            Disposition::Handled
        } else {
            Disposition::Default
        };
        let (mut count, mut zombies) = (0, Vec::new());
        for pid in numbers("/proc".as_ref()) {
            let Some(state) = state_of_child(pid, subject.pid) else {
                continue;
            };
            count += 1;
            if state == "Z" {
                zombies.push(pid);
            }
        }
        if !zombies.is_empty() {
            // A parent that is just about to wait for them is given the time.
            nap(PROMPT);
            let is_zombie =
                |pid| state_of_child(pid, subject.pid).is_some_and(|state| state == "Z");
            zombies.retain(|pid| is_zombie(*pid));
        }
        let mut waiting_for_any = subject.threads();
        waiting_for_any.retain(|thread| waits_for_any(subject, *thread));
        Self {
            sigchld,
            count,
            zombies,
            waiting_for_any,
        }
    }
}

/// The state of a process that is a child of another; `None` if it is not.
fn state_of_child(pid: u32, parent: u32) -> Option<String> {
    let mut fields = stat(&file(pid, "stat"))?.into_iter();
    let state = fields.next()?;
    (fields.next()?.parse() == Ok(parent)).then_some(state)
}

/// Whether a thread sleeps in `wait4(-1, …)` or `waitid(P_ALL, …)`; not where the rights of a debugger are missing.
fn waits_for_any(subject: &Subject, thread: u32) -> bool {
    let path = subject
        .file("task")
        .join(thread.to_string())
        .join("syscall");
    let call = fs::read_to_string(path).unwrap_or_default();
    let mut words = call.split_ascii_whitespace();
    let number = words.next().and_then(|number| number.parse().ok());
    let first = words
        .next()
        .and_then(|word| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok());
    match (number, first) {
        // An `int`, in a register of 64 bits.
        (Some(libc::SYS_wait4), Some(who)) => who as i32 == -1,
        (Some(libc::SYS_waitid), Some(what)) => what == u64::from(libc::P_ALL),
        _ => false,
    }
}
