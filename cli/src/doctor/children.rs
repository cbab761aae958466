//! How the process waits for its children, as far as that is visible.
//!
//! An ignored `SIGCHLD` is visible, and so are children that have ended and that nobody waits for, forked copies, and a
//! thread that waits for *any* child at this moment. `SA_NOCLDWAIT` is not visible, and neither is a handler or a
//! library that reaps every child when one ends.

use std::time::Duration;

use legwork::process::Signal;
use procfs::process::{Stat, Syscall, Task, all_processes};

use super::proc::{is_copy, is_zombie, stat};
use super::signals::Signals;
use super::subject::Subject;

/// How long a parent may take to wait for a child that has ended.
const PROMPT: Duration = Duration::from_millis(300);

/// The children of a process.
pub(super) struct Children {
    pub(super) sigchld: Disposition,
    /// How many there are, ended or not.
    pub(super) count: usize,
    /// Those that have ended and have not been waited for.
    pub(super) zombies: Vec<i32>,
    /// Those that were forked and have never executed a program.
    pub(super) copies: Vec<i32>,
    /// Threads that wait for any child right now.
    pub(super) waiting_for_any: Vec<i32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Disposition {
    Default,
    Handled,
    Ignored,
}

impl Children {
    pub(super) fn of(subject: &Subject, signals: &Signals, nap: &dyn Fn(Duration) -> bool) -> Self {
        let is_child_signal = |signal: &Signal| signal.as_raw() == libc::SIGCHLD;
        let sigchld = if signals.ignored.iter().any(is_child_signal) {
            Disposition::Ignored
        } else if signals.handled.iter().any(is_child_signal) {
            Disposition::Handled
        } else {
            Disposition::Default
        };
        let is_child = |stat: &Stat| stat.ppid.cast_unsigned() == subject.pid;
        let processes = all_processes().into_iter().flatten().flatten();
        let children = processes
            .filter_map(|process| process.stat().ok().filter(is_child))
            .collect::<Vec<_>>();
        let those = |is: fn(&Stat) -> bool| {
            let some = children.iter().filter(|child| is(child));
            some.map(|child| child.pid).collect::<Vec<_>>()
        };
        let (mut zombies, mut copies) = (those(is_zombie), those(is_copy));
        if !zombies.is_empty() || !copies.is_empty() {
            // The parent may be about to wait for one, and a copy may be about to execute a program.
            nap(PROMPT);
            let is_still = |pid: i32, is: fn(&Stat) -> bool| {
                stat(pid).is_some_and(|child| is_child(&child) && is(&child))
            };
            zombies.retain(|pid| is_still(*pid, is_zombie));
            copies.retain(|pid| is_still(*pid, is_copy));
        }
        let waiting_for_any = subject.threads().filter(waits_for_any);
        Self {
            sigchld,
            count: children.len(),
            zombies,
            copies,
            waiting_for_any: waiting_for_any.map(|thread| thread.tid).collect(),
        }
    }
}

/// Returns whether a thread sleeps in `wait4(-1, …)` or `waitid(P_ALL, …)`. Without permission to debug the process, it
/// never seems to.
fn waits_for_any(thread: &Task) -> bool {
    let Ok(Syscall::Blocked {
        syscall_number,
        argument_registers: [first, ..],
        ..
    }) = thread.syscall()
    else {
        return false;
    };
    match syscall_number {
        // An `int`, in a register of 64 bits.
        libc::SYS_wait4 => first as i32 == -1,
        libc::SYS_waitid => first == u64::from(libc::P_ALL),
        _ => false,
    }
}
