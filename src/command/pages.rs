//! The pages of large memory that is filled or read from front to end, many in one call.
//!
//! Memory comes page by page, each by a fault when it is first written to, and that takes longer than copying what goes
//! there. Ahead of who fills it, pages are taken some sixty at a time. Behind who has read it they are given back as it
//! goes on: what is read and what is written beside it are never both in memory as a whole, the next pages are ones that
//! are still in the processor's cache, and at the end there is not all to be given back at once, which would be some
//! 20 ms of the main loop for 256 MiB. See madvise(2). What the kernel refuses comes and goes as ever.

#![allow(unsafe_code)]

use std::ops::Range;

use rustix::mm::{Advice, madvise};
use rustix::param::page_size;

/// How much is taken or given back at a time (256 KiB).
const STEP: usize = 256 * 1024;
/// From how much on that is worth its calls (1 MiB).
const LARGE: usize = 1024 * 1024;

/// Takes pages ahead of who fills a `Vec`.
#[derive(Default)]
pub(super) struct Ahead {
    /// Up to here they are there.
    taken: usize,
}

impl Ahead {
    /// Has the pages there for the next bytes. To be called again as it grows.
    pub(super) fn take(&mut self, bytes: &mut Vec<u8>) {
        let filled = bytes.len();
        if filled < LARGE || self.taken >= filled + STEP {
            return;
        }
        let from = self.taken.max(filled);
        let spare = bytes.spare_capacity_mut();
        let end = spare.len().min(2 * STEP);
        let Some(next) = spare.get_mut(from - filled..end) else {
            return;
        };
        let whole = whole_pages(next.as_ptr().addr(), next.len());
        let pages = &mut next[whole.clone()];
        if !pages.is_empty() {
            // SAFETY: whole pages of memory that is borrowed for it, and no byte is changed. It may
            // fail (before Linux 5.14 it does): then they come one by one.
            let _ = unsafe { madvise(pages.as_mut_ptr().cast(), pages.len(), TAKE) };
            self.taken = from + whole.end;
        }
    }
}

/// Gives pages back behind who reads.
#[derive(Default)]
pub(super) struct Behind {
    /// Up to here they are gone.
    given: usize,
}

impl Behind {
    /// Nobody will look at these bytes again: what they are after this is not said. To be called again with more of the
    /// same.
    pub(super) fn give_back(&mut self, bytes: &mut [u8]) {
        if bytes.len() < LARGE || bytes.len() - self.given < STEP {
            return;
        }
        let rest = &mut bytes[self.given..];
        let whole = whole_pages(rest.as_ptr().addr(), rest.len());
        let pages = &mut rest[whole.clone()];
        // SAFETY: whole pages of memory that is borrowed to be changed. Afterwards they are still mapped, and are read as
        // zeroes, or as what lies behind them if an allocator has mapped a file: each byte is a value.
        let _ = unsafe { madvise(pages.as_mut_ptr().cast(), pages.len(), GIVE_BACK) };
        self.given += whole.end;
    }
}

const TAKE: Advice = Advice::LinuxPopulateWrite;
const GIVE_BACK: Advice = Advice::LinuxDontNeed;

/// Which part of so much memory, from that address on, is whole pages; as offsets in it.
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

    /// Larger than what an allocator keeps for the next who asks: new memory, from the kernel.
    const SIZE: usize = 64 << 20;

    /// Whether the page has memory, see proc_pid_pagemap(5).
    fn is_there(byte: *const u8) -> bool {
        let mut entry = [0; 8];
        let at = byte.addr() / page_size() * entry.len();
        let map = File::open("/proc/self/pagemap").unwrap();
        map.read_exact_at(&mut entry, at as u64).unwrap();
        u64::from_ne_bytes(entry) >> 63 == 1
    }

    #[test]
    fn pages_are_taken_ahead_once_it_is_large_and_no_byte_is_changed() {
        let mut bytes: Vec<u8> = Vec::with_capacity(SIZE);
        let mut ahead = Ahead::default();
        let behind_the_next = |bytes: &Vec<u8>| bytes.as_ptr().wrapping_add(SIZE / 2);
        ahead.take(&mut bytes);
        assert!(!is_there(bytes.as_ptr().wrapping_add(STEP)));
        bytes.resize(LARGE, 1);
        for _ in 0..8 {
            ahead.take(&mut bytes);
            // To the last page that the next bytes touch.
            assert!(is_there(
                bytes.as_ptr().wrapping_add(bytes.len() + STEP - 1)
            ));
            assert!(!is_there(behind_the_next(&bytes)));
            bytes.resize(bytes.len() + STEP / 2, 1);
        }
        assert!(bytes.iter().all(|byte| *byte == 1));
        // And up to the end of its room.
        bytes.resize(bytes.capacity(), 1);
        ahead.take(&mut bytes);
        assert_eq!(bytes.capacity(), SIZE);
    }

    #[test]
    fn pages_are_given_back_up_to_what_was_read_and_not_a_byte_further() {
        let mut bytes = vec![1; SIZE];
        let mut behind = Behind::default();
        behind.give_back(&mut bytes[..LARGE - 1]);
        assert!(bytes.iter().all(|byte| *byte == 1));
        // By steps that end in the middle of a page.
        for read in (LARGE + 1..SIZE / 2).step_by(STEP + 1) {
            behind.give_back(&mut bytes[..read]);
            assert!(
                bytes[read..read + page_size()]
                    .iter()
                    .all(|byte| *byte == 1)
            );
            let middle = &bytes[page_size()..read - STEP / 2];
            assert!(!is_there(middle.as_ptr()));
            assert!(!is_there(middle.as_ptr_range().end));
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
