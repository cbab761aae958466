//! Reads one of a program's outputs, for whoever wants it.
//!
//! There are three rules, and by none of them does the program wait for a reader that is not there:
//!
//! - *keep*: nobody reads yet. The newest [`KEPT`] bytes are kept, older ones are dropped.
//! - *stream*: somebody reads. Nothing is lost: with [`READ_AHEAD`] bytes unread, the pipe is left alone and the program
//!   waits, as it would for any reader.
//! - *collect*: all of it is wanted at the end, up to a limit; what exceeds it is dropped.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, Waker};

use rustix::io::{Errno, retry_on_intr};

use super::page_advice::Populate;
use super::pipe_capacity::PipeCapacity;
use super::progress_reader::ProgressReader;
use crate::child::seat::Seat;
use crate::command::lane::Lane;
use crate::command::outcome::Captured;
use crate::wire::nul::lossy;

/// How much is kept for a reader that comes later (64 KiB).
pub(in crate::command) const KEPT: usize = 64 * 1024;
/// How far the app reads ahead of its reader (256 KiB).
const READ_AHEAD: usize = 256 * 1024;
/// How much of the end is kept for an error (8 KiB).
const TAIL: usize = 8 * 1024;

/// How much is read at a time (64 KiB, the usual capacity of a pipe).
const CHUNK: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::command) enum Rule {
    Keep,
    Stream,
    Collect { limit: usize },
}

/// See the module.
pub(in crate::command) struct OutputReader {
    lane: Lane,
    state: RefCell<State>,
}

struct State {
    /// `None` at the end.
    fd: Option<OwnedFd>,
    is_watched: bool,
    rule: Rule,
    /// Nobody will read it any more: what comes is dropped.
    is_discarded: bool,
    unread: VecDeque<u8>,
    collected: Vec<u8>,
    populate: Populate,
    capacity: PipeCapacity,
    /// The newest bytes; of those that are collected in place only what exceeded the limit.
    tail: VecDeque<u8>,
    is_truncated: bool,
    waker: Option<Waker>,
}

/// What came of one read.
#[derive(Default)]
pub(in crate::command) struct Read {
    pub(in crate::command) length: usize,
    /// There may be more to read.
    pub(in crate::command) goes_on: bool,
    /// To be called.
    pub(in crate::command) waker: Option<Waker>,
}

impl OutputReader {
    pub(in crate::command) fn new(lane: Lane, fd: OwnedFd, rule: Rule) -> Self {
        let state = State {
            fd: Some(fd),
            is_watched: false,
            rule,
            is_discarded: false,
            unread: VecDeque::new(),
            collected: Vec::new(),
            populate: Populate::default(),
            capacity: PipeCapacity::default(),
            tail: VecDeque::new(),
            is_truncated: false,
            waker: None,
        };
        OutputReader {
            lane,
            state: RefCell::new(state),
        }
    }

    /// Whether nothing more will come.
    pub(in crate::command) fn is_at_end(&self) -> bool {
        self.state.borrow().fd.is_none()
    }

    pub(in crate::command) fn has_unread(&self) -> bool {
        !self.state.borrow().unread.is_empty()
    }

    /// Whether it is not watched though the end has not come: the reader is far behind, or the kernel cannot watch it.
    pub(in crate::command) fn is_paused(&self) -> bool {
        let state = self.state.borrow();
        state.fd.is_some() && !state.is_watched
    }

    /// Whether it is to be watched, and the kernel cannot do so.
    pub(in crate::command) fn is_unwatched(&self) -> bool {
        self.is_paused() && !self.state.borrow().is_full()
    }

    /// Watches it, unless the reader is far behind.
    pub(in crate::command) fn watch(&self, seat: &Seat) {
        let mut state = self.state.borrow_mut();
        if !state.is_watched
            && !state.is_full()
            && let Some(fd) = &state.fd
        {
            state.is_watched = seat.watch(self.lane.token(), fd.as_fd()).is_ok();
        }
    }

    /// Somebody reads from now on.
    pub(in crate::command) fn start_stream(&self) {
        let mut state = self.state.borrow_mut();
        if state.rule == Rule::Keep {
            state.rule = Rule::Stream;
        }
    }

    /// Nobody reads any more: what comes is dropped.
    pub(in crate::command) fn discard(&self) {
        let mut state = self.state.borrow_mut();
        state.is_discarded = true;
        state.unread = VecDeque::new();
    }

    /// What has been read, at least a byte; `None` at the end.
    pub(in crate::command) fn poll_chunk(&self, cx: &Context<'_>) -> Poll<Option<Vec<u8>>> {
        let mut state = self.state.borrow_mut();
        if !state.unread.is_empty() {
            return Poll::Ready(Some(std::mem::take(&mut state.unread).into()));
        }
        if state.fd.is_none() {
            return Poll::Ready(None);
        }
        let old = state.waker.replace(cx.waker().clone());
        drop(state);
        // May run the app's code: with nothing borrowed.
        drop(old);
        Poll::Pending
    }

