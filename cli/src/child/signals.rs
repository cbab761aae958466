//! The signals that the command hands on to its program.

use std::os::fd::{AsFd, BorrowedFd};

use legwork::process::Signal;
use legwork::spawn::Group;
use nix::sys::signal::{SigSet, Signal as NixSignal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::failure::{Failure, cannot};

/// Those that ask for an end or mean what the program says, and the one that tells of another size
/// of the terminal.
const HELD: [NixSignal; 7] = [
    NixSignal::SIGINT,
    NixSignal::SIGTERM,
    NixSignal::SIGHUP,
    NixSignal::SIGQUIT,
    NixSignal::SIGUSR1,
    NixSignal::SIGUSR2,
    NixSignal::SIGWINCH,
];

/// Those of job control, which a shell sends to the group that the command shares with its program: the
/// command does not stop before its program does, and hears when that is.
const OF_JOB_CONTROL: [NixSignal; 5] = [
    NixSignal::SIGCHLD,
    NixSignal::SIGCONT,
    NixSignal::SIGTSTP,
    NixSignal::SIGTTIN,
    NixSignal::SIGTTOU,
];

/// A signal that this command has got.
pub(super) struct Arrived {
    pub(super) signal: Signal,
    /// Not by another process: by the terminal.
    pub(super) by_kernel: bool,
    pub(super) sender: u32,
}

/// Signals that are held, to be read from a descriptor.
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Holds them, from before the program is there: none of them is lost. The program starts with an
    /// empty mask.
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

    /// The next one that has arrived.
    pub(super) fn next(&self) -> Option<Arrived> {
        let info = self.0.read_signal().ok()??;
        Some(Arrived {
            signal: Signal::from_raw(info.ssi_signo.cast_signed())?,
            by_kernel: info.ssi_code == libc::SI_KERNEL,
            sender: info.ssi_pid,
        })
    }

    /// Readable when one has arrived.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
