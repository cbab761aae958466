//! The shared page: a little memory that the app and one worker both map.
//!
//! What is here needs no frame, and outlives the worker however it dies: which job was asked to
//! stop, how many messages the app has taken, which jobs were begun and ended, and how far the last
//! one came. The worker makes the page, as the app's thread has better things to do at a start, and
//! hands it over with its handshake. The app maps it only when it is sealed against shrinking, so that
//! a hostile worker can write nonsense into it but cannot take it away. The app believes nothing it
//! reads here: `waiting` is a hint for whom to wake, and what it reads of a job is shown as the job's
//! own words.
//!
//! Words are written in place. The text of a job's progress takes more than a word: it has two slots,
//! and `text` says which one is whole. The worker writes into the other, and only then changes `text`;
//! so a worker that is killed while it writes leaves the text before. The app copies, and looks at
//! `text` again; with a writer that never rests it gives up after four times.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*, fence};

use rustix::fs::{
    MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, fstatfs, ftruncate,
    memfd_create,
};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::thread::futex;

use super::frame::JobNumber;
use super::limits::PROGRESS_MAX;

const SIZE: usize = 4096;

/// Without these it is not mapped.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

/// How many jobs of one worker may have been started and not ended: each has a word of its own that
/// says whether it was asked to stop.
pub(crate) const JOBS_MAX: usize = 64;

/// A job may send one message less than two to this power.
pub(crate) const MESSAGES_BITS: u32 = 40;

/// The last number that a worker's job may have; `taken` has no room for more.
#[cfg(test)]
pub(crate) const LAST_JOB: JobNumber = (u64::MAX >> MESSAGES_BITS) as JobNumber;

const TEXT_WORDS: usize = PROGRESS_MAX / 8;

#[repr(C)]
struct Words {
    /// How many messages of which job the app has taken: [`MESSAGES_BITS`] of the count, and above
    /// them the job's number.
    taken: AtomicU64,
    /// Moves on whenever `taken` has changed, or a job was asked to stop: what the worker waits on.
    turn: AtomicU32,
    /// How many of the worker's threads wait.
    waiting: AtomicU32,
    /// The job that was begun last.
    started: AtomicU32,
    /// The job that was ended last: all that it had to say is in the socket.
    finished: AtomicU32,
    /// How many texts there were: the lowest bit says which slot has the last one.
    text: AtomicU32,
    /// Steps that the job has done, and steps in all.
    done: AtomicU64,
    total: AtomicU64,
    texts: [Text; 2],
    /// For each job, by its number modulo [`JOBS_MAX`], the last one that was asked to stop.
    cancelled: [AtomicU64; JOBS_MAX],
}

#[repr(C)]
struct Text {
    length: AtomicU32,
    bytes: [AtomicU64; TEXT_WORDS],
}

// As docs/protocol.md says.
const _: () = {
    assert!(size_of::<Words>() <= SIZE);
    assert!(std::mem::offset_of!(Words, done) == 32);
    assert!(std::mem::offset_of!(Words, texts) == 48);
    assert!(std::mem::offset_of!(Words, cancelled) == 2112);
};

/// How far a job is, as the page has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(not(feature = "app"), allow(dead_code))]
pub(crate) struct Snapshot {
    pub(crate) done: u64,
    pub(crate) total: u64,
    /// Empty while nothing was said.
    pub(crate) text: String,
}

/// The most messages of one job.
pub(crate) const MESSAGES_MAX: u64 = (1 << MESSAGES_BITS) - 1;

fn at_job(job: JobNumber) -> u64 {
    u64::from(job) << MESSAGES_BITS
}

