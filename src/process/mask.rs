//! The signal mask, of a process that is to hear nothing.

#![allow(unsafe_code)]

use std::ptr;

/// `rt_sigprocmask(SIG_BLOCK, every signal)` for the calling thread; see sigprocmask(2).
///
/// The raw call: the C library keeps 32 and 33 for a program's own threads and takes them out of every mask, also
/// of the one that a child is born with. Not for a program that cancels threads or changes its user.
pub(crate) fn block_every_signal() {
    let every = u64::MAX;
    // SAFETY: the kernel reads one set of the size that is given, and nobody wants the one before.
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
