//! The shared page: a few words of memory that the app and one worker both map.
//!
//! What stands here needs no frame: the count of messages that the app has taken, which is the
//! worker's leave to send more. The worker makes the page, as the app's thread has better things to
//! do at a start, and hands it over with its handshake. The app maps it only when it is sealed
//! against shrinking, so that a hostile worker can write nonsense into it but cannot take it away:
//! the app believes nothing it reads here, it only uses `waiting` as a hint for whom to wake.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering::*};

use rustix::fs::{
    MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, fstatfs, ftruncate,
    memfd_create,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::thread::futex;

const SIZE: usize = 4096;

/// Without these it is not mapped.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

#[repr(C)]
struct Words {
    /// How many messages the app has taken, modulo 2^32.
    taken: AtomicU32,
    /// Moves on whenever `taken` has changed, or the job was asked to stop: what the worker waits on.
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
    /// A new page, and the descriptor by which the app maps it too.
    pub(crate) fn create() -> io::Result<(Page, OwnedFd)> {
        let memory = memfd_create(
            "legwork-page",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        ftruncate(&memory, SIZE as u64)?;
        fcntl_add_seals(&memory, SEALS | SealFlags::SEAL)?;
        Ok((Page::map(&memory)?, memory))
    }

    /// Maps a page that came from a worker, which may be hostile: what is not known to stay is not
    /// mapped, and huge pages may be missing when they are touched.
    #[cfg_attr(not(feature = "app"), allow(dead_code))]
    pub(crate) fn adopt(memory: impl AsFd) -> Result<Page, &'static str> {
        let seals = fcntl_get_seals(&memory).map_err(|_| "is no memory that can be sealed")?;
        if !seals.contains(SEALS) {
            return Err("is not sealed");
        }
        if !fstatfs(&memory).is_ok_and(|about| about.f_type == libc::TMPFS_MAGIC) {
            return Err("is made of huge pages");
        }
        if !fstat(&memory).is_ok_and(|about| about.st_size as u64 == SIZE as u64) {
            return Err("has another size");
        }
        Page::map(memory).map_err(|_| "cannot be mapped")
    }

    fn map(memory: impl AsFd) -> io::Result<Page> {
        // SAFETY: a fresh shared mapping at an address of the kernel's choice, of memory that has
        // this size and is sealed against shrinking.
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

    /// The app took a message: `taken` is its own count, modulo 2^32.
    pub(crate) fn set_taken(&self, taken: u32) {
        self.words().taken.store(taken, SeqCst);
        self.turn_on();
    }

    pub(crate) fn taken(&self) -> u32 {
        self.words().taken.load(Acquire)
    }

    /// To be read before what is hoped for is looked at, and handed to [`wait`](Self::wait) when it
    /// has not come yet.
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

    /// Wakes who [waits](Self::wait).
    pub(crate) fn turn_on(&self) {
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
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::*;

    #[test]
    fn both_mappings_see_the_same_words() {
        let (theirs, memory) = Page::create().unwrap();
        let ours = Page::adopt(&memory).unwrap();
        ours.set_taken(7);
        assert_eq!(theirs.taken(), 7);
    }

    #[test]
    fn a_page_cannot_be_taken_away_from_under_the_app() {
        let (_theirs, memory) = Page::create().unwrap();
        assert!(ftruncate(&memory, 0).is_err());
    }

    #[test]
    fn a_page_that_could_be_taken_away_is_refused() {
        let sealed = |length: usize, seals: SealFlags| {
            let memory = memfd_create("lie", MemfdFlags::ALLOW_SEALING).unwrap();
            ftruncate(&memory, length as u64).unwrap();
            fcntl_add_seals(&memory, seals).unwrap();
            memory
        };
        let refused = |memory: OwnedFd| Page::adopt(memory).err();
        assert_eq!(refused(sealed(SIZE, SEALS)), None);
        let too_few = [SealFlags::empty(), SealFlags::SHRINK, SealFlags::GROW];
        for seals in too_few {
            assert_eq!(refused(sealed(SIZE, seals)), Some("is not sealed"));
        }
        for length in [0, SIZE - 1, SIZE + 1, 2 * SIZE] {
            assert_eq!(refused(sealed(length, SEALS)), Some("has another size"));
        }
        let read_only = SEALS | SealFlags::WRITE;
        assert_eq!(refused(sealed(SIZE, read_only)), Some("cannot be mapped"));
        let (pipe, _) = std::io::pipe().unwrap();
        let why = "is no memory that can be sealed";
        assert_eq!(refused(pipe.into()), Some(why));
    }

    #[test]
    fn a_waiting_thread_is_woken_by_what_was_taken_and_by_its_own_side() {
        let (theirs, memory) = Page::create().unwrap();
        let ours = Page::adopt(&memory).unwrap();
        let stopped = AtomicBool::new(false);
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
                until(&|| stopped.load(SeqCst));
            });
            std::thread::sleep(Duration::from_millis(20));
            ours.set_taken(1);
            std::thread::sleep(Duration::from_millis(20));
            stopped.store(true, SeqCst);
            theirs.turn_on();
            waiter.join().unwrap();
        });
    }
}
