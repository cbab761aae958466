//! Which process this is, without a system call.
//!
//! Whatever shares a socket or a child with the outside asks this before it acts, as somebody may have forked a copy of
//! the app, which has copies of everything and must leave it alone. A start asks eight times.

#![allow(unsafe_code)]

use std::{
    ptr::{self, NonNull},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
};

use rustix::{
    mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous},
    param::page_size,
};

/// A word that is 0 in a new process: the kernel clears its page in every copy that a fork makes (madvise(2),
/// `MADV_WIPEONFORK`, Linux 4.14), also where no handler of pthread_atfork(3) is called.
struct Known(NonNull<AtomicU32>);

// SAFETY: an atomic in memory that is never unmapped.
unsafe impl Send for Known {}
// SAFETY: as above.
unsafe impl Sync for Known {}

static KNOWN: OnceLock<Option<Known>> = OnceLock::new();

/// The process id of whoever asks.
pub(crate) fn id() -> u32 {
    let Some(Known(word)) = KNOWN.get_or_init(Known::new) else {
        return std::process::id();
    };
    // SAFETY: mapped for good, aligned, and any bits are a value.
    let word = unsafe { word.as_ref() };
    match word.load(Relaxed) {
        0 => {
            let id = std::process::id();
            word.store(id, Relaxed);
            id
        }
        id => id,
    }
}

impl Known {
    /// `None` where there is no memory for it, or no such advice is taken.
    fn new() -> Option<Self> {
        let size = page_size();
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let page = unsafe { mmap_anonymous(ptr::null_mut(), size, access, MapFlags::PRIVATE) };
        let page = page.ok()?;
        // Who says yes to any advice heeds none, as QEMU's user mode did (see BoringSSL's fork_detect.c).
        // SAFETY: a mapping that nobody else knows, and advice that is not known either.
        if unsafe { libc::madvise(page, size, -1) } == 0 {
            return None;
        }
        // SAFETY: the advice is about the whole of a mapping that nobody else knows.
        unsafe { madvise(page, size, Advice::LinuxWipeOnFork) }.ok()?;
        NonNull::new(page.cast()).map(Self)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_this_process() {
        assert_eq!([super::id(), super::id()], [std::process::id(); 2]);
    }
}