    /// Reads once, and shows the bytes to `progress`. A reader that is far behind pauses it, unless it `must` be read.
    pub(in crate::command) fn read(
        &self,
        seat: &Seat,
        progress: Option<&ProgressReader>,
        must: bool,
    ) -> Read {
        let mut state = self.state.borrow_mut();
        let Some(fd) = state.fd.take() else {
            return Read::default();
        };
        if !must && state.is_full() {
            if std::mem::take(&mut state.is_watched) {
                seat.unwatch(fd.as_fd());
            }
            state.fd = Some(fd);
            return Read::default();
        }
        let result = match state.rule {
            Rule::Collect { limit } if progress.is_none() && state.collected.len() < limit => {
                state.collect(&fd, limit)
            }
            _ => {
                let mut buffer = [0; CHUNK];
                let result = retry_on_intr(|| rustix::io::read(&fd, &mut buffer));
                if let Ok(length) = result {
                    state.take_in(&buffer[..length]);
                    if let Some(progress) = progress {
                        progress.feed(self.lane, &buffer[..length]);
                    }
                }
                result
            }
        };
        match result {
            Err(Errno::AGAIN) => {
                state.fd = Some(fd);
                Read::default()
            }
            Ok(length) if length > 0 => {
                state.fd = Some(fd);
                Read {
                    length,
                    goes_on: true,
                    waker: state.waker.take(),
                }
            }
            // The end. EIO is how a terminal says that nobody has its other side open.
            _ => {
                state.fd = Some(fd);
                drop(state.take_fd(seat));
                if let Some(progress) = progress {
                    progress.end_line(self.lane);
                }
                Read {
                    waker: state.waker.take(),
                    ..Read::default()
                }
            }
        }
    }

    /// Acts on the descriptor, unless the end has come.
    pub(in crate::command) fn with_fd<T>(&self, act: impl FnOnce(&OwnedFd) -> T) -> Option<T> {
        self.state.borrow().fd.as_ref().map(act)
    }

    /// Gives up the descriptor, which somebody else reads from now on.
    pub(in crate::command) fn take_fd(&self, seat: &Seat) -> Option<OwnedFd> {
        self.state.borrow_mut().take_fd(seat)
    }

    /// Reads no more. The waker is to be called.
    pub(in crate::command) fn close(&self, seat: &Seat) -> Option<Waker> {
        drop(self.take_fd(seat));
        self.state.borrow_mut().waker.take()
    }

    /// What was kept, if nobody has asked for it.
    pub(in crate::command) fn take_kept(&self) -> Option<Vec<u8>> {
        let mut state = self.state.borrow_mut();
        (state.rule == Rule::Keep).then(|| std::mem::take(&mut state.unread).into())
    }

    /// What was read, for the outcome.
    pub(in crate::command) fn capture(&self) -> Captured {
        let state = &mut *self.state.borrow_mut();
        let from = state
            .collected
            .len()
            .saturating_sub(TAIL - state.tail.len());
        let mut tail = state.collected[from..].to_vec();
        tail.extend(&state.tail);
        Captured {
            bytes: std::mem::take(&mut state.collected),
            truncated: state.is_truncated,
            tail: lossy(&tail),
            is_tail_cut: tail.len() == TAIL,
        }
    }
}

impl State {
    /// Whether the reader is so far behind that the program has to wait.
    fn is_full(&self) -> bool {
        self.rule == Rule::Stream && !self.is_discarded && self.unread.len() >= READ_AHEAD
    }

    fn take_fd(&mut self, seat: &Seat) -> Option<OwnedFd> {
        let fd = self.fd.take()?;
        if std::mem::take(&mut self.is_watched) {
            seat.unwatch(fd.as_fd());
        }
        self.capacity = PipeCapacity::default();
        Some(fd)
    }

    /// Reads to where it stays.
    fn collect(&mut self, fd: &OwnedFd, limit: usize) -> Result<usize, Errno> {
        self.collected.reserve(CHUNK);
        self.populate.ahead(&mut self.collected);
        let length = retry_on_intr(|| {
            rustix::io::read(fd, rustix::buffer::spare_capacity(&mut self.collected))
        })?;
        self.capacity.passed(fd, length);
        if self.collected.len() > limit {
            let surplus = self.collected.split_off(limit);
            self.keep_tail(&surplus);
            self.is_truncated = true;
        }
        Ok(length)
    }

    fn take_in(&mut self, bytes: &[u8]) {
        match self.rule {
            Rule::Collect { limit } => {
                let (wanted, surplus) =
                    bytes.split_at(bytes.len().min(limit - self.collected.len()));
                self.collected.extend_from_slice(wanted);
                self.is_truncated |= !surplus.is_empty();
                self.keep_tail(surplus);
                return;
            }
            Rule::Stream if self.is_discarded => (),
            Rule::Stream => self.unread.extend(bytes),
            Rule::Keep => {
                self.unread.extend(bytes);
                keep_last(&mut self.unread, KEPT);
            }
        }
        self.keep_tail(bytes);
    }

    fn keep_tail(&mut self, bytes: &[u8]) {
        self.tail.extend(&bytes[bytes.len().saturating_sub(TAIL)..]);
        keep_last(&mut self.tail, TAIL);
    }
}

/// Drops all but the last `most` bytes.
fn keep_last(bytes: &mut VecDeque<u8>, most: usize) {
    bytes.drain(..bytes.len().saturating_sub(most));
}
