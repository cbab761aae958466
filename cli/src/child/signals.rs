//! The signals that the command hands on to its program.

use std::os::fd::{AsFd, BorrowedFd};

use legwork::process::Signal;
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

/// Signals that are held, to be read from a descriptor.
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Holds them, from before the program is there: none of them is lost. The program starts with an
    /// empty mask.
    pub(crate) fn hold() -> Result<Self, Failure> {
        let held: SigSet = HELD.into_iter().collect();
        held.thread_block()
            .map_err(cannot("signals cannot be held"))?;
        SignalFd::with_flags(&held, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map(Self)
            .map_err(cannot("signals cannot be read"))
    }

    /// The next one that has arrived.
    pub(super) fn next(&self) -> Option<Signal> {
        let info = self.0.read_signal().ok()??;
        Signal::from_raw(info.ssi_signo.cast_signed())
    }

    /// Readable when one has arrived.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
