//! The shared page: a page of memory that the app and one worker both map.
//!
//! It holds the state that must be known without a frame, and after the worker has died of whatever cause: which jobs
//! were asked to stop, how many messages the app has taken, which jobs were begun and ended, and the progress of the last
//! one. The worker makes the page, to keep that from the app's main thread, and sends it with the handshake. The app maps
//! it only if it is sealed against shrinking, so that a hostile worker can write nonsense into it but cannot take it away.
//! The app trusts nothing that it reads here: `waiting` is a hint, and the progress is shown as the job's own.
//!
//! Words are written in place. The text of a job's progress is longer than a word, and has two slots; `text` says which of
//! them is complete. The worker writes into the other slot, and only then changes `text`; so a worker that is killed while
//! it writes leaves the text before. The app copies a slot and reads `text` again to see whether that has changed; if the
//! worker writes all the time, it gives up after four attempts.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*, fence};

use rustix::fs::{
    MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, fstatfs, ftruncate,
    memfd_create,
};
use rustix::io::retry_on_intr;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::thread::futex;

use super::file_size;
use super::frame::JobNumber;
use super::limits::PROGRESS_MAX;
use super::nul::lossy;

const SIZE: usize = 4096;

/// The app does not map a page without these seals.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

/// How many jobs of one worker may have been started and not ended. For each, a word says whether it was asked to stop.
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
    /// Incremented when `taken` has changed or a job was asked to stop: the futex that the worker waits on.
    changes: AtomicU32,
    /// How many threads of the worker wait.
    waiting: AtomicU32,
    /// The job that was begun last.
    started: AtomicU32,
    /// The job that was ended last: all of its frames are in the socket.
    finished: AtomicU32,
    /// How many texts were set: the lowest bit is the slot of the last one.
    text: AtomicU32,
    /// The number of steps that are done, and the total.
    done: AtomicU64,
    total: AtomicU64,
    texts: [Text; 2],
    /// For each job, by its number modulo [`JOBS_MAX`], the last one that was asked to stop.
    cancelled: [AtomicU64; JOBS_MAX],
    /// How many bytes of the worker's standard output and error the app has read, times two; plus one while it reads.
    printed: [AtomicU64; 2],
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
    assert!(std::mem::offset_of!(Words, printed) == 2624);
};

/// A job's progress.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) done: u64,
    pub(crate) total: u64,
    /// Empty while no text was set.
    pub(crate) text: String,
}

/// The most messages of one job.
pub(crate) const MESSAGES_MAX: u64 = (1 << MESSAGES_BITS) - 1;

fn at_job(job: JobNumber) -> u64 {
    u64::from(job) << MESSAGES_BITS
}

