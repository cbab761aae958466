//! The worker's connection to the app, with the state that lives as long as the process. The state of the job that runs
//! is in [`run`](super::run).

use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustix::io::retry_on_intr;

use crate::process::leave_with_group;
use crate::wire::control::{Control, Packet, Received, RecvError, Scratch, Wait};
use crate::wire::frame::{JobNumber, Kind, LOG_RECORDS_MAX, LogEntry, NO_JOB, Start};
use crate::wire::limits::{RECORD_MAX, TARGET_MAX, cut};
use crate::wire::page::Page;

/// How many bytes of log records may wait for space in the socket before records are dropped (4 MiB).
pub(crate) const LOG_QUEUE_MAX: usize = 4 * 1024 * 1024;

/// The longest batch of records, in bytes, unless a single record is longer.
const LOG_BATCH: usize = 32 * 1024;

/// The connection of this process, if it is a worker.
static LINK: OnceLock<Link> = OnceLock::new();

/// See the module.
pub(super) struct Link {
    pub(super) control: Control,
    pub(super) page: Page,
    /// The app has asked for the end of the process; the job is to stop.
    retiring: AtomicBool,
    /// Written to wake the watcher.
    pub(super) wake: OwnedFd,
    inbox: Mutex<Inbox>,
    /// The number of the job that runs, also for a signal handler.
    job: AtomicU32,
    logs: Mutex<LogQueue>,
    /// Records wait for space in the socket, and the watcher for that.
    pub(super) logs_blocked: AtomicBool,
}

/// The receiving end, and the jobs that wait for their turn.
#[derive(Default)]
pub(super) struct Inbox {
    /// 64 KiB: made when the first frame is read here, so that most workers never have it.
    scratch: Option<Scratch>,
    starts: VecDeque<Assigned>,
}

/// A job to run: its number, what it is, and the descriptors of its input.
pub(super) type Assigned = (JobNumber, Start, Vec<OwnedFd>);

#[derive(Debug, Default)]
struct LogQueue {
    /// The oldest is first.
    entries: VecDeque<Queued>,
    bytes: usize,
    /// How many were dropped since the last of these.
    dropped: u64,
}

