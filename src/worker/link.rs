//! The worker's connection to the app: the state of the process, shared by everything in it that has
//! to say something. The state of the job that runs in it is [`Run`]'s.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::run::Run;
use crate::wire::control::{Control, Packet, Received, RecvError, Scratch, Wait};
use crate::wire::frame::{JobNumber, Kind, LOG_RECORDS_MAX, LogEntry, NO_JOB, Start};
use crate::wire::page::Page;

/// How many bytes of log records wait for room in the socket before records are dropped (4 MiB).
pub(crate) const LOG_QUEUE_MAX: usize = 4 * 1024 * 1024;

/// How many bytes of records go into one batch, unless a single one has more.
const LOG_BATCH: usize = 32 * 1024;

/// The one connection of a worker process.
static LINK: OnceLock<Link> = OnceLock::new();

/// See the module.
pub(super) struct Link {
    pub(super) control: Control,
    pub(super) page: Page,
    /// The process is to end, and the job in it to stop.
    retiring: AtomicBool,
    /// Written to wake the watcher.
    pub(super) wake: OwnedFd,
    inbox: Mutex<Inbox>,
    /// The job that runs, for those who are not part of it: the watcher and the log.
    current: Mutex<Option<Arc<Run>>>,
    /// Its number, for a signal handler.
    number: AtomicU32,
    logs: Mutex<LogQueue>,
    /// Records wait for room: the watcher looks out for it.
    pub(super) logs_blocked: AtomicBool,
}

/// What was received and is not for whoever received it.
#[derive(Default)]
struct Inbox {
    /// 64 KiB: made when the first frame is read here, so that most workers never have it.
    scratch: Option<Scratch>,
    starts: VecDeque<Assigned>,
}

/// A job to run: its number, what it is, and the descriptors of its input.
pub(super) type Assigned = (JobNumber, Start, Vec<OwnedFd>);

#[derive(Debug, Default)]
struct LogQueue {
    /// Oldest first.
    entries: VecDeque<Queued>,
    bytes: usize,
    /// How many were dropped since the last of these.
    dropped: u64,
}

/// A record that waits for room.
#[derive(Debug)]
struct Queued {
    job: JobNumber,
    encoded: Vec<u8>,
    dropped_before: u64,
}

