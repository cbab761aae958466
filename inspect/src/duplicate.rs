//! A descriptor of another process, in this one.

use std::os::fd::{OwnedFd, RawFd};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// A duplicate of a descriptor, close-on-exec, to be dropped when the look is over. `None` where
/// pidfd_getfd(2) is denied: it takes the rights of a debugger.
pub(crate) fn duplicate(pid: u32, number: RawFd) -> Option<OwnedFd> {
    let process = Pid::from_raw(pid.try_into().ok()?)?;
    let process = pidfd_open(process, PidfdFlags::empty()).ok()?;
    pidfd_getfd(process, number, PidfdGetfdFlags::empty()).ok()
}