/// A record that waits for space.
#[derive(Debug)]
struct Queued {
    job: JobNumber,
    encoded: Vec<u8>,
    dropped_before: u64,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these locks guard is valid also after a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    /// Makes the connection of this process. To be called once.
    pub(super) fn establish(control: Control, page: Page, wake: OwnedFd) -> &'static Link {
        LINK.get_or_init(|| Link {
            control,
            page,
            retiring: AtomicBool::new(false),
            wake,
            inbox: Mutex::default(),
            job: AtomicU32::new(NO_JOB),
            logs: Mutex::default(),
            logs_blocked: AtomicBool::new(false),
        })
    }

    /// The connection of this process, if it is a worker, and not a copy that a job has forked.
    pub(super) fn get() -> Option<&'static Link> {
        LINK.get().filter(|link| link.control.is_own())
    }

    /// Whether the app has asked for the end of the process.
    pub(super) fn is_retiring(&self) -> bool {
        self.retiring.load(Acquire)
    }

    /// The app has asked for the end of the process. Wakes the job where it waits until it may send.
    pub(super) fn retire(&self) {
        self.retiring.store(true, SeqCst);
        self.page.notify();
    }

    /// Frames that name no job of their own are about this one from now on.
    pub(super) fn set_job(&self, job: JobNumber) {
        self.job.store(job, Release);
    }

    /// Sends a frame about the job that runs, and waits for space in the socket. It fails only when the app is gone,
    /// and then the watcher ends this process.
    pub(super) fn send(&self, kind: Kind, payload: &[u8]) {
        let job = self.job.load(Acquire);
        let _ = (self.control).send_about(job, kind, payload, &[], Wait::Yes);
    }

    pub(super) fn wake_watcher(&self) {
        // Fails only when the counter is at its maximum, and then the watcher wakes anyway.
        let _ = retry_on_intr(|| rustix::io::write(&self.wake, &1u64.to_ne_bytes()));
    }

    // --- frames from the app ------------------------------------------------------------------

    /// Waits for the next job. `None` when there will be no other.
    pub(super) fn next_job(&self) -> Option<Assigned> {
        let mut inbox = self.inbox();
        loop {
            if let Some(start) = inbox.starts.pop_front() {
                return Some(start);
            }
            if self.is_retiring() {
                return None;
            }
            // Any other frame is about a job that has ended.
            if self.receive(&mut inbox).is_err() {
                leave_with_group();
            }
        }
    }

    /// The receiving end, for one thread at a time.
    pub(super) fn inbox(&self) -> MutexGuard<'_, Inbox> {
        lock(&self.inbox)
    }

    /// Waits for one frame. `None` if it started a job, which waits for its turn, or if the app has asked for the end
    /// of the process.
    pub(super) fn receive<'a>(
        &self,
        inbox: &'a mut Inbox,
    ) -> Result<Option<Packet<'a>>, RecvError> {
        let scratch = inbox.scratch.get_or_insert_with(Scratch::new);
        match self.control.recv(scratch, Wait::Yes)? {
            Received::Packet(packet) if packet.kind == Kind::Start as u8 => {
                if let Some(start) = Start::decode(&packet.payload) {
                    let descriptors = packet.descriptors.claim();
                    inbox.starts.push_back((packet.job, start, descriptors));
                }
                Ok(None)
            }
            Received::Packet(packet) => Ok(Some(packet)),
            // A call that waits finds nothing only at the end of the socket.
            Received::Closed | Received::Empty => {
                self.retire();
                Ok(None)
            }
        }
    }

    // --- log ----------------------------------------------------------------------------------

    /// Sends a record to the app if the socket has space, else queues it, or drops and counts it if the queue is full.
    /// Never waits for the app.
    pub(super) fn log(
        &self,
        level: u8,
        target: &str,
        text: String,
        (file, line): (Option<&str>, Option<u32>),
    ) {
        if !self.control.is_own() {
            return;
        }
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let entry = LogEntry {
            level,
            target: cut(target.to_owned(), TARGET_MAX),
            text: cut(text, RECORD_MAX),
            file: file.map(|file| cut(file.to_owned(), TARGET_MAX)),
            line,
            time: since_1970.unwrap_or_default().as_micros() as u64,
            printed: self.printed(),
        };
        let Ok(encoded) = postcard::to_allocvec(&entry) else {
            return;
        };
        let mut logs = lock(&self.logs);
        if logs.bytes + encoded.len() > LOG_QUEUE_MAX {
            logs.dropped += 1;
            return;
        }
        logs.bytes += encoded.len();
        let dropped_before = std::mem::take(&mut logs.dropped);
        logs.entries.push_back(Queued {
            job: self.job.load(Acquire),
            encoded,
            dropped_before,
        });
        if !self.logs_blocked.load(Acquire) && !self.flush_queue(&mut logs) {
            self.logs_blocked.store(true, Release);
            drop(logs);
            self.wake_watcher();
        }
    }

    /// How many bytes were printed by now, to standard output and error.
    fn printed(&self) -> [u64; 2] {
        let unread = |fd| rustix::io::ioctl_fionread(fd).unwrap_or_default();
        [
            self.page.printed(0, || unread(rustix::stdio::stdout())),
            self.page.printed(1, || unread(rustix::stdio::stderr())),
        ]
    }

    /// Sends the queued records as far as the socket has space. Called by the watcher when it has some.
    pub(super) fn flush_logs(&self) {
        let mut logs = lock(&self.logs);
        let all_sent = self.flush_queue(&mut logs);
        self.logs_blocked.store(!all_sent, Release);
    }

    /// Sends the queued records, and waits for space for no longer than `bound`. Drops and counts what is left.
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
            self.send(Kind::Log, &batch(lost, 0, &[]));
            *logs = LogQueue::default();
        }
    }

    /// Sends the queue in batches. Returns false if the socket ran out of space.
    fn flush_queue(&self, logs: &mut LogQueue) -> bool {
        while let Some(first) = logs.entries.front() {
            let (job, dropped) = (first.job, first.dropped_before);
            let (mut count, mut body) = (0, Vec::new());
            for entry in logs.entries.iter().take(LOG_RECORDS_MAX) {
                let fits = body.len() + entry.encoded.len() <= LOG_BATCH;
                let goes_along = fits && entry.dropped_before == 0 && entry.job == job;
                if count > 0 && !goes_along {
                    break;
                }
                body.extend_from_slice(&entry.encoded);
                count += 1;
            }
            let packet = batch(dropped, count, &body);
            let sent = (self.control).send_about(job, Kind::Log, &packet, &[], Wait::No);
            let lost = match sent {
                Ok(()) => 0,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // It would fail again, and the watcher would retry for ever.
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

    /// Sends a frame about a job, and waits for space in the socket.
    pub(super) fn send_about(
        &self,
        job: JobNumber,
        kind: Kind,
        payload: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        (self.control).send_about(job, kind, payload, descriptors, Wait::Yes)
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
            time: 8,
            printed: [9, 10],
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
