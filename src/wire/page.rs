//! The shared page: a few words of memory that the app and one worker both map.
//!
//! What stands here needs no frame: the cancel flag, which a busy job looks at without a system
//! call, and the count of messages that the app has taken, which is the worker's leave to send
//! more. The page is sealed against shrinking before the worker sees it, so that a hostile worker
//! can write nonsense into it but cannot take it away: the app believes nothing it reads here, it
//! only uses `waiting` as a hint for whom to wake.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering::*};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::thread::futex;

const SIZE: usize = 4096;

#[repr(C)]
struct Words {
    /// Not 0: the job is asked to stop.
    cancelled: AtomicU32,
    /// How many messages the app has taken, modulo 2^32.
    taken: AtomicU32,
    /// Moves on whenever one of the two above has changed: what the worker waits on.
    turn: AtomicU32,
    /// How many of the worker's threads wait.
    waiting: AtomicU32,
}

/// A mapping of the page, on either side.
#[derive(Debug)]
pub(crate) struct Page(NonNull<Words>);

// SAFETY: all access goes through atomics in memory that stays mapped as long as the value lives.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// A new page, and the descriptor by which the worker maps it too.
    pub(crate) fn create() -> io::Result<(Page, OwnedFd)> {
        let memory = memfd_create(
            "legwork-page",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        ftruncate(&memory, SIZE as u64)?;
        fcntl_add_seals(
            &memory,
            SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
        )?;
        Ok((Page::map(&memory)?, memory))
    }

    /// Maps a page that came from the app.
    pub(crate) fn map(memory: impl AsFd) -> io::Result<Page> {
        // SAFETY: a fresh shared mapping at an address of the kernel's choice, of memory that is
        // sealed against shrinking by the side that made it.
        let address = unsafe {
            mmap(
                std::ptr::null_mut(),
                SIZE,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                memory,
                0,
            )?
        };
        NonNull::new(address.cast())
            .map(Page)
            .ok_or_else(|| io::Error::other("the page was mapped at address 0"))
    }

    fn words(&self) -> &Words {
        // SAFETY: the mapping is page-aligned, large enough, zeroed by the kernel at first, valid
        // for any bit pattern, and lives as long as `self`.
        unsafe { self.0.as_ref() }
    }

    /// Asks the job to stop, and wakes it where it waits for room.
    pub(crate) fn cancel(&self) {
        self.words().cancelled.store(1, SeqCst);
        self.turn_on();
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.words().cancelled.load(Acquire) != 0
    }

    /// The app took a message: `taken` is its own count, modulo 2^32.
    pub(crate) fn set_taken(&self, taken: u32) {
        self.words().taken.store(taken, SeqCst);
        self.turn_on();
    }

    pub(crate) fn taken(&self) -> u32 {
        self.words().taken.load(Acquire)
    }

    /// To be read before the other words, and handed to [`wait`](Self::wait) when they do not
    /// yet say what is hoped for.
    pub(crate) fn turn(&self) -> u32 {
        self.words().turn.load(SeqCst)
    }

    /// Waits until something has changed since `turn`. May also return for no reason.
    pub(crate) fn wait(&self, turn: u32) {
        let words = self.words();
        words.waiting.fetch_add(1, SeqCst);
        // Woken, already changed or interrupted: the caller looks again.
        let _ = futex::wait(&words.turn, futex::Flags::empty(), turn, None);
        words.waiting.fetch_sub(1, SeqCst);
    }

    fn turn_on(&self) {
        let words = self.words();
        words.turn.fetch_add(1, SeqCst);
        if words.waiting.load(SeqCst) != 0 {
            let _ = futex::wake(&words.turn, futex::Flags::empty(), i32::MAX as u32);
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this size; nobody borrows it any more.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), SIZE) };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn both_mappings_see_the_same_words() {
        let (ours, memory) = Page::create().unwrap();
        let theirs = Page::map(&memory).unwrap();
        assert!(!theirs.is_cancelled());
        ours.set_taken(7);
        ours.cancel();
        assert!(theirs.is_cancelled());
        assert_eq!(theirs.taken(), 7);
    }

    #[test]
    fn a_page_cannot_be_taken_away_from_under_the_app() {
        let (_ours, memory) = Page::create().unwrap();
        assert!(ftruncate(&memory, 0).is_err());
    }

    #[test]
    fn a_waiting_thread_is_woken_by_what_was_taken_and_by_cancel() {
        let (ours, memory) = Page::create().unwrap();
        let theirs = Page::map(&memory).unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let until = |happened: &dyn Fn() -> bool| loop {
                    let turn = theirs.turn();
                    if happened() {
                        break;
                    }
                    theirs.wait(turn);
                };
                until(&|| theirs.taken() == 1);
                until(&|| theirs.is_cancelled());
            });
            std::thread::sleep(Duration::from_millis(20));
            ours.set_taken(1);
            std::thread::sleep(Duration::from_millis(20));
            ours.cancel();
            waiter.join().unwrap();
        });
    }
}
