//! Job control: the command stops and ends as its program does, so that a shell sees no difference.
#![allow(unsafe_code)]

use legwork::process::Signal;
use legwork::spawn::Group;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal as NixSignal, raise, signal};
use rustix::fs::{Mode, OFlags, open};

/// Returns the process group for the program: with a controlling terminal the group of this command, which the shell
/// has created; otherwise a new one, so that its descendants can be killed with it.
pub(crate) fn group() -> Group {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    match open("/dev/tty", flags, Mode::empty()) {
        Ok(_) => Group::Inherit,
        Err(_) => Group::Lead,
    }
}

/// Ends this process by the signal that has ended its program. Returns if the signal does not end a process.
pub(crate) fn end_by(signal: Signal) {
    // The program has already dumped core if that was wanted.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    take(signal);
}

/// Raises a signal with its default action. One that stops this process returns when it is continued.
pub(super) fn take(number: Signal) {
    let Ok(number) = NixSignal::try_from(number.as_raw()) else {
        return;
    };
    let only: SigSet = std::iter::once(number).collect();
    // SAFETY: the default action runs no code of this process, and the program is already there, so
    // that nothing inherits the disposition. Refused for SIGKILL and SIGSTOP, which have no other.
    let _ = unsafe { signal(number, SigHandler::SigDfl) };
    let before = only.thread_swap_mask(SigmaskHow::SIG_UNBLOCK);
    let _ = raise(number);
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
}
