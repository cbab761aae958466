//! The id of this process, without a system call.
//!
//! Other code may fork the app. The copy has copies of all our sockets and children, and must not
//! touch them, so everything that owns one compares the id before it acts. A start does so eight
//! times.

#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
use rustix::param::page_size;

/// A word that is 0 in a forked copy: the kernel clears its page in every fork (madvise(2),
/// `MADV_WIPEONFORK`, Linux 4.14), even one that calls no handler of pthread_atfork(3).
struct Known(NonNull<AtomicU32>);

// SAFETY: an atomic in memory that is never unmapped.
unsafe impl Send for Known {}
// SAFETY: as above.
unsafe impl Sync for Known {}

static KNOWN: OnceLock<Option<Known>> = OnceLock::new();

/// The id of the calling process.
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
    /// `None` without memory for it, or if the kernel does not know the advice.
    fn new() -> Option<Self> {
        let size = page_size();
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let page = unsafe { mmap_anonymous(ptr::null_mut(), size, access, MapFlags::PRIVATE) };
        let page = page.ok()?;
        // A kernel that accepts any advice follows none, like QEMU's user mode (see BoringSSL's
        // fork_detect.c).
        // SAFETY: nothing else uses the mapping, and the advice does not exist.
        if unsafe { libc::madvise(page, size, -1) } == 0 {
            return None;
        }
        // SAFETY: the advice is for the whole mapping, which nothing else uses.
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
