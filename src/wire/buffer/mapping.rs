//! Mappings, and the unsafe calls that make and use them.
//!
//! Sealed memory is mapped `MAP_PRIVATE`, which shares its pages all the same as long as nobody
//! writes: before Linux 6.7 a write-sealed file cannot be mapped `MAP_SHARED`, not even to be read.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::{NonNull, null_mut};

use rustix::fs::{FallocateFlags, fallocate, ftruncate};
use rustix::io::retry_on_intr;
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap, munmap};

use super::memory::{self, Sealed};
use crate::process::own;
use crate::wire::file_size;

/// How much one call maps or unmaps. While it runs (a millisecond or two), no other thread can map or unmap anything.
const STEP: usize = 8 << 20;

/// A mapping that this value owns: nothing else unmaps it or maps over it.
struct Pages {
    start: NonNull<u8>,
    len: usize,
    /// The only process that it is mapped in, if a fork leaves it out: a copy may have something else there.
    only_in: Option<u32>,
}

// SAFETY: it is a range of addresses, the same one on every thread, with no tie to the one that
// mapped it. What may be done with the bytes there is for the types below to say.
unsafe impl Send for Pages {}
// SAFETY: as above; nothing can be changed by way of a shared reference.
unsafe impl Sync for Pages {}

impl Pages {
    fn map(memory: &impl AsFd, len: usize, access: ProtFlags, flags: MapFlags) -> io::Result<Self> {
        if len == 0 {
            return Ok(Self {
                start: NonNull::dangling(),
                len,
                only_in: None,
            });
        }
        // SAFETY: the kernel chooses the place, so no other mapping is touched.
        let start = unsafe { mmap(null_mut(), len, access, flags, memory, 0) }?;
        let start = NonNull::new(start.cast()).expect("without MAP_FIXED nothing is mapped at 0");
        Ok(Self {
            start,
            len,
            only_in: None,
        })
    }

    /// Unmaps the last `len` bytes.
    fn cut(&mut self, len: usize) {
        self.len -= len;
        // SAFETY: still inside of the mapping, or at its end.
        let end = unsafe { self.start.add(self.len) };
        // SAFETY: the range is this value's own, and `&mut` says that nobody borrows from it.
        // It cannot fail: no mapping is split by it.
        let _ = unsafe { munmap(end.as_ptr().cast::<c_void>(), len) };
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if self.len > 0 && self.only_in.is_none_or(|process| process == own::id()) {
            self.cut(self.len);
        }
    }
}

/// Sealed memory, mapped for reading. The thread that drops it unmaps it.
pub(super) struct Mapping(Pages);

impl Mapping {
    pub(super) fn of_sealed(memory: &Sealed) -> io::Result<Self> {
        Pages::map(
            &memory.descriptor(),
            memory.len(),
            ProtFlags::READ,
            MapFlags::PRIVATE,
        )
        .map(Self)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes are mapped here to be read, for as long as `self` lives. `Sealed`
        // says that the file keeps its length, has all of its pages and never changes; a private
        // mapping without write access does not change either. `Sealed` has a length of `isize`.
        unsafe { std::slice::from_raw_parts(self.0.start.as_ptr(), self.0.len) }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len
    }

    /// Unmaps it in steps, so that other threads can map between them.
    pub(super) fn unmap_in_steps(mut self) {
        while self.0.len > STEP {
            // From the end, where a step leaves one mapping. The first is shorter: page sizes
            // divide STEP, so all that follow begin on a page.
            let step = match self.0.len % STEP {
                0 => STEP,
                rest => rest,
            };
            self.0.cut(step);
        }
    }
}

/// Memory that only this process has, mapped for writing.
pub(super) struct Fill {
    pages: Pages,
    /// Never lent out: its borrower could shorten the file under the mapping.
    memory: OwnedFd,
}

impl Fill {
    /// Allocates `len` bytes, which are 0.
    ///
    /// More than the machine has is refused at once: other processes would be killed while it is being allocated.
    pub(super) fn new(len: usize) -> io::Result<Self> {
        if len as u64 > machine_memory() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        file_size::check(len as u64)?;
        let memory = memory::create()?;
        retry_on_intr(|| ftruncate(&memory, len as u64))?;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let pages = Pages::map(&memory, len, access, MapFlags::SHARED)?;
        let mut fill = Self { pages, memory };
        fill.keep_from_forks();
        for start in (0..len).step_by(STEP) {
            fill.take(start, STEP.min(len - start))?;
        }
        Ok(fill)
    }

    /// Keeps the mapping out of processes that are forked from this one: memory that they have mapped could not be
    /// sealed.
    fn keep_from_forks(&mut self) {
        let Pages { start, len, .. } = self.pages;
        self.pages.only_in = Some(own::id());
        if len > 0 {
            // SAFETY: the whole mapping, whose bytes stay what they are.
            let left_out = unsafe { madvise(start.as_ptr().cast(), len, Advice::LinuxDontFork) };
            if left_out.is_err() {
                self.pages.only_in = None;
            }
        }
    }

    /// Allocates the pages of a part, and then maps them. This takes two thirds of the time that page faults would.
    fn take(&self, start: usize, len: usize) -> io::Result<()> {
        let none = FallocateFlags::empty();
        retry_on_intr(|| fallocate(&self.memory, none, start as u64, len as u64))?;
        assert!(start <= self.pages.len && len <= self.pages.len - start);
        // SAFETY: inside of the mapping, as was just checked.
        let place = unsafe { self.pages.start.add(start) };
        // SAFETY: mapped, and no byte is changed. It may fail (before Linux 5.14 it does): then
        // the pages are mapped one by one as they are written to.
        let _ = unsafe { madvise(place.as_ptr().cast(), len, Advice::LinuxPopulateWrite) };
        Ok(())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: `len` bytes, an `isize`, are mapped here for as long as `self` lives. The file is
        // as long and stays so: its only descriptor is in `self`.
        unsafe { std::slice::from_raw_parts(self.pages.start.as_ptr(), self.pages.len) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and mapped to be written to; `&mut self` says that nobody borrows them.
        unsafe { std::slice::from_raw_parts_mut(self.pages.start.as_ptr(), self.pages.len) }
    }

    /// Unmaps it, as memory that is mapped for writing cannot be sealed.
    pub(super) fn into_memory(self) -> OwnedFd {
        self.memory
    }
}

/// The size of the machine's memory and swap space, in bytes; at most `isize::MAX`.
fn machine_memory() -> u64 {
    let info = rustix::system::sysinfo();
    let units = info.totalram.saturating_add(info.totalswap) as u64;
    units
        .saturating_mul(info.mem_unit.into())
        .min(isize::MAX as u64)
}
