//! The worker's connection to the app, shared by everything in the process that has to say
//! something: the job's threads, the log, the panic hook, the watcher.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::*};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::ctx::{Cancelled, SendError};
use crate::wire::control::{Control, Received, Scratch, Wait};
use crate::wire::frame::{Kind, LOG_RECORDS_MAX, LogEntry, Progress};
use crate::wire::page::Page;
use crate::wire::text::{RECORD_MAX, cut};

/// How often progress is told at most.
pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// How many bytes of log records wait for room in the socket before records are dropped (4 MiB).
pub(crate) const LOG_QUEUE_MAX: usize = 4 * 1024 * 1024;

/// How many bytes of records go into one batch, unless a single one has more.
const LOG_BATCH: usize = 32 * 1024;

/// The one connection of a worker process.
static LINK: OnceLock<Link> = OnceLock::new();

/// How a job ended, to be told to the app.
#[derive(Debug)]
#[allow(unreachable_pub)] // named by the type of a public, hidden function pointer
pub struct End {
    pub(super) kind: Kind,
    pub(super) payload: Vec<u8>,
    pub(super) descriptors: Vec<std::sync::Arc<OwnedFd>>,
}

/// See the module.
#[derive(Debug)]
#[allow(unreachable_pub)]
pub struct Link {
    pub(super) control: Control,
    pub(super) page: Page,
    cancelled: AtomicBool,
    /// Written to wake the watcher.
    pub(super) wake: OwnedFd,
    capacity: u32,
    sent: AtomicU32,
    inbox: Mutex<Inbox>,
    pub(super) progress: ProgressState,
    logs: Mutex<LogQueue>,
    /// Records wait for room: the watcher looks out for it.
    pub(super) logs_blocked: AtomicBool,
}

#[derive(Debug)]
struct Inbox {
    scratch: Option<Box<ScratchDebug>>,
    ended: bool,
}

/// [`Scratch`] is 64 KiB: made when the first request is read, so that most workers never have it.
struct ScratchDebug(Scratch);
impl std::fmt::Debug for ScratchDebug {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scratch")
    }
}

/// The newest progress, and whether the app knows it.
#[derive(Debug, Default)]
pub(super) struct ProgressState {
    done: AtomicU64,
    total: AtomicU64,
    text: Mutex<Option<String>>,
    pub(super) pending: AtomicBool,
    last: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct LogQueue {
    /// Oldest first.
    entries: std::collections::VecDeque<Queued>,
    bytes: usize,
    /// How many were dropped since the last of these.
    dropped: u64,
}

/// A record that waits for room.
#[derive(Debug)]
struct Queued {
    encoded: Vec<u8>,
    dropped_before: u64,
}

pub(super) enum Request {
    Bytes(Vec<u8>, Vec<OwnedFd>),
    End,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic under one of these locks leaves plain data that is still right.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    /// Makes the process's connection. Called once.
    pub(super) fn establish(
        control: Control,
        page: Page,
        wake: OwnedFd,
        capacity: u32,
    ) -> &'static Link {
        LINK.get_or_init(|| Link {
            control,
            page,
            cancelled: AtomicBool::new(false),
            wake,
            capacity: capacity.max(1),
            sent: AtomicU32::new(0),
            inbox: Mutex::new(Inbox {
                scratch: None,
                ended: false,
            }),
            progress: ProgressState::default(),
            logs: Mutex::default(),
            logs_blocked: AtomicBool::new(false),
        })
    }

