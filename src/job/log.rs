//! What a job logs and prints, on its way into the app's log.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use futures_core::Stream;
use glib::{GString, LogField, LogLevel, gstr};

use crate::main_loop::hub::Pace;
use crate::wire::frame::LogEntry;
use crate::wire::limits::{RECORD_MAX, TARGET_MAX, cut};

/// How many records wait for a [`Logs`] that is not read, before the oldest are dropped.
pub(super) const LOGS_MAX: usize = 4096;

/// The targets of what a job prints rather than logs.
pub(super) const OUTPUTS: [&str; 2] = ["stdout", "stderr"];

/// How important a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is suspicious.
    Warn,
    /// Worth knowing. Everything that is printed has this level.
    Info,
    /// For the job's developer.
    Debug,
    /// For the job's developer, in every detail.
    Trace,
}

/// One thing that a job logged, or one line that it printed.
///
/// In GLib's structured log, where all of them go unless
/// [`forward_logs`](crate::JobBuilder::forward_logs) says otherwise, a record has the job's label
/// as its domain, and these levels: error is critical, warn is warning, info is info, debug and
/// trace are debug. (So `G_DEBUG=fatal-criticals` aborts the app at a job's `error!`.) Its fields
/// are `MESSAGE`, `LEGWORK_JOB`, `LEGWORK_PID`, `LEGWORK_TARGET`, `LEGWORK_TIME` (in microseconds since
/// 1970), `CODE_FILE` and `CODE_LINE` where they are known, and `LEGWORK_DROPPED` where records are
/// missing before it.
///
/// What one thread logs, and what it prints to one of its two outputs, arrives in order, unless the app is so slow that
/// records wait in the worker. Between two records, what it prints to one output may change places with what it prints to
/// the other. (Only what has left a buffer is printed: Rust's standard output writes at the end of a line, and C's when
/// its buffer is full.)
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRecord {
    /// How important it is.
    pub level: Level,
    /// The module that logged it; `stdout` or `stderr` for what was printed.
    pub target: String,
    /// When it was logged, or when the app has read what was printed.
    pub time: SystemTime,
    /// The text. At most 8 KiB: a longer one is cut and ends in `…`.
    pub text: String,
    /// The source file and line, if known.
    pub place: Option<(String, u32)>,
    /// How many records before this one were dropped, because the app was slower than the job.
    pub dropped: u64,
}

impl LogRecord {
    pub(super) fn from_entry(entry: LogEntry, dropped: u64) -> Self {
        LogRecord {
            level: match entry.level {
                0 | 1 => Level::Error,
                2 => Level::Warn,
                3 => Level::Info,
                4 => Level::Debug,
                _ => Level::Trace,
            },
            // An honest worker has cut them already.
            target: cut(entry.target, TARGET_MAX),
            text: cut(entry.text, RECORD_MAX),
            place: entry.file.map(|file| cut(file, TARGET_MAX)).zip(entry.line),
            time: (SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(entry.time)))
                .unwrap_or_else(SystemTime::now),
            dropped,
        }
    }

    /// What was not logged by the job.
    pub(super) fn plain(target: &str, text: String) -> Self {
        LogRecord {
            level: Level::Info,
            target: target.to_owned(),
            time: SystemTime::now(),
            text,
            place: None,
            dropped: 0,
        }
    }

    /// Writes the record into GLib's structured log, in the domain of the job's name.
    pub(super) fn to_glib(&self, job: &str, pid: u32) {
        let level = match self.level {
            Level::Error => LogLevel::Critical,
            Level::Warn => LogLevel::Warning,
            Level::Info => LogLevel::Info,
            Level::Debug | Level::Trace => LogLevel::Debug,
        };
        let time = self.time.duration_since(SystemTime::UNIX_EPOCH);
        let time = time.unwrap_or_default();
        let fields = [
            (gstr!("PRIORITY"), Some(level.priority().to_owned())),
            (gstr!("GLIB_DOMAIN"), Some(job.to_owned())),
            (gstr!("MESSAGE"), Some(self.text.clone())),
            (gstr!("LEGWORK_JOB"), Some(job.to_owned())),
            (gstr!("LEGWORK_PID"), Some(pid.to_string())),
            (gstr!("LEGWORK_TARGET"), Some(self.target.clone())),
            (gstr!("LEGWORK_TIME"), Some(time.as_micros().to_string())),
            (
                gstr!("CODE_FILE"),
                self.place.as_ref().map(|(file, _)| file.clone()),
            ),
            (
                gstr!("CODE_LINE"),
                self.place.as_ref().map(|(_, line)| line.to_string()),
            ),
            (
                gstr!("LEGWORK_DROPPED"),
                Some(self.dropped).filter(|n| *n > 0).map(|n| n.to_string()),
            ),
        ]
        .map(|(key, value)| (key, value.map(|value| for_glib(&value))));
        let fields: Vec<LogField<'_>> = fields
            .iter()
            .filter_map(|(key, value)| Some((key, value.as_ref()?)))
            .map(|(key, value)| LogField::new(key, value.as_bytes()))
            .collect();
        glib::log_structured_array(level, &fields);
    }
}