pub(super) enum Request {
    Bytes(Vec<u8>, Vec<OwnedFd>),
    End,
    /// The job was asked to stop, or the process to end.
    Cancelled,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic under one of these locks leaves plain data that is still right.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    /// Makes the process's connection. Called once.
    pub(super) fn establish(control: Control, page: Page, wake: OwnedFd) -> &'static Link {
        LINK.get_or_init(|| Link {
            control,
            page,
            retiring: AtomicBool::new(false),
            wake,
            inbox: Mutex::default(),
            current: Mutex::default(),
            number: AtomicU32::new(NO_JOB),
            logs: Mutex::default(),
            logs_blocked: AtomicBool::new(false),
        })
    }

    /// The process's connection, in a worker.
    pub(super) fn get() -> Option<&'static Link> {
        LINK.get()
    }

    /// Whether the app has asked for the end of the process.
    pub(super) fn is_retiring(&self) -> bool {
        self.retiring.load(Acquire)
    }

    /// The app asks for the end of the process: wakes the job where it waits for room.
    pub(super) fn retire(&self) {
        self.retiring.store(true, SeqCst);
        self.page.turn_on();
    }

    /// Makes `run` the current job, or none.
    pub(super) fn set_current(&self, run: Option<Arc<Run>>) {
        let number = run.as_ref().map_or(NO_JOB, |run| run.number);
        self.number.store(number, Release);
        let before = std::mem::replace(&mut *lock(&self.current), run);
        drop(before);
    }

    /// The job that runs.
    pub(super) fn current(&self) -> Option<Arc<Run>> {
        lock(&self.current).clone()
    }

    /// Sends a frame about the job that runs, and waits for room in the socket. When the app is gone
    /// the watcher ends this process; until then there is nobody to tell.
    pub(super) fn send(&self, kind: Kind, payload: &[u8]) {
        let job = self.number.load(Acquire);
        let _ = (self.control).send_about(job, kind, payload, &[], Wait::Yes);
    }

    pub(super) fn wake_watcher(&self) {
        // An eventfd refuses only when 2^64-2 wake-ups wait already.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    // --- what the app sends -------------------------------------------------------------------

    /// Waits for the next job. `None` when there will be no other.
    pub(super) fn next_job(&self) -> Option<Assigned> {
        let mut inbox = lock(&self.inbox);
        loop {
            if let Some(start) = inbox.starts.pop_front() {
                return Some(start);
            }
            if self.is_retiring() {
                return None;
            }
            let Inbox { scratch, starts } = &mut *inbox;
            match self.receive(scratch) {
                // Of a job that has ended, but for a start.
                Ok(Some(packet)) => starts.extend(assigned(packet)),
                Ok(None) => return None,
                // It cannot be understood any more.
                Err(_) => super::boot::leave(1),
            }
        }
    }

    /// Waits for the next request to `run`.
    pub(super) fn request(&self, run: &Run) -> Result<Request, RecvError> {
        let mut inbox = lock(&self.inbox);
        loop {
            if run.is_cancelled() {
                return Ok(Request::Cancelled);
            }
            if run.requests_ended.load(Relaxed) {
                return Ok(Request::End);
            }
            let Inbox { scratch, starts } = &mut *inbox;
            // `None`: the process is to end, or the app is gone, and the process about to be.
            let Some(packet) = self.receive(scratch)? else {
                continue;
            };
            match Kind::from_app(packet.kind) {
                Some(Kind::Request) if packet.job == run.number => {
                    let descriptors = packet.descriptors.claim();
                    return Ok(Request::Bytes(packet.payload.to_vec(), descriptors));
                }
                Some(Kind::EndOfRequests) if packet.job == run.number => {
                    run.requests_ended.store(true, Relaxed);
                }
                Some(Kind::Start) => starts.extend(assigned(packet)),
                // Of a job that has ended; or a cancel, which is seen in the page.
                _ => (),
            }
        }
    }

    /// One frame. `None` once the app has asked for the end of the process, which is noted.
    fn receive<'a>(
        &self,
        scratch: &'a mut Option<Scratch>,
    ) -> Result<Option<Packet<'a>>, RecvError> {
        let scratch = scratch.get_or_insert_with(Scratch::new);
        match self.control.recv(scratch, Wait::Yes)? {
            Received::Packet(packet) => Ok(Some(packet)),
            // A blocking call is never empty-handed but by a signal.
            Received::Closed | Received::Empty => {
                self.retire();
                Ok(None)
            }
        }
    }

    // --- log ----------------------------------------------------------------------------------

    /// Hands a record to the app if there is room, or keeps it, or counts it as dropped. Never
    /// waits for the app.
    pub(super) fn log(&self, entry: &LogEntry) {
        let Ok(encoded) = postcard::to_allocvec(entry) else {
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
            job: self.number.load(Acquire),
            encoded,
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

    /// At the end of a job: sends what waits, for no longer than `bound`. What is left then is
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
            self.send(Kind::Log, &batch(lost, 0, &[]));
            *logs = LogQueue::default();
        }
    }

    /// Sends the queue in batches; false when the socket had no more room.
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

    /// Sends a frame about a job, and waits for room in the socket.
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

/// The job that a frame starts, if it starts one.
fn assigned(packet: Packet<'_>) -> Option<Assigned> {
    if packet.kind != Kind::Start as u8 {
        return None;
    }
    let start = Start::decode(&packet.payload)?;
    Some((packet.job, start, packet.descriptors.claim()))
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
