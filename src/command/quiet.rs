//! Writing to a program that may have stopped reading, without SIGPIPE.
//!
//! The standard library of Rust has its programs ignore SIGPIPE, and so has GIO from its first socket on. But an app may
//! have set it back, or be a program in C that has neither: then one program that does not read its input would end the
//! app. Its disposition is the app's own, and is not touched.
//!
//! | how | since |
//! |---|---|
//! | a plain write, where the app ignores the signal | |
//! | `pwritev2` with `RWF_NOSIGNAL` | Linux 6.18 |
//! | a write while the calling thread blocks the signal, which is then taken back; see pthread_sigmask(3) | |

#![allow(unsafe_code)]

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::ptr;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use rustix::io::{Errno, ReadWriteFlags, pwritev2, write};

/// From the kernel's `include/uapi/linux/fs.h`.
const RWF_NOSIGNAL: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x100);

/// The offset that stands for the file's own position, which is all that a pipe has.
const HERE: u64 = u64::MAX;

/// `write(fd, bytes)` to a pipe or terminal; where nobody reads any more that is `EPIPE` and nothing else.
pub(super) fn write_quietly(fd: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    if is_ignored() {
        return write(fd, bytes);
    }
    match pwritev2(fd, &[IoSlice::new(bytes)], HERE, RWF_NOSIGNAL) {
        // An older kernel, or a sandbox that knows no such call: a pipe itself answers none of these.
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::PERM) => {
            write_blocking_it(fd, bytes)
        }
        result => result,
    }
}

/// Whether the app ignores SIGPIPE.
fn is_ignored() -> bool {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks only, and the pointer is to room for the answer.
    let result = unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), now.as_mut_ptr()) };
    debug_assert_eq!(result, 0, "the disposition of a valid signal can be asked");
    // SAFETY: filled in, or zeroes, which are a value.
    let now = unsafe { now.assume_init() };
    now.sa_sigaction == libc::SIG_IGN
}

/// The kernel sends the signal to the thread that writes, so it waits there, and can be taken back.
fn write_blocking_it(fd: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    let mut pipe = SigSet::empty();
    pipe.add(Signal::SIGPIPE);
    let Ok(before) = pipe.thread_swap_mask(SigmaskHow::SIG_BLOCK) else {
        return Err(Errno::NOSYS);
    };
    let result = write(fd, bytes);
    // Whoever had it blocked may have one waiting that is not ours.
    if result == Err(Errno::PIPE) && !before.contains(Signal::SIGPIPE) {
        let at_once = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: a set and a time that live until the call returns; it does not wait.
        unsafe { libc::sigtimedwait(pipe.as_ref(), ptr::null_mut(), &raw const at_once) };
    }
    before
        .thread_set_mask()
        .expect("a mask that was a moment ago");
    result
}
