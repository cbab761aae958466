//! Duplicates of descriptors of other processes.

use std::os::fd::{OwnedFd, RawFd};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

/// Duplicates a descriptor of another process, close-on-exec. `None` if pidfd_getfd(2) is denied: it needs permission
/// to debug the process.
pub(crate) fn duplicate(pid: u32, number: RawFd) -> Option<OwnedFd> {
    let process = Pid::from_raw(pid.try_into().ok()?)?;
    let process = pidfd_open(process, PidfdFlags::empty()).ok()?;
    pidfd_getfd(process, number, PidfdGetfdFlags::empty()).ok()
}
