//! Writing without SIGPIPE to a program that may have stopped reading.
//!
//! Rust's standard library makes its programs ignore SIGPIPE, and so does GIO from its first socket on. But an app may
//! have reset it, or be written in C: then a program that does not read its input would kill the app. The disposition
//! belongs to the app and is left alone.
//!
//! | how | since |
//! |---|---|
//! | a plain write, where the app ignores the signal | |
//! | `pwritev2` with `RWF_NOSIGNAL` | Linux 6.18 |
//! | a write while the calling thread blocks the signal, which is then consumed; see pthread_sigmask(3) | |

#![allow(unsafe_code)]

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::ptr;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use rustix::io::{Errno, ReadWriteFlags, pwritev2, write};

/// From the kernel's `include/uapi/linux/fs.h`.
const RWF_NOSIGNAL: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x100);

/// Stands for the file's own position; a pipe has no other.
const CURRENT_POSITION: u64 = u64::MAX;

/// `write(fd, bytes)` to a pipe or terminal. When it has no reader any more, the error is `EPIPE`, and no signal comes.
pub(super) fn write_without_sigpipe(fd: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    if is_ignored() {
        return write(fd, bytes);
    }
    match pwritev2(fd, &[IoSlice::new(bytes)], CURRENT_POSITION, RWF_NOSIGNAL) {
        // An older kernel, or a sandbox that does not know the call: a pipe gives none of these errors.
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::PERM) => {
            write_with_blocked_sigpipe(fd, bytes)
        }
        result => result,
    }
}

/// Whether the app ignores SIGPIPE.
fn is_ignored() -> bool {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the call only queries, and the pointer is valid for the answer.
    let result = unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), now.as_mut_ptr()) };
    debug_assert_eq!(
        result, 0,
        "the disposition of a valid signal can be queried"
    );
    // SAFETY: the call has filled it in, or it is still zeroed, which is a valid value.
    let now = unsafe { now.assume_init() };
    now.sa_sigaction == libc::SIG_IGN
}

/// The kernel sends the signal to the thread that writes: blocked there it stays pending, and can be consumed.
fn write_with_blocked_sigpipe(fd: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    let mut sigpipe = SigSet::empty();
    sigpipe.add(Signal::SIGPIPE);
    let Ok(before) = sigpipe.thread_swap_mask(SigmaskHow::SIG_BLOCK) else {
        return Err(Errno::NOSYS);
    };
    let result = write(fd, bytes);
    // If it was blocked before, one that is pending may not be ours.
    if result == Err(Errno::PIPE) && !before.contains(Signal::SIGPIPE) {
        let no_time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the set and the time live until the call returns, and the call does not wait.
        unsafe { libc::sigtimedwait(sigpipe.as_ref(), ptr::null_mut(), &raw const no_time) };
    }
    before
        .thread_set_mask()
        .expect("the mask was valid a moment ago");
    result
}