/// A text as GLib's writers take it.
///
/// A field has a length, but GLib's writer for terminals and files reads up to the next NUL; and it
/// escapes control characters at a cost that grows with the square of their number. So the text ends
/// with a NUL (a `GString` does), and has `?` in place of control characters.
fn for_glib(text: &str) -> GString {
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    GString::from_string_unchecked(text.replace(control, "?"))
}

/// A job's records, as a stream. From [`JobHandle::logs`](crate::JobHandle::logs).
///
/// At most 4,096 records wait to be read; after that the oldest are dropped, and the next record that is
/// read says how many. The stream ends when the job has ended and everything has been read. `Send` and
/// `Sync`.
#[derive(Debug)]
pub struct Logs {
    ring: Arc<Ring>,
    /// Which of the ring's readers it is.
    reader: u64,
    pace: Pace,
}

#[derive(Debug, Default)]
pub(super) struct Ring(Mutex<RingState>);

#[derive(Debug, Default)]
struct RingState {
    records: VecDeque<LogRecord>,
    dropped: u64,
    ended: bool,
    readers: u64,
    /// One for each reader that waits: a few.
    wakers: Vec<(u64, Waker)>,
}

impl Ring {
    fn lock(&self) -> MutexGuard<'_, RingState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes those who wait.
    fn change(&self, change: impl FnOnce(&mut RingState)) {
        let mut state = self.lock();
        change(&mut state);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(|(_, waker)| waker.wake());
    }

    pub(super) fn push(&self, mut record: LogRecord) {
        self.change(|state| {
            if state.records.len() >= LOGS_MAX
                && let Some(lost) = state.records.pop_front()
            {
                state.dropped = state.dropped.saturating_add(lost.dropped).saturating_add(1);
            }
            if state.records.is_empty() {
                record.dropped = record
                    .dropped
                    .saturating_add(std::mem::take(&mut state.dropped));
            }
            state.records.push_back(record);
        });
    }

    pub(super) fn end(&self) {
        self.change(|state| state.ended = true);
    }
}

impl Logs {
    pub(super) fn of(ring: &Arc<Ring>, pace: Pace) -> Logs {
        let mut state = ring.lock();
        state.readers += 1;
        Logs {
            ring: ring.clone(),
            reader: state.readers,
            pace,
        }
    }

    /// Waits for the next record; `None` when the job has ended and everything has been read. On the thread of the job's
    /// context, it lets the main loop run after 2 ms of reading without a pause.
    pub async fn recv(&mut self) -> Option<LogRecord> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Returns the next record if it has arrived already.
    pub fn try_recv(&mut self) -> Option<LogRecord> {
        Logs::take(&mut self.ring.lock())
    }

    fn take(state: &mut RingState) -> Option<LogRecord> {
        let mut record = state.records.pop_front()?;
        let dropped = std::mem::take(&mut state.dropped);
        record.dropped = record.dropped.saturating_add(dropped);
        Some(record)
    }
}

impl Stream for Logs {
    type Item = LogRecord;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<LogRecord>> {
        let is_there = !self.ring.lock().records.is_empty();
        std::task::ready!(self.pace.poll(cx, is_there));
        // Cloned and dropped without the lock: that may run the app's code.
        let waker = cx.waker().clone();
        let mut state = self.ring.lock();
        if let Some(record) = Logs::take(&mut state) {
            return Poll::Ready(Some(record));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        let old = state.replace_waker(self.reader, Some(waker));
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        let old = self.ring.lock().replace_waker(self.reader, None);
        drop(old);
    }
}

impl RingState {
    /// Replaces a reader's waker, and returns the one before.
    fn replace_waker(&mut self, reader: u64, waker: Option<Waker>) -> Option<Waker> {
        let place = self.wakers.iter().position(|(other, _)| *other == reader);
        let old = place.map(|place| self.wakers.swap_remove(place).1);
        self.wakers.extend(waker.map(|waker| (reader, waker)));
        old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_is_dropped_oldest_first_and_counted() {
        let ring = Arc::<Ring>::default();
        let mut logs = Logs::of(&ring, Pace::default());
        for n in 0..LOGS_MAX + 3 {
            ring.push(LogRecord::plain("stdout", n.to_string()));
        }
        let first = logs.try_recv().unwrap();
        assert_eq!((first.text.as_str(), first.dropped), ("3", 3));
        let mut rest = 0;
        while let Some(record) = logs.try_recv() {
            assert_eq!(record.dropped, 0);
            rest += 1;
        }
        assert_eq!(rest, LOGS_MAX - 1);
    }
}