/// `fetch_max`, but for a hostile worker that writes all the time and would make it take for ever.
fn raise(word: &AtomicU64, to: u64) {
    const TRIES: usize = 1000;
    let mut now = word.load(Relaxed);
    for _ in 0..TRIES {
        if now >= to {
            return;
        }
        match word.compare_exchange(now, to, SeqCst, Relaxed) {
            Ok(_) => return,
            Err(other) => now = other,
        }
    }
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

    /// The app has taken so many of a job's messages. What is said of a job that has ended, or late, is
    /// passed over.
    pub(crate) fn set_taken(&self, job: JobNumber, taken: u64) {
        raise(&self.words().taken, at_job(job) | taken);
        self.turn_on();
    }

    /// How many messages of the running job the app has taken.
    pub(crate) fn taken(&self) -> u64 {
        self.words().taken.load(Acquire) & MESSAGES_MAX
    }

    /// Asks a job to stop, and wakes it where it [waits](Self::wait). One that has ended is not
    /// mistaken for another.
    #[cfg_attr(not(feature = "app"), allow(dead_code))]
    pub(crate) fn cancel(&self, job: JobNumber) {
        raise(self.slot(job), job.into());
        self.turn_on();
    }

    /// Whether the job was asked to stop.
    pub(crate) fn is_cancelled(&self, job: JobNumber) -> bool {
        self.slot(job).load(SeqCst) == u64::from(job)
    }

    fn slot(&self, job: JobNumber) -> &AtomicU64 {
        &self.words().cancelled[job as usize % JOBS_MAX]
    }

    /// The worker begins a job: what the last one left is gone.
    pub(crate) fn start(&self, job: JobNumber) {
        let words = self.words();
        words.taken.store(at_job(job), SeqCst);
        words.done.store(0, Relaxed);
        words.total.store(0, Relaxed);
        self.set_text("");
        words.started.store(job, Release);
    }

    /// The job that was begun last.
    #[cfg_attr(not(feature = "app"), allow(dead_code))]
    pub(crate) fn started(&self) -> JobNumber {
        self.words().started.load(Acquire)
    }

    /// The worker has ended a job.
    pub(crate) fn finish(&self, job: JobNumber) {
        self.words().finished.store(job, Release);
    }

    /// The job that was ended last.
    #[cfg(test)]
    pub(crate) fn finished(&self) -> JobNumber {
        self.words().finished.load(Acquire)
    }

    pub(crate) fn done(&self) -> &AtomicU64 {
        &self.words().done
    }

    pub(crate) fn total(&self) -> &AtomicU64 {
        &self.words().total
    }

    /// Sets the job's text, of which [`PROGRESS_MAX`] bytes are kept. One thread at a time.
    pub(crate) fn set_text(&self, text: &str) {
        let words = self.words();
        let next = words.text.load(Relaxed).wrapping_add(1);
        let slot = &words.texts[next as usize % 2];
        let bytes = &text.as_bytes()[..text.len().min(PROGRESS_MAX)];
        // Whoever reads what is written from here on finds the slot out of date afterwards.
        fence(Release);
        for (word, part) in slot.bytes.iter().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..part.len()].copy_from_slice(part);
            word.store(u64::from_le_bytes(whole), Relaxed);
        }
        slot.length.store(bytes.len() as u32, Relaxed);
        words.text.store(next, Release);
    }

    /// How far the last job is.
    #[cfg_attr(not(feature = "app"), allow(dead_code))]
    pub(crate) fn snapshot(&self) -> Snapshot {
        let words = self.words();
        Snapshot {
            done: words.done.load(Relaxed),
            total: words.total.load(Relaxed),
            text: self.text().unwrap_or_default(),
        }
    }

    fn text(&self) -> Option<String> {
        const TRIES: usize = 4;
        let words = self.words();
        for _ in 0..TRIES {
            let which = words.text.load(Acquire);
            let slot = &words.texts[which as usize % 2];
            let length = (slot.length.load(Relaxed) as usize).min(PROGRESS_MAX);
            let mut bytes: Vec<u8> = slot.bytes[..length.div_ceil(8)]
                .iter()
                .flat_map(|word| word.load(Relaxed).to_le_bytes())
                .collect();
            bytes.truncate(length);
            // What was read before is not read after this look.
            fence(Acquire);
            if words.text.load(Relaxed) == which {
                return Some(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        None
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

    /// Wakes those who [wait](Self::wait).
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
        ours.set_taken(1, 7);
        assert_eq!(theirs.taken(), 7);
        // Neither late nor of the job before.
        ours.set_taken(1, 6);
        assert_eq!(theirs.taken(), 7);
        theirs.start(2);
        ours.set_taken(1, 8);
        assert_eq!(theirs.taken(), 0);
        ours.set_taken(2, MESSAGES_MAX);
        assert_eq!(theirs.taken(), MESSAGES_MAX);
        theirs.start(LAST_JOB);
        ours.set_taken(LAST_JOB, 1);
        assert_eq!(theirs.taken(), 1);
    }

    #[test]
    fn a_cancel_meets_its_job_and_no_other_however_late() {
        let (theirs, memory) = Page::create().unwrap();
        let ours = Page::adopt(&memory).unwrap();
        let next = JOBS_MAX as JobNumber;
        for (cancelled, before) in [(1, 1), (1 + next, 2 + next)] {
            ours.cancel(cancelled);
            assert!(theirs.is_cancelled(cancelled));
            assert!(!theirs.is_cancelled(before + 1));
        }
        // The one that had this word before has ended long ago.
        ours.cancel(1);
        assert!(theirs.is_cancelled(1 + next));
        assert!(!theirs.is_cancelled(1 + 2 * next));
    }

    #[test]
    fn what_a_job_said_of_its_progress_is_known_whole() {
        let (theirs, memory) = Page::create().unwrap();
        let ours = Page::adopt(&memory).unwrap();
        theirs.start(1);
        assert_eq!(ours.snapshot(), Snapshot::default());
        theirs.total().store(9, Relaxed);
        theirs.done().fetch_add(2, Relaxed);
        for text in ["one", "", "häß", &"x".repeat(PROGRESS_MAX)] {
            theirs.set_text(text);
            let (done, total, text) = (2, 9, text.to_owned());
            assert_eq!(ours.snapshot(), Snapshot { done, total, text });
        }
        theirs.set_text(&"y".repeat(PROGRESS_MAX + 1));
        assert_eq!(ours.snapshot().text.len(), PROGRESS_MAX);
        theirs.start(2);
        assert_eq!((ours.started(), ours.snapshot()), (2, Snapshot::default()));
    }

    #[test]
    fn a_text_is_never_read_half_written_and_a_writer_that_never_rests_ends_no_look() {
        let (theirs, memory) = Page::create().unwrap();
        let ours = Page::adopt(&memory).unwrap();
        let done = AtomicBool::new(false);
        let (mut looks, mut read) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for byte in (b'a'..=b'z').cycle() {
                    if done.load(Relaxed) {
                        break;
                    }
                    theirs.set_text(&char::from(byte).to_string().repeat(PROGRESS_MAX));
                }
            });
            while looks < 20_000 {
                looks += 1;
                if let Some(text) = ours.text().filter(|text| !text.is_empty()) {
                    read += 1;
                    let first = text.as_bytes()[0];
                    let whole = text.len() == PROGRESS_MAX && text.bytes().all(|b| b == first);
                    if !whole {
                        done.store(true, Relaxed);
                    }
                    assert!(whole, "{text}");
                }
            }
            done.store(true, Relaxed);
        });
        println!("{read} of {looks} looks had a text");
        assert!(read > 0);
    }

    #[test]
    fn nonsense_in_the_page_is_nonsense_and_nothing_else() {
        let (theirs, memory) = Page::create().unwrap();
        let ours = Page::adopt(&memory).unwrap();
        let words = theirs.words();
        words.texts[0].length.store(u32::MAX, Relaxed);
        words.texts[0].bytes[0].store(u64::MAX, Relaxed);
        assert!(ours.snapshot().text.starts_with('\u{FFFD}'));
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
            ours.set_taken(1, 1);
            std::thread::sleep(Duration::from_millis(20));
            stopped.store(true, SeqCst);
            theirs.turn_on();
            waiter.join().unwrap();
        });
    }
}
