//! One child process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use super::cgroup::Cgroup;
use super::exit::{Cause, Exit, Usage, WaitError};
use super::pidfd::{self, To, Wait, check_child_signal};
use super::signal::Signal;
use super::{destroy, own};

/// A child process, identified by its pidfd. [`Plan::spawn`](crate::spawn::Plan::spawn) returns it.
///
/// `Send` and `Sync`: a pidfd belongs to the whole app, so any thread may wait and send signals,
/// even after the thread that started the child has ended.
///
/// Dropping it sends `SIGKILL` to a child that has not been reaped, and to the group that it leads,
/// and reaps it. That takes a few milliseconds at most; a short-lived thread reaps a child that is
/// slow to die. In a forked copy of the app, dropping it does nothing.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    /// Shared with whoever is to end it should nobody else be left to.
    pidfd: Arc<OwnedFd>,
    leads_group: bool,
    /// What it has for itself and all that it starts.
    cgroup: Option<Arc<Cgroup>>,
    end: Option<Result<Exit, WaitError>>,
    /// The process that may wait: the app, and not a forked copy of it.
    parent: u32,
}

impl Process {
    pub(crate) fn new(pid: u32, pidfd: OwnedFd, leads_group: bool) -> Self {
        Self {
            pid,
            pidfd: Arc::new(pidfd),
            leads_group,
            cgroup: None,
            end: None,
            parent: own::id(),
        }
    }

    /// Its process id, for people and logs. Once it is reaped, another process can get the same.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its pidfd, which is readable once it has ended; see pidfd_open(2).
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Its own cgroup, if it has one: who kills it kills all that are in that.
    pub(crate) fn cgroup(&self) -> Option<&Arc<Cgroup>> {
        self.cgroup.as_ref()
    }

    /// Whether the kernel has killed a process in its own cgroup because a limit of memory was reached.
    #[cfg(feature = "app")]
    pub(crate) fn is_out_of_memory(&self) -> bool {
        (self.cgroup.as_ref()).is_some_and(|cgroup| cgroup.is_out_of_memory())
    }

    #[cfg(feature = "desktop")]
    pub(crate) fn set_cgroup(&mut self, cgroup: Arc<Cgroup>) {
        self.cgroup = Some(cgroup);
    }

    pub(crate) fn shared_pidfd(&self) -> &Arc<OwnedFd> {
        &self.pidfd
    }

    /// Whether it leads a process group of its own, so that [`signal_group`](Self::signal_group)
    /// works.
    pub fn leads_group(&self) -> bool {
        self.leads_group
    }

    /// How it ended, or `None` while it runs. Does not block.
    ///
    /// # Errors
    ///
    /// Other code reaped it, or has ignored `SIGCHLD` since the start, and the kernel does not
    /// remember how it ended, as Linux 6.15 and newer do. Later calls return the same.
    pub fn try_wait(&mut self) -> Result<Option<Exit>, WaitError> {
        self.wait_as(Wait::Poll)
    }

    /// Blocks until it has ended. Not for the main thread: a main loop polls
    /// [`pidfd`](Self::pidfd).
    ///
    /// # Errors
    ///
    /// As [`try_wait`](Self::try_wait).
    pub fn wait(&mut self) -> Result<Exit, WaitError> {
        let end = self.wait_as(Wait::Block)?;
        Ok(end.expect("a wait that blocks returns after the end"))
    }

    fn wait_as(&mut self, how: Wait) -> Result<Option<Exit>, WaitError> {
        if let Some(end) = self.end {
            return end.map(Some);
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup.look_for_oom();
        }
        match pidfd::wait(self.pidfd(), how) {
            Ok(None) => Ok(None),
            Ok(Some(exit)) => {
                self.end = Some(Ok(exit));
                Ok(Some(exit))
            }
            Err(Errno::CHILD) if !self.is_parent() => Err(WaitError(Cause::NotTheParent)),
            Err(Errno::CHILD) => {
                if let Some(status) = pidfd::exit_of_reaped(self.pidfd()) {
                    let usage = Usage::default();
                    let exit = Exit { status, usage };
                    self.end = Some(Ok(exit));
                    return Ok(Some(exit));
                }
                let cause = match check_child_signal() {
                    Ok(()) => Cause::ReapedByAnother,
                    Err(_) => Cause::Ignored,
                };
                self.end = Some(Err(WaitError(cause)));
                Err(WaitError(cause))
            }
            Err(errno) => Err(WaitError(Cause::System(errno.raw_os_error()))),
        }
    }

