//! Advice to the kernel about the pages of large memory that is filled or read from front to end, see madvise(2).
//!
//! New memory comes page by page, each by a fault when it is first written to, and that takes longer than copying the
//! data. [`Populate`] asks for some sixty pages at a time, ahead of the writer. [`Discard`] gives pages back behind the
//! reader: the source and the copy are never both in memory as a whole, the next pages are still in the processor's
//! cache, and nothing is left to be freed in one go at the end, which would take some 20 ms of the main loop for
//! 256 MiB. Where the kernel refuses, pages come and go as usual.

#![allow(unsafe_code)]

use std::ops::Range;

use rustix::mm::{Advice, madvise};
use rustix::param::page_size;

/// How much is populated or discarded at a time (256 KiB).
const STEP: usize = 256 * 1024;
/// The size from which on that is worth the calls (1 MiB).
const LARGE: usize = 1024 * 1024;

/// Populates the spare capacity of a `Vec` that is being filled.
#[derive(Default)]
pub(super) struct Populate {
    /// The end of what is populated.
    end: usize,
}

impl Populate {
    /// Populates the pages of the next bytes. To be called again as the `Vec` grows.
    pub(super) fn ahead(&mut self, bytes: &mut Vec<u8>) {
        let filled = bytes.len();
        if filled < LARGE || self.end >= filled + STEP {
            return;
        }
        let from = self.end.max(filled);
        let spare = bytes.spare_capacity_mut();
        let end = spare.len().min(2 * STEP);
        let Some(next) = spare.get_mut(from - filled..end) else {
            return;
        };
        let whole = whole_pages(next.as_ptr().addr(), next.len());
        let pages = &mut next[whole.clone()];
        if !pages.is_empty() {
            // SAFETY: the range consists of whole pages of memory that is borrowed mutably, and no byte changes. The
            // call may fail, and does before Linux 5.14: then the pages come one by one.
            let _ = unsafe { madvise(pages.as_mut_ptr().cast(), pages.len(), POPULATE) };
            self.end = from + whole.end;
        }
    }
}

/// Discards the front of a buffer that is being read.
#[derive(Default)]
pub(super) struct Discard {
    /// The end of what is discarded.
    end: usize,
}

impl Discard {
    /// Gives back the pages of `bytes`, which nobody will read again: their values are unspecified from now on. To be
    /// called again with a longer part of the same buffer.
    pub(super) fn behind(&mut self, bytes: &mut [u8]) {
        if bytes.len() < LARGE || bytes.len() - self.end < STEP {
            return;
        }
        let rest = &mut bytes[self.end..];
        let whole = whole_pages(rest.as_ptr().addr(), rest.len());
        let pages = &mut rest[whole.clone()];
        // SAFETY: the range consists of whole pages of memory that is borrowed mutably. They stay mapped, and read as
        // zeroes, or as the content of a file if an allocator has mapped one: every byte has a value.
        let _ = unsafe { madvise(pages.as_mut_ptr().cast(), pages.len(), DISCARD) };
        self.end += whole.end;
    }
}

const POPULATE: Advice = Advice::LinuxPopulateWrite;
const DISCARD: Advice = Advice::LinuxDontNeed;

/// The whole pages within `length` bytes from `address`, as offsets.
fn whole_pages(address: usize, length: usize) -> Range<usize> {
    let page = page_size();
    let first = (address.next_multiple_of(page) - address).min(length);
    first..first + (length - first) / page * page
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::*;

    /// Larger than what an allocator keeps for reuse: new memory, from the kernel.
    const SIZE: usize = 64 << 20;

    /// Whether the page is in memory, see proc_pid_pagemap(5).
    fn is_resident(byte: *const u8) -> bool {
        let mut entry = [0; 8];
        let at = byte.addr() / page_size() * entry.len();
        let map = File::open("/proc/self/pagemap").unwrap();
        map.read_exact_at(&mut entry, at as u64).unwrap();
        u64::from_ne_bytes(entry) >> 63 == 1
    }

    /// Whether the kernel knows the advice: since Linux 5.14. It says so of no page at all.
    fn can_populate() -> bool {
        // SAFETY: nothing is advised on.
        unsafe { madvise(std::ptr::null_mut(), 0, POPULATE) }.is_ok()
    }

    #[test]
    fn pages_are_populated_once_the_buffer_is_large_and_no_byte_changes() {
        let mut bytes: Vec<u8> = Vec::with_capacity(SIZE);
        let mut populate = Populate::default();
        let far_ahead = |bytes: &Vec<u8>| bytes.as_ptr().wrapping_add(SIZE / 2);
        populate.ahead(&mut bytes);
        assert!(!is_resident(bytes.as_ptr().wrapping_add(STEP)));
        bytes.resize(LARGE, 1);
        for _ in 0..8 {
            populate.ahead(&mut bytes);
            // Up to the last page that the next bytes touch.
            let last = bytes.as_ptr().wrapping_add(bytes.len() + STEP - 1);
            assert_eq!(is_resident(last), can_populate());
            assert!(!is_resident(far_ahead(&bytes)));
            bytes.resize(bytes.len() + STEP / 2, 1);
        }
        assert!(bytes.iter().all(|byte| *byte == 1));
        // And up to the end of its capacity.
        bytes.resize(bytes.capacity(), 1);
        populate.ahead(&mut bytes);
        assert_eq!(bytes.capacity(), SIZE);
    }

    #[test]
    fn pages_are_discarded_up_to_what_was_read_and_not_a_byte_further() {
        let mut bytes = vec![1; SIZE];
        let mut discard = Discard::default();
        discard.behind(&mut bytes[..LARGE - 1]);
        assert!(bytes.iter().all(|byte| *byte == 1));
        // By steps that end in the middle of a page.
        for read in (LARGE + 1..SIZE / 2).step_by(STEP + 1) {
            discard.behind(&mut bytes[..read]);
            assert!(
                bytes[read..read + page_size()]
                    .iter()
                    .all(|byte| *byte == 1)
            );
            let middle = &bytes[page_size()..read - STEP / 2];
            assert!(!is_resident(middle.as_ptr()));
            assert!(!is_resident(middle.as_ptr_range().end));
        }
        assert!(bytes[SIZE / 2..].iter().all(|byte| *byte == 1));
    }

    #[test]
    fn whole_pages_are_found_wherever_the_memory_begins() {
        let page = page_size();
        assert_eq!(whole_pages(page, 2 * page), 0..2 * page);
        assert_eq!(whole_pages(page + 1, 2 * page), page - 1..2 * page - 1);
        assert_eq!(whole_pages(page - 1, page), 1..1);
        assert_eq!(whole_pages(page + 1, 1), 1..1);
        assert_eq!(whole_pages(page, 0), 0..0);
    }
}
