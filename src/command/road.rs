//! What a program writes, on its way to whoever reads.
//!
//! A road has one of three rules, and the program never waits for a reader that is not there:
//!
//! - *kept*: nobody reads yet. The newest [`KEPT`] bytes are kept, older ones are dropped.
//! - *read*: somebody reads. Nothing is lost; with [`AHEAD`] bytes unread the pipe is left alone,
//!   and the program waits, as it would for any reader.
//! - *collected*: all is wanted in the end, up to a limit, behind which the rest is dropped.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::task::Waker;

use rustix::io::{Errno, retry_on_intr};

use super::lines::{LineSplitter, RawLine};
use super::page_advice::Populate;
use super::pipe_capacity::PipeCapacity;
use super::progress::LineProgress;
use crate::main_loop::hub::Lane;

/// How much is kept for a reader that comes later (64 KiB).
pub(super) const KEPT: usize = 64 * 1024;
/// How far the app reads ahead of its reader (256 KiB).
pub(super) const AHEAD: usize = 256 * 1024;
/// How much of the end is kept for an error's words (8 KiB).
pub(super) const TAIL: usize = 8 * 1024;

/// How much there is room for in every read (64 KiB, what a pipe holds that is not widened).
const CHUNK: usize = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Keep,
    Read,
    Collect { limit: usize },
}

/// One of a program's two outputs.
pub(super) struct Road {
    pub(super) lane: Lane,
    pub(super) fd: Option<OwnedFd>,
    rule: Rule,
    bytes: VecDeque<u8>,
    collected: Vec<u8>,
    populate: Populate,
    capacity: PipeCapacity,
    tail: VecDeque<u8>,
    /// The tail is what came behind what was collected, not the end of all.
    tail_goes_on: bool,
    /// Bytes were dropped because nobody read, or because of the limit.
    pub(super) dropped: bool,
    /// Not watched, until somebody has read.
    pub(super) paused: bool,
    progress: Option<Watched>,
    pub(super) waker: Option<Waker>,
    /// The reader is gone: what comes is thrown away.
    pub(super) abandoned: bool,
}

/// A road whose lines tell of progress.
struct Watched {
    /// `None` while it looks at a line.
    parser: Option<Box<dyn LineProgress>>,
    splitter: LineSplitter,
    lines: Vec<RawLine>,
}

impl Road {
    pub(super) fn new(lane: Lane, fd: OwnedFd, rule: Rule) -> Self {
        Road {
            lane,
            fd: Some(fd),
            rule,
            bytes: VecDeque::new(),
            collected: Vec::new(),
            populate: Populate::default(),
            capacity: PipeCapacity::default(),
            tail: VecDeque::new(),
            tail_goes_on: false,
            dropped: false,
            paused: false,
            progress: None,
            waker: None,
            abandoned: false,
        }
    }

    pub(super) fn collects(&self) -> bool {
        matches!(self.rule, Rule::Collect { .. })
    }

    /// From now on somebody reads.
    pub(super) fn read_from_now(&mut self) {
        if self.rule == Rule::Keep {
            self.rule = Rule::Read;
        }
    }

    /// Whether the reader is so far behind that the program has to wait.
    pub(super) fn is_full(&self) -> bool {
        self.rule == Rule::Read && !self.abandoned && self.bytes.len() >= AHEAD
    }

    /// Has the lines shown to `parser`.
    pub(super) fn tell_progress_to(&mut self, parser: Box<dyn LineProgress>) {
        self.progress = Some(Watched {
            parser: Some(parser),
            splitter: LineSplitter::default(),
            lines: Vec::new(),
        });
    }

    /// The lines that have come, and who is to look at them with nothing borrowed.
    pub(super) fn take_lines(&mut self) -> Option<(Box<dyn LineProgress>, Vec<RawLine>)> {
        let watched = self.progress.as_mut()?;
        if watched.lines.is_empty() {
            return None;
        }
        let parser = watched.parser.take()?;
        Some((parser, std::mem::take(&mut watched.lines)))
    }

