//! A command that stops and ends as its program does, so that a shell sees the program in it.
#![allow(unsafe_code)]

use legwork::process::Signal;
use legwork::spawn::Group;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal as NixSignal, raise, signal};
use rustix::fs::{Mode, OFlags, open};

/// The program's group: with a controlling terminal the one that this command is in, as the shell has
/// made it; else one of the program's own, so that its descendants can be ended with it.
pub(crate) fn group() -> Group {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    match open("/dev/tty", flags, Mode::empty()) {
        Ok(_) => Group::Inherit,
        Err(_) => Group::Lead,
    }
}

/// Stops this process by a signal that has stopped its program, and returns when it goes on.
pub(super) fn stop_by(signal: Signal) {
    take(signal);
}

/// Ends this process by the signal that has ended its program. Returns if that signal ends nobody.
pub(crate) fn end_by(signal: Signal) {
    // The program has left a core file if one was wanted.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    take(signal);
}

/// Has the signal do to this process what it does by default.
fn take(number: Signal) {
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
