//! The state of one job: what it has sent, whether it is to stop, and its progress. The next job gets a new one.

use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::error::{Cancelled, RecvError, SendError};
use super::link::{Link, lock};
use crate::wire::control::{self, DESCRIPTORS_MAX, FRAME_MAX, Wait, is_peer_gone};
use crate::wire::frame::{JobNumber, Kind, NO_JOB, Progress};
use crate::wire::limits::{PROGRESS_MAX, cut};
use crate::wire::page::MESSAGES_MAX;

/// The shortest time between two progress frames.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// The job that runs, for threads that are not part of it.
static CURRENT: Mutex<Option<Arc<Run>>> = Mutex::new(None);

/// The job that runs.
pub(super) fn current() -> Option<Arc<Run>> {
    lock(&CURRENT).clone()
}

/// Makes `run` the job that runs, or none.
pub(super) fn set_current(link: &Link, run: Option<Arc<Run>>) {
    link.set_job(run.as_ref().map_or(NO_JOB, |run| run.number));
    let before = std::mem::replace(&mut *lock(&CURRENT), run);
    drop(before);
}

/// What a job that waits for a request gets.
pub(super) enum Request {
    Bytes(Vec<u8>, Vec<OwnedFd>),
    End,
    /// The job was asked to stop, or the process to end.
    Cancelled,
}

/// See the module.
pub(super) struct Run {
    link: &'static Link,
    number: JobNumber,
    /// How many messages the job may have sent that the app has not taken.
    capacity: usize,
    outbox: Mutex<Outbox>,
    requests_ended: AtomicBool,
    /// The progress in the page is newer than what was sent.
    progress_pending: AtomicBool,
    progress: Mutex<Sent>,
    /// Locked while a text is written.
    text: Mutex<()>,
}

/// The progress that was sent, and the text that was not.
#[derive(Default)]
struct Sent {
    last: Option<Instant>,
    unsent_text: Option<String>,
}

/// The messages that were sent.
#[derive(Default)]
struct Outbox {
    sent: u64,
    /// Those that the app has not taken.
    waiting: VecDeque<Size>,
    /// All of them together.
    size: Size,
}

/// How large a message is.
#[derive(Default, Clone, Copy)]
struct Size {
    bytes: usize,
    descriptors: usize,
}

impl Outbox {
    /// One more was sent.
    fn add(&mut self, size: Size) {
        self.sent += 1;
        self.waiting.push_back(size);
        self.size.bytes += size.bytes;
        self.size.descriptors += size.descriptors;
    }

    /// The app has taken this many.
    fn notice(&mut self, taken: u64) {
        let waiting = self.sent.saturating_sub(taken);
        while self.waiting.len() as u64 > waiting {
            let size = self.waiting.pop_front().unwrap_or_default();
            self.size.bytes -= size.bytes;
            self.size.descriptors -= size.descriptors;
        }
    }

    fn has_room(&self, capacity: usize, size: Size) -> bool {
        // What no frame can carry is refused where it is sent.
        self.waiting.is_empty()
            || self.waiting.len() < capacity
                && self.size.bytes + size.bytes <= FRAME_MAX
                && self.size.descriptors + size.descriptors <= DESCRIPTORS_MAX
    }
}

impl Run {
    /// A job that begins.
    pub(super) fn new(link: &'static Link, number: JobNumber, capacity: u32) -> Run {
        Run {
            link,
            number,
            capacity: capacity.max(1) as usize,
            outbox: Mutex::default(),
            requests_ended: AtomicBool::new(false),
            progress_pending: AtomicBool::new(false),
            progress: Mutex::default(),
            text: Mutex::default(),
        }
    }

    /// Whether the job was asked to stop, or the process to end.
    pub(super) fn is_cancelled(&self) -> bool {
        self.link.page.is_cancelled(self.number) || self.link.is_retiring()
    }

    /// Sends a message, once the app has taken enough of those before it. One thread at a time, so that messages are taken
    /// in the order in which they are counted.
    pub(super) fn send_message(
        &self,
        payload: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), SendError> {
        let size = Size {
            bytes: payload.len(),
            descriptors: descriptors.len(),
        };
        let mut outbox = self.room_for(size)?;
        let sent = (self.link).send_about(self.number, Kind::Message, payload, descriptors);
        match sent {
            Ok(()) => {
                outbox.add(size);
                Ok(())
            }
            // The app has dropped the job, which is a request to stop.
            Err(error) if is_peer_gone(&error) => Err(Cancelled.into()),
            Err(error) => Err(SendError::other(error)),
        }
    }

