//! The standard output of this command while a program runs.

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::stdio::stdout;

use super::event::Event;
use super::queue::{End, Queue};
use crate::failure::tell;

/// Writes what a program has written, or a line for each event.
pub(super) struct Outlet {
    end: End,
    waiting: Queue,
    /// Returns the line of an event. If it is missing, the output of the program is written unchanged.
    line: Option<Line>,
    is_broken: bool,
}

pub(crate) type Line = fn(&Event<'_>) -> String;

impl Outlet {
    pub(super) fn new(line: Option<Line>) -> Self {
        Self {
            end: End::of(stdout(), OFlags::WRONLY),
            waiting: Queue::default(),
            line,
            is_broken: false,
        }
    }

    pub(super) fn is_of_lines(&self) -> bool {
        self.line.is_some()
    }

    pub(super) fn happened(&mut self, event: &Event<'_>) {
        match (self.line, event) {
            _ if self.is_broken => (),
            (Some(line), event) => self.waiting.push(format!("{}\n", line(event)).as_bytes()),
            (None, Event::Output(_, bytes)) => self.waiting.push(bytes),
            (None, _) => (),
        }
    }

    /// Returns whether nothing is left to write.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Returns what to wait for if something is left to write.
    pub(super) fn room(&self) -> PollFd<'_> {
        PollFd::new(&self.end, PollFlags::OUT)
    }

    /// Writes as much as possible without blocking. After an error, nothing more is written.
    pub(super) fn write(&mut self) -> Result<(), Errno> {
        while !self.waiting.is_empty() && self.end.is_ready(PollFlags::OUT) {
            match self.waiting.empty_into(&self.end) {
                Ok(()) => (),
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                Err(error) => {
                    self.waiting = Queue::default();
                    self.is_broken = true;
                    if self.line.is_some() {
                        tell(&format!("what happens cannot be printed any more: {error}"));
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