    /// The signal that has stopped it, such as SIGTSTP, or `None` if it is not stopped. Consumes
    /// nothing: it says so for as long as the process is stopped.
    ///
    /// A pidfd does not become readable by a stop.
    pub fn stopped_by(&self) -> Option<Signal> {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::PidFd(self.pidfd()), options).ok()??;
        Signal::from_raw(status.stopping_signal()?)
    }

    /// Sends a signal to this process alone.
    ///
    /// # Errors
    ///
    /// `ESRCH` once it has been reaped; no other process can get the signal. A signal to a process
    /// that has ended and has not been reaped is lost without an error. `EPERM` if it has changed
    /// its user.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd::send(self.pidfd(), signal, To::Process)?)
    }

    /// Sends a signal to every process of the group that this one leads.
    ///
    /// Since Linux 6.9 this works by pidfd, and reaches members that outlive their leader as well.
    /// Older kernels need the number, so that it works only until the leader has been reaped.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it leads no group ([`Group::Inherit`](crate::spawn::Group::Inherit): the group
    /// is the app's own). `ESRCH` if no member is left, or the leader has been reaped and the
    /// kernel is older than 6.9.
    pub fn signal_group(&self, signal: Signal) -> io::Result<()> {
        if !self.leads_group {
            return Err(Errno::INVAL.into());
        }
        match pidfd::send(self.pidfd(), signal, To::Group) {
            Err(Errno::INVAL) => Ok(self.signal_group_by_number(signal)?),
            result => Ok(result?),
        }
    }

    fn signal_group_by_number(&self, signal: Signal) -> Result<(), Errno> {
        // While the leader is unreaped, it keeps its number, and no other group can have that.
        if self.end.is_some() || pidfd::wait(self.pidfd(), Wait::Peek).is_err() {
            return Err(Errno::SRCH);
        }
        pidfd::send_group_by_number(self.pid, signal)
    }

    /// Sends `SIGKILL` to it, and to the group that it leads. It gets a signal of its own in any
    /// case, as a leader may have changed its group.
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub fn kill(&self) -> io::Result<()> {
        if self.leads_group {
            // Fails when the group has no member left.
            let _ = self.signal_group(Signal::KILL);
        }
        if let Some(cgroup) = &self.cgroup {
            // Fails on an old kernel, and once systemd has removed it.
            let _ = cgroup.kill();
        }
        self.signal(Signal::KILL)
    }

    /// Whether this process has started it, and is not a forked copy of the one that has.
    pub(crate) fn is_parent(&self) -> bool {
        self.parent == own::id()
    }
}

impl AsFd for Process {
    /// The pidfd.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.end.is_some() || !self.is_parent() {
            return;
        }
        let _ = self.kill();
        destroy::reap(Arc::clone(&self.pidfd));
    }
}

const _: () = {
    const fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<Process>();
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spawn::{Plan, Program};

    // Newer kernels signal the group by pidfd, so that the public way does not come here.
    #[test]
    fn a_group_is_signalled_by_number_only_until_its_leader_is_reaped() {
        let mut child = Plan::new(Program::name("sleep"))
            .arg("1000")
            .spawn()
            .unwrap();
        child.signal_group_by_number(Signal::TERM).unwrap();
        // Also when it has ended: unreaped, it keeps its number.
        while pidfd::wait(child.pidfd(), Wait::Peek) == Ok(None) {
            std::thread::yield_now();
        }
        assert_eq!(child.signal_group_by_number(Signal::TERM), Ok(()));
        assert_eq!(child.wait().unwrap().status.signal(), Some(Signal::TERM));
        assert_eq!(child.signal_group_by_number(Signal::TERM), Err(Errno::SRCH));
    }

    #[test]
    fn a_group_whose_leader_was_reaped_by_others_is_not_signalled_by_number() {
        let child = Plan::new(Program::name("true")).spawn().unwrap();
        pidfd::wait(child.pidfd(), Wait::Block).unwrap();
        assert_eq!(child.signal_group_by_number(Signal::TERM), Err(Errno::SRCH));
    }
}