/// As `fetch_max`, which a hostile worker that writes all the time could keep from ending.
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
    /// A new page, and the descriptor with which the app maps it.
    pub(crate) fn create() -> io::Result<(Page, OwnedFd)> {
        file_size::check(SIZE as u64)?;
        let memory = memfd_create(
            "legwork-page",
            MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
        )?;
        retry_on_intr(|| ftruncate(&memory, SIZE as u64))?;
        fcntl_add_seals(&memory, SEALS | SealFlags::SEAL)?;
        Ok((Page::map(&memory)?, memory))
    }

    /// Maps a page that a worker has sent. The worker may be hostile: memory that could be taken away is not mapped, nor
    /// are huge pages, which may be missing when they are touched.
    pub(crate) fn adopt(memory: impl AsFd) -> Result<Page, &'static str> {
        let seals = fcntl_get_seals(&memory).map_err(|_| "is not memory that can be sealed")?;
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

    /// Sets how many of a job's messages the app has taken. A lower number, or one of an earlier job, changes nothing.
    pub(crate) fn set_taken(&self, job: JobNumber, taken: u64) {
        raise(&self.words().taken, at_job(job) | taken);
        self.notify();
    }

    /// How many messages of the running job the app has taken.
    pub(crate) fn taken(&self) -> u64 {
        self.words().taken.load(Acquire) & MESSAGES_MAX
    }

    /// Asks a job to stop, and wakes it if it [waits](Self::wait). Once the job has ended, this has no effect on any
    /// other.
    pub(crate) fn cancel(&self, job: JobNumber) {
        raise(self.slot(job), job.into());
        self.notify();
    }

    /// Whether the job was asked to stop.
    pub(crate) fn is_cancelled(&self, job: JobNumber) -> bool {
        self.slot(job).load(SeqCst) == u64::from(job)
    }

    fn slot(&self, job: JobNumber) -> &AtomicU64 {
        &self.words().cancelled[job as usize % JOBS_MAX]
    }

    /// The worker begins a job. Resets the state of the one before.
    pub(crate) fn start(&self, job: JobNumber) {
        let words = self.words();
        words.taken.store(at_job(job), SeqCst);
        words.done.store(0, Relaxed);
        words.total.store(0, Relaxed);
        self.set_text("");
        words.started.store(job, Release);
    }

    /// The job that was begun last.
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

    /// The app reads what the worker has printed to an output, of which it has read this much: until it has
    /// [said](Self::has_read) how much more that was, the worker cannot know how much is left.
    pub(crate) fn begin_to_read(&self, output: usize, position: u64) {
        self.words().printed[output].store(position << 1 | 1, SeqCst);
    }

    /// The app has read what the worker has printed to an output, up to this position.
    pub(crate) fn has_read(&self, output: usize, position: u64) {
        self.words().printed[output].store(position << 1, SeqCst);
    }

    /// How much was printed to an output, of which as much as `unread` says is still in the pipe. If the app is stopped
    /// while it reads, this gives up after a while and returns what it knows.
    pub(crate) fn printed(&self, output: usize, unread: impl Fn() -> u64) -> u64 {
        const TRIES: usize = 100;
        let word = &self.words().printed[output];
        let mut before = word.load(SeqCst);
        for _ in 0..TRIES {
            let unread = unread();
            let after = word.load(SeqCst);
            if before == after && after & 1 == 0 {
                return (after >> 1).saturating_add(unread);
            }
            std::thread::yield_now();
            before = word.load(SeqCst);
        }
        (before >> 1).saturating_add(unread())
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
        // A reader that sees a part of the new text finds that `text` has changed.
        fence(Release);
        for (word, part) in slot.bytes.iter().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..part.len()].copy_from_slice(part);
            word.store(u64::from_le_bytes(whole), Relaxed);
        }
        slot.length.store(bytes.len() as u32, Relaxed);
        words.text.store(next, Release);
    }

    /// The progress of the last job.
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
            // The slot is read before `text` is read again.
            fence(Acquire);
            if words.text.load(Relaxed) == which {
                return Some(lossy(&bytes));
            }
        }
        None
    }

    /// Counts changes. Read it before checking for one, and pass it to [`wait`](Self::wait) if that has not come.
    pub(crate) fn changes(&self) -> u32 {
        self.words().changes.load(SeqCst)
    }

    /// Waits until something has changed since `changes` was read. It may also return without a change.
    pub(crate) fn wait(&self, changes: u32) {
        let words = self.words();
        words.waiting.fetch_add(1, SeqCst);
        // The caller checks again, whether this was woken or interrupted.
        let _ = futex::wait(&words.changes, futex::Flags::empty(), changes, None);
        words.waiting.fetch_sub(1, SeqCst);
    }

    /// Counts a change, and wakes the threads that [wait](Self::wait).
    pub(crate) fn notify(&self) {
        let words = self.words();
        words.changes.fetch_add(1, SeqCst);
        if words.waiting.load(SeqCst) != 0 {
            let _ = futex::wake(&words.changes, futex::Flags::empty(), i32::MAX as u32);
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
    use std::time::{Duration, Instant};

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
    fn a_jobs_progress_is_read_as_it_was_set() {
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
    fn a_text_is_never_read_half_written_and_reading_it_always_ends() {
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
            // On a busy machine the other thread may begin late.
            let patience = Instant::now() + Duration::from_secs(60);
            while looks < 20_000 || read == 0 && Instant::now() < patience {
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
        let why = "is not memory that can be sealed";
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
                    let changes = theirs.changes();
                    if happened() {
                        break;
                    }
                    theirs.wait(changes);
                };
                until(&|| theirs.taken() == 1);
                until(&|| stopped.load(SeqCst));
            });
            std::thread::sleep(Duration::from_millis(20));
            ours.set_taken(1, 1);
            std::thread::sleep(Duration::from_millis(20));
            stopped.store(true, SeqCst);
            theirs.notify();
            waiter.join().unwrap();
        });
    }
}
