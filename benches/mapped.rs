//! Shared memory that is mapped by hand.
#![allow(unsafe_code)]

use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::ptr;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A mapping of a whole memfd, which only this benchmark has.
pub struct Mapped {
    start: ptr::NonNull<u8>,
    len: usize,
}

impl Mapped {
    /// Maps it with nothing beyond what it takes: pages come one by one, when they are touched.
    pub fn shared(memory: impl AsFd, len: usize, writable: bool) -> io::Result<Self> {
        let (access, kind) = match writable {
            true => (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED),
            // A file that is sealed against writing can be mapped so on every kernel.
            false => (ProtFlags::READ, MapFlags::PRIVATE),
        };
        // SAFETY: a new mapping, where nothing is yet.
        let start = unsafe { mmap(ptr::null_mut(), len, access, kind, memory, 0)? };
        let start = ptr::NonNull::new(start.cast()).expect("a mapping is not at zero");
        Ok(Mapped { start, len })
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: mapped for as long as this lives, and the other process does not write to it any more.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Mapped {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above; only one that is mapped for writing is written to, before anybody else has it.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: mapped above, and borrowed by nobody now.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}