    /// Waits until a message of this size may be sent.
    fn room_for(&self, size: Size) -> Result<MutexGuard<'_, Outbox>, SendError> {
        // In a copy that the job has forked, nobody might ever release the lock.
        self.link.control.check_own().map_err(SendError::other)?;
        let page = &self.link.page;
        let mut outbox = lock(&self.outbox);
        loop {
            let changes = page.changes();
            if self.is_cancelled() {
                return Err(Cancelled.into());
            }
            if outbox.sent == MESSAGES_MAX {
                return Err(SendError::other(
                    "this job has sent 2^40 - 1 messages, which is the most that a job can send",
                ));
            }
            outbox.notice(page.taken());
            if outbox.has_room(self.capacity, size) {
                return Ok(outbox);
            }
            page.wait(changes);
        }
    }

    /// Waits for the app's next request.
    pub(super) fn request(&self) -> Result<Request, RecvError> {
        let mut inbox = self.link.inbox();
        loop {
            if self.is_cancelled() {
                return Ok(Request::Cancelled);
            }
            if self.requests_ended.load(Relaxed) {
                return Ok(Request::End);
            }
            let received = (self.link.receive(&mut inbox)).map_err(|error| match error {
                control::RecvError::Fault(fault) => RecvError::other(fault),
                control::RecvError::Io(error) => RecvError::other(error),
            })?;
            // A frame about a job that has ended; a cancel is found in the page.
            let Some(packet) = received.filter(|packet| packet.job == self.number) else {
                continue;
            };
            match Kind::from_app(packet.kind) {
                Some(Kind::Request) => {
                    let descriptors = packet.descriptors.claim();
                    return Ok(Request::Bytes(packet.payload.to_vec(), descriptors));
                }
                Some(Kind::EndOfRequests) => self.requests_ended.store(true, Relaxed),
                _ => (),
            }
        }
    }

    // --- progress -----------------------------------------------------------------------------

    pub(super) fn advance(&self, by: u64) {
        self.link.page.done().fetch_add(by, Relaxed);
        self.progress_changed();
    }

    pub(super) fn set_done(&self, done: u64) {
        self.link.page.done().store(done, Relaxed);
        self.progress_changed();
    }

    pub(super) fn set_total(&self, total: u64) {
        self.link.page.total().store(total, Relaxed);
        self.progress_changed();
    }

    pub(super) fn set_text(&self, text: String) {
        let text = cut(text, PROGRESS_MAX - "…".len());
        {
            let _one_at_a_time = lock(&self.text);
            self.link.page.set_text(&text);
            lock(&self.progress).unsent_text = Some(text);
        }
        self.progress_changed();
    }

    /// The first change after a progress frame wakes the watcher, which sends the next frame when it is due. Each other
    /// change costs one atomic operation.
    fn progress_changed(&self) {
        if !self.progress_pending.swap(true, AcqRel) {
            self.link.wake_watcher();
        }
    }

    /// Sends the newest progress if it is due. Otherwise returns the time until then.
    pub(super) fn flush_progress(&self, wait: Wait) -> Option<Duration> {
        // Locked first: another thread that sends the progress has then finished.
        let mut sent = lock(&self.progress);
        if !self.progress_pending.load(Acquire) {
            return None;
        }
        if wait == Wait::No
            && let Some(last) = sent.last
            && let Some(rest) = PROGRESS_INTERVAL.checked_sub(last.elapsed())
            && !rest.is_zero()
        {
            return Some(rest);
        }
        // Cleared before the progress is read: a later change sets it again.
        self.progress_pending.store(false, Release);
        let (page, text) = (&self.link.page, sent.unsent_text.take());
        let progress = Progress {
            done: page.done().load(Relaxed),
            total: page.total().load(Relaxed),
            text,
        };
        sent.last = Some(Instant::now());
        let bytes = postcard::to_allocvec(&progress).unwrap_or_default();
        let control = &self.link.control;
        let result = control.send_about(self.number, Kind::Progress, &bytes, &[], wait);
        if result.is_err() && wait == Wait::No {
            // The socket is full: try again later, with the same text.
            sent.unsent_text = progress.text;
            self.progress_pending.store(true, Release);
            return Some(PROGRESS_INTERVAL);
        }
        None
    }
}