    /// Whoever looked at the lines, at the end.
    pub(super) fn take_parser(&mut self) -> Option<Box<dyn LineProgress>> {
        self.progress.take()?.parser
    }

    /// Returns it when it is needed no more.
    pub(super) fn give_back(
        &mut self,
        parser: Box<dyn LineProgress>,
    ) -> Option<Box<dyn LineProgress>> {
        match &mut self.progress {
            Some(watched) => watched.parser.replace(parser),
            None => Some(parser),
        }
    }

    /// One read, into where it belongs. `None` when there is nothing left to read from.
    pub(super) fn read(&mut self) -> Option<Result<usize, Errno>> {
        let fd = self.fd.take()?;
        let result = match self.rule {
            // All is wanted: read it to where it stays.
            Rule::Collect { limit } if self.progress.is_none() && self.collected.len() < limit => {
                self.tail_goes_on = true;
                self.collected.reserve(CHUNK);
                self.populate.ahead(&mut self.collected);
                let read = retry_on_intr(|| {
                    rustix::io::read(&fd, rustix::buffer::spare_capacity(&mut self.collected))
                });
                if let Ok(length) = read {
                    self.capacity.passed(&fd, length);
                }
                if self.collected.len() > limit {
                    let surplus = self.collected.split_off(limit);
                    self.keep_tail(&surplus);
                    self.dropped = true;
                }
                read
            }
            _ => {
                let mut buffer = [0; CHUNK];
                retry_on_intr(|| rustix::io::read(&fd, &mut buffer))
                    .inspect(|length| self.feed(&buffer[..*length]))
            }
        };
        self.fd = Some(fd);
        Some(result)
    }

    /// Nothing more will come.
    pub(super) fn end(&mut self) -> Option<OwnedFd> {
        if let Some(watched) = &mut self.progress {
            watched.lines.extend(watched.splitter.finish());
        }
        self.capacity = PipeCapacity::default();
        self.fd.take()
    }

    /// Takes in what was read.
    fn feed(&mut self, bytes: &[u8]) {
        self.keep_tail(bytes);
        if let Some(Watched {
            splitter, lines, ..
        }) = &mut self.progress
        {
            splitter.feed(bytes, |line| lines.push(line));
        }
        match self.rule {
            Rule::Collect { limit } => {
                let room = limit - self.collected.len();
                self.collected
                    .extend_from_slice(&bytes[..bytes.len().min(room)]);
                self.dropped |= bytes.len() > room;
            }
            Rule::Read if self.abandoned => (),
            Rule::Read => self.bytes.extend(bytes),
            Rule::Keep => {
                self.bytes.extend(bytes);
                let surplus = self.bytes.len().saturating_sub(KEPT);
                self.bytes.drain(..surplus);
                self.dropped |= surplus > 0;
            }
        }
    }

    fn keep_tail(&mut self, bytes: &[u8]) {
        self.tail.extend(&bytes[bytes.len().saturating_sub(TAIL)..]);
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..surplus);
    }

    pub(super) fn has_bytes(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// What can be read now.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        if self.bytes.is_empty() {
            return None;
        }
        Some(std::mem::take(&mut self.bytes).into())
    }

    /// What was kept, if nobody has asked for it.
    pub(super) fn take_kept(&mut self) -> Option<Vec<u8>> {
        (self.rule == Rule::Keep).then(|| std::mem::take(&mut self.bytes).into())
    }

    pub(super) fn collected(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.collected)
    }

    pub(super) fn tail(&self) -> String {
        let mut bytes = Vec::new();
        if self.tail_goes_on {
            let room = TAIL - self.tail.len();
            let from = self.collected.len().saturating_sub(room);
            bytes.extend_from_slice(&self.collected[from..]);
        }
        bytes.extend(&self.tail);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
