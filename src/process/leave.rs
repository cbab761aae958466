//! Ending this process at once.

#![allow(unsafe_code)]

use rustix::process::{Signal, getpgrp, getpid, kill_process, kill_process_group};

/// Ends this process without the destructors of C and C++ libraries, which would run while its
/// other threads still do; see _exit(2).
pub(crate) fn leave(status: i32) -> ! {
    // SAFETY: the call has no precondition.
    unsafe { libc::_exit(status) }
}

/// Ends this process and, when it leads one, its group.
pub(crate) fn leave_with_group() -> ! {
    let own = getpid();
    if getpgrp() == own {
        let _ = kill_process_group(own, Signal::KILL);
    }
    let _ = kill_process(own, Signal::KILL);
    leave(1)
}
