//! How much a thread yields to others: its nice value, its scheduling policy and its I/O priority, together.
#![allow(unsafe_code)]

use serde::{Deserialize, Serialize};

/// Less than usual. Nobody needs a privilege for that, and nobody can go back without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Class {
    /// Somebody waits for it, and does something else meanwhile.
    Utility = 1,
    /// Nobody waits for it.
    Background = 2,
}

/// From the kernel's `include/uapi/linux/ioprio.h`.
const IOPRIO_WHO_PROCESS: libc::c_int = 1;
const IOPRIO_CLASS_SHIFT: libc::c_int = 13;
const BEST_EFFORT: libc::c_int = 2;
const IDLE: libc::c_int = 3;

impl Class {
    /// The class with this number; 0 stands for no class.
    pub(crate) fn from_number(number: u8) -> Option<Class> {
        [Class::Utility, Class::Background]
            .into_iter()
            .find(|class| *class as u8 == number)
    }

    /// Sets it for a thread by its number, 0 for the caller; threads that it starts inherit it. See setpriority(2),
    /// sched_setscheduler(2) and ioprio_set(2). Gives the errno of what has failed.
    pub(crate) fn set(self, thread: u32) -> Result<(), i32> {
        let (nice, policy, io) = match self {
            Class::Utility => (5, libc::SCHED_BATCH, BEST_EFFORT << IOPRIO_CLASS_SHIFT | 6),
            Class::Background => (19, libc::SCHED_IDLE, IDLE << IOPRIO_CLASS_SHIFT),
        };
        // SAFETY: plain numbers.
        let now = unsafe { libc::getpriority(libc::PRIO_PROCESS, thread) };
        // One that yields more keeps to that.
        // SAFETY: plain numbers.
        let set = unsafe { libc::setpriority(libc::PRIO_PROCESS, thread, nice.max(now)) };
        done(set.into())?;
        let parameter = libc::sched_param { sched_priority: 0 };
        // SAFETY: the parameter lives until the call is over.
        let set =
            unsafe { libc::sched_setscheduler(thread.cast_signed(), policy, &raw const parameter) };
        done(set.into())?;
        // SAFETY: plain numbers; the C library has no function for it.
        done(unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, thread, io) })
    }
}

fn done(result: libc::c_long) -> Result<(), i32> {
    match result {
        0 => Ok(()),
        _ => Err(nix::errno::Errno::last_raw()),
    }
}