    /// The process's connection, in a worker.
    pub(super) fn get() -> Option<&'static Link> {
        LINK.get()
    }

    /// Sends a frame and waits for room in the socket. When the app is gone the watcher ends this
    /// process; until then there is nobody to tell.
    pub(super) fn send(&self, kind: Kind, payload: &[u8], descriptors: &[BorrowedFd<'_>]) {
        let _ = self.control.send(kind, payload, descriptors, Wait::Yes);
    }

    /// Sends a message of the job's, once the app has room for it.
    pub(super) fn send_message(
        &self,
        payload: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), SendError> {
        self.wait_for_room()?;
        self.control
            .send(Kind::Message, payload, descriptors, Wait::Yes)
            .map_err(|error| match error.kind() {
                // The app has let go of the job: as good as a request to stop.
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Cancelled.into(),
                _ => SendError::other(error),
            })
    }

    /// Whether the app has asked for the job's end.
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Acquire)
    }

    /// The app asks for the job's end: wakes it where it waits for room.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, SeqCst);
        self.page.turn_on();
    }

    /// Takes one place of those that the app has for messages not yet taken.
    fn wait_for_room(&self) -> Result<(), Cancelled> {
        loop {
            let turn = self.page.turn();
            if self.is_cancelled() {
                return Err(Cancelled);
            }
            let taken = self.page.taken();
            let sent = self.sent.load(Acquire);
            if sent.wrapping_sub(taken) >= self.capacity {
                self.page.wait(turn);
            } else if self
                .sent
                .compare_exchange_weak(sent, sent.wrapping_add(1), AcqRel, Relaxed)
                .is_ok()
            {
                return Ok(());
            }
        }
    }

    /// Waits for the app's next request.
    pub(super) fn request(&self) -> Result<Request, super::ctx::RecvError> {
        let mut inbox = lock(&self.inbox);
        let inbox = &mut *inbox;
        loop {
            if self.is_cancelled() {
                return Err(Cancelled.into());
            }
            if inbox.ended {
                return Ok(Request::End);
            }
            let scratch = inbox
                .scratch
                .get_or_insert_with(|| Box::new(ScratchDebug(Scratch::new())));
            match self.control.recv(&mut scratch.0, Wait::Yes) {
                Ok(Received::Packet(packet)) => match Kind::from_app(packet.kind) {
                    Some(Kind::Request) => {
                        let descriptors = packet.descriptors.claim();
                        return Ok(Request::Bytes(packet.payload.to_vec(), descriptors));
                    }
                    Some(Kind::EndOfRequests) => inbox.ended = true,
                    // Nothing to do with a job.
                    _ => (),
                },
                // The app has asked for the end. Or it is gone, and this process is about to be.
                Ok(Received::Closed) => self.cancel(),
                Ok(Received::Empty) => (),
                Err(crate::wire::control::RecvError::Fault(fault)) => {
                    return Err(super::ctx::RecvError::other(fault));
                }
                Err(crate::wire::control::RecvError::Io(error)) => {
                    return Err(super::ctx::RecvError::other(error));
                }
            }
        }
    }

    // --- progress -----------------------------------------------------------------------------

    pub(super) fn advance(&self, by: u64) {
        self.progress.done.fetch_add(by, Relaxed);
        self.progress_changed();
    }

    pub(super) fn set_done(&self, done: u64) {
        self.progress.done.store(done, Relaxed);
        self.progress_changed();
    }

    pub(super) fn set_total(&self, total: u64) {
        self.progress.total.store(total, Relaxed);
        self.progress_changed();
    }

    pub(super) fn set_text(&self, text: String) {
        *lock(&self.progress.text) = Some(cut(text, RECORD_MAX));
        self.progress_changed();
    }

    /// The first change after the app was told wakes the watcher, which tells it when it is due.
    /// All others cost one atomic operation.
    fn progress_changed(&self) {
        if !self.progress.pending.swap(true, AcqRel) {
            self.wake_watcher();
        }
    }

    pub(super) fn wake_watcher(&self) {
        // An eventfd refuses only when 2^64-2 wake-ups wait already.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// Tells the app the newest progress if that is due, or else how long it is until then.
    pub(super) fn flush_progress(&self, wait: Wait) -> Option<Duration> {
        // Locked first: whoever else is telling it has then told it.
        let mut last = lock(&self.progress.last);
        if !self.progress.pending.load(Acquire) {
            return None;
        }
        if wait == Wait::No
            && let Some(last) = *last
            && let Some(rest) = PROGRESS_INTERVAL.checked_sub(last.elapsed())
            && !rest.is_zero()
        {
            return Some(rest);
        }
        // Cleared before it is read: a change from now on asks again.
        self.progress.pending.store(false, Release);
        let text = lock(&self.progress.text).take();
        let progress = Progress {
            done: self.progress.done.load(Relaxed),
            total: self.progress.total.load(Relaxed),
            text,
        };
        *last = Some(Instant::now());
        let bytes = postcard::to_allocvec(&progress).unwrap_or_default();
        if self
            .control
            .send(Kind::Progress, &bytes, &[], wait)
            .is_err()
            && wait == Wait::No
        {
            // No room: later, with the same text unless there is a newer one.
            let mut text = lock(&self.progress.text);
            if text.is_none() {
                *text = progress.text;
            }
            self.progress.pending.store(true, Release);
            return Some(PROGRESS_INTERVAL);
        }
        None
    }

    // --- log ----------------------------------------------------------------------------------

    /// Hands a record to the app if there is room, or keeps it, or counts it as dropped. Never
    /// waits for the app.
    pub(super) fn log(&self, entry: &LogEntry) {
        let Ok(bytes) = postcard::to_allocvec(entry) else {
            return;
        };
        let mut logs = lock(&self.logs);
        if logs.bytes + bytes.len() > LOG_QUEUE_MAX {
            logs.dropped += 1;
            return;
        }
        logs.bytes += bytes.len();
        let dropped_before = std::mem::take(&mut logs.dropped);
        logs.entries.push_back(Queued {
            encoded: bytes,
            dropped_before,
        });
        if !self.logs_blocked.load(Acquire) && !self.flush_queue(&mut logs) {
            self.logs_blocked.store(true, Release);
            drop(logs);
            self.wake_watcher();
        }
    }

    /// Sends what waits, as far as there is room. Called by the watcher when there is.
    pub(super) fn flush_logs(&self) {
        let mut logs = lock(&self.logs);
        let all_sent = self.flush_queue(&mut logs);
        self.logs_blocked.store(!all_sent, Release);
    }

    /// At the job's end: sends what waits, for no longer than `bound`. What is left then is
    /// counted as dropped.
    pub(super) fn flush_logs_within(&self, bound: Duration) {
        let deadline = Instant::now() + bound;
        loop {
            self.flush_logs();
            if !self.logs_blocked.load(Acquire) || Instant::now() >= deadline {
                break;
            }
            let mut poll = [rustix::event::PollFd::new(
                &self.control,
                rustix::event::PollFlags::OUT,
            )];
            let rest = deadline.saturating_duration_since(Instant::now());
            let rest = rustix::event::Timespec::try_from(rest).ok();
            let _ = rustix::event::poll(&mut poll, rest.as_ref());
        }
        let mut logs = lock(&self.logs);
        let waiting = logs.entries.iter().map(|entry| 1 + entry.dropped_before);
        let lost = waiting.sum::<u64>() + logs.dropped;
        if lost > 0 {
            let bytes = batch(lost, 0, &[]);
            self.send(Kind::Log, &bytes, &[]);
            *logs = LogQueue::default();
        }
    }

    /// Sends the queue in batches; false when the socket had no more room.
    fn flush_queue(&self, logs: &mut LogQueue) -> bool {
        while let Some(first) = logs.entries.front() {
            let dropped = first.dropped_before;
            let (mut count, mut body) = (0, Vec::new());
            for entry in logs.entries.iter().take(LOG_RECORDS_MAX) {
                let fits = body.len() + entry.encoded.len() <= LOG_BATCH;
                if count > 0 && (!fits || entry.dropped_before > 0) {
                    break;
                }
                body.extend_from_slice(&entry.encoded);
                count += 1;
            }
            let packet = batch(dropped, count, &body);
            let lost = match self.control.send(Kind::Log, &packet, &[], Wait::No) {
                Ok(()) => 0,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // It would fail again, and the watcher would try for ever.
                Err(_) => dropped + count as u64,
            };
            logs.entries.drain(..count);
            logs.bytes -= body.len();
            match logs.entries.front_mut() {
                Some(next) => next.dropped_before += lost,
                None => logs.dropped += lost,
            }
        }
        true
    }
}

/// The head of a [`LogBatch`](crate::wire::frame::LogBatch), as postcard writes it: the dropped
/// count and the number of records, which follow as they were encoded one by one.
fn batch(dropped: u64, count: usize, records: &[u8]) -> Vec<u8> {
    let mut bytes = postcard::to_allocvec(&(dropped, count)).unwrap_or_default();
    bytes.extend_from_slice(records);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::LogBatch;

    #[test]
    fn a_batch_made_of_encoded_records_decodes_as_one() {
        let entry = |text: &str| LogEntry {
            level: 3,
            target: "t".to_owned(),
            text: text.to_owned(),
            file: None,
            line: Some(7),
        };
        let records: Vec<u8> = ["one", "two"]
            .iter()
            .flat_map(|text| postcard::to_allocvec(&entry(text)).unwrap())
            .collect();
        let decoded: LogBatch = postcard::from_bytes(&batch(300, 2, &records)).unwrap();
        assert_eq!(decoded.dropped, 300);
        let texts: Vec<_> = decoded.records.iter().map(|r| r.text.as_str()).collect();
        assert_eq!(texts, ["one", "two"]);
    }
}
