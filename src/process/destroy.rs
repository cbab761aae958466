//! Killing and reaping processes that have no owner any more.
//!
//! A process that was sent SIGKILL dies within a millisecond, unless it has gigabytes to free or
//! hangs in a driver. The caller may be the main thread, so it waits for a moment, and leaves a
//! process that is slow to die to a thread in the [background].

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal as RawSignal, WaitOptions, kill_process, waitpid};

use super::background;
use super::pidfd::{self, MOMENT, To, Wait};
use super::signal::Signal;

/// Reaps a process that was sent SIGKILL.
pub(super) fn reap(pidfd: impl AsFd + Send + 'static) {
    let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&MOMENT));
    if !matches!(pidfd::wait(pidfd.as_fd(), Wait::Poll), Ok(None)) {
        return;
    }
    background::run("legwork-reap", move || {
        let _ = pidfd::wait(pidfd.as_fd(), Wait::Block);
    });
}

/// Kills and reaps a process that has a pidfd and whose number is unknown.
pub(crate) fn by_pidfd(pidfd: OwnedFd) {
    let _ = pidfd::send(pidfd.as_fd(), Signal::KILL, To::Process);
    reap(pidfd);
}

/// Kills and reaps a process that was just created and could get no pidfd.
pub(crate) fn by_number(pid: Pid) {
    let _ = kill_process(pid, RawSignal::KILL);
    while let Err(Errno::INTR) = waitpid(Some(pid), WaitOptions::empty()) {}
}
