//! The signal mask of a process that no signal may interrupt.

#![allow(unsafe_code)]

use std::ptr;

/// `rt_sigprocmask(SIG_BLOCK, every signal)` for the calling thread; see sigprocmask(2).
///
/// The raw call: the C library reserves 32 and 33 for its threads and removes them from every mask,
/// also from the one that a child starts with. Not for a program that cancels threads or changes
/// its user.
pub(crate) fn block_every_signal() {
    let every = u64::MAX;
    // SAFETY: the kernel reads one set of the given size, and writes nothing.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_BLOCK,
            &raw const every,
            ptr::null_mut::<u64>(),
            size_of_val(&every),
        )
    };
}
