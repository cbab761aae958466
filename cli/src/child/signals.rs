//! The signals that the command passes on to its program.

use std::os::fd::{AsFd, BorrowedFd};

use legwork::process::Signal;
use legwork::spawn::Group;
use nix::sys::signal::{SigSet, Signal as NixSignal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::failure::{Failure, cannot};

/// The signals that ask a process to end or whose meaning the program defines, and the one that reports a new size of
/// the terminal.
const HELD: [NixSignal; 7] = [
    NixSignal::SIGINT,
    NixSignal::SIGTERM,
    NixSignal::SIGHUP,
    NixSignal::SIGQUIT,
    NixSignal::SIGUSR1,
    NixSignal::SIGUSR2,
    NixSignal::SIGWINCH,
];

/// The signals of job control, which a shell sends to the group that the command shares with its program. The command
/// must not stop before its program does, and is notified when the program stops.
const OF_JOB_CONTROL: [NixSignal; 5] = [
    NixSignal::SIGCHLD,
    NixSignal::SIGCONT,
    NixSignal::SIGTSTP,
    NixSignal::SIGTTIN,
    NixSignal::SIGTTOU,
];

/// A signal that this command has received.
pub(super) struct Arrived {
    pub(super) signal: Signal,
    /// Whether the kernel sent it, for the terminal, and not another process.
    pub(super) by_kernel: bool,
    pub(super) sender: u32,
}

/// Blocked signals, which are read from a descriptor.
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Blocks them before the program is started, so that none is lost. The program starts with an empty mask.
    pub(crate) fn hold(group: Group) -> Result<Self, Failure> {
        super::own_signals::hear_of_children();
        let mut held: SigSet = HELD.into_iter().collect();
        if group == Group::Inherit {
            held.extend(OF_JOB_CONTROL);
        }
        held.thread_block()
            .map_err(cannot("signals cannot be held"))?;
        SignalFd::with_flags(&held, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map(Self)
            .map_err(cannot("signals cannot be read"))
    }

    /// Returns the next one that has arrived.
    pub(super) fn next(&self) -> Option<Arrived> {
        let info = self.0.read_signal().ok()??;
        Some(Arrived {
            signal: Signal::from_raw(info.ssi_signo.cast_signed())?,
            by_kernel: info.ssi_code == libc::SI_KERNEL,
            sender: info.ssi_pid,
        })
    }

    /// Returns the descriptor, which is readable when one has arrived.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
