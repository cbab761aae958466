//! The signals that were ignored when this command was started.
//!
//! Rust's runtime ignores SIGPIPE before `main`, so they have to be read before that.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering};

use legwork::process::Signal;

static IGNORED: AtomicU64 = AtomicU64::new(0);

// SAFETY: the linker gathers pointers to functions there, which the C library calls one after the other before
// `main`; this one uses nothing of Rust's runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    let ignored = (1..=64).filter(|number| {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: room for one action, which is filled on success; nothing is changed.
        let found = unsafe { libc::sigaction(*number, std::ptr::null(), action.as_mut_ptr()) };
        // SAFETY: it was zeroed, of which any field is a value.
        found == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
    });
    let bits = ignored.fold(0_u64, |bits, number| bits | 1 << (number - 1));
    IGNORED.store(bits, Ordering::Relaxed);
}

/// Returns the signals that were ignored when this command was started.
pub(crate) fn ignored() -> impl Iterator<Item = Signal> {
    let bits = IGNORED.load(Ordering::Relaxed);
    (1..=64)
        .filter(move |number| bits & (1 << (number - 1)) != 0)
        .filter_map(Signal::from_raw)
}

/// Restores the default of SIGCHLD. If it is ignored, nobody can wait for a child.
pub(super) fn hear_of_children() {
    // SAFETY: the default action runs no code of this process.
    let _ = unsafe {
        nix::sys::signal::signal(
            nix::sys::signal::Signal::SIGCHLD,
            nix::sys::signal::SigHandler::SigDfl,
        )
    };
}
