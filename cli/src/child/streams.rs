//! The data that this command copies between a program and its own standard descriptors.
//!
//! Each direction has one buffer, and is read again when the buffer has been written. Nothing blocks: a program that
//! does not read its input, or a reader that does not read the output, delays only that direction.

use std::ffi::CString;
use std::io::{self, PipeWriter, pipe};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::event::{Event, Stream};
use super::outlet::{Line, Outlet};
use super::queue::READ;
use super::terminal::Terminal;
use crate::failure::Failure;

/// The terminal and the pipes of a program, and the events.
#[derive(Default)]
pub(crate) struct Streams {
    terminal: Option<Terminal>,
    sources: Vec<Source>,
    outlet: Option<Outlet>,
}

/// Where output of the program is read.
struct Source {
    stream: Stream,
    fd: OwnedFd,
    /// The last read found nothing.
    is_drained: bool,
    /// The beginning of a character whose end has not arrived.
    part: Vec<u8>,
}

impl Streams {
    /// Creates streams that print events.
    pub(crate) fn with_events(line: Line) -> Self {
        Self {
            outlet: Some(Outlet::new(Some(line))),
            ..Self::default()
        }
    }

    /// Returns whether output of the program becomes events.
    pub(crate) fn have_events(&self) -> bool {
        self.outlet.is_some()
    }

    /// Opens a terminal for the program; returns its path.
    pub(crate) fn open_terminal(&mut self) -> io::Result<CString> {
        let terminal = Terminal::open()?;
        let path = terminal.path();
        self.add(Stream::Terminal, terminal.duplicate()?);
        self.terminal = Some(terminal);
        self.outlet.get_or_insert_with(|| Outlet::new(None));
        Ok(path)
    }

    /// Creates a pipe for one stream of the program; returns the program's end.
    pub(crate) fn open_pipe(&mut self, stream: Stream) -> io::Result<PipeWriter> {
        let (reader, writer) = pipe()?;
        rustix::io::ioctl_fionbio(&reader, true)?;
        self.add(stream, reader.into());
        Ok(writer)
    }

    fn add(&mut self, stream: Stream, fd: OwnedFd) {
        self.sources.push(Source {
            stream,
            fd,
            is_drained: false,
            part: Vec::new(),
        });
    }

    /// Is called when the program has been started.
    pub(crate) fn begin(&mut self, pid: u32) {
        self.happened(&Event::Started(pid));
        if let Some(terminal) = &mut self.terminal {
            terminal.begin();
        }
    }

    pub(super) fn happened(&mut self, event: &Event<'_>) {
        if let Some(outlet) = &mut self.outlet {
            outlet.happened(event);
        }
    }

    /// Is called when the terminal of this command has a new size.
    pub(super) fn take_size(&self) {
        if let Some(terminal) = &self.terminal {
            terminal.take_size();
        }
    }

    /// Adds the descriptors to wait for.
    pub(super) fn add_to<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        if let Some(terminal) = &self.terminal {
            terminal.add_to(fds);
        }
        match &self.outlet {
            Some(outlet) if !outlet.is_empty() => fds.push(outlet.room()),
            _ => {
                let sources = self.sources.iter();
                fds.extend(sources.map(|source| PollFd::new(&source.fd, PollFlags::IN)));
            }
        }
    }

    /// Returns whether output waits for its reader.
    pub(super) fn are_held_up(&self) -> bool {
        let outlet = self.outlet.as_ref();
        outlet.is_some_and(|outlet| !outlet.is_empty())
    }

    /// Returns whether everything has been read that a program has written before its end.
    pub(super) fn are_drained(&self) -> bool {
        self.sources.iter().all(|source| source.is_drained)
    }

    /// Copies in both directions as much as possible without blocking.
    pub(super) fn copy(&mut self) {
        if let Some(outlet) = &mut self.outlet {
            let is_read = outlet.is_empty();
            self.sources.retain_mut(|source| {
                // Since the last read it may have written more.
                source.is_drained = false;
                !is_read || source.read(outlet)
            });
            if let Err(error) = outlet.write() {
                self.lose_reader(error);
            }
        }
        if let Some(terminal) = &mut self.terminal {
            terminal.copy();
        }
    }

    /// Nobody reads the output any more. The program sees the same as without this command: its terminal is hung up,
    /// and its standard output is a pipe without a reader. Its other output is read and dropped.
    fn lose_reader(&mut self, error: Errno) {
        self.terminal = None;
        self.sources.retain(|source| match source.stream {
            Stream::Terminal => false,
            Stream::Stdout => error != Errno::PIPE,
            Stream::Stderr => true,
        });
    }

    /// Prints the last event.
    pub(super) fn end(&mut self, event: &Event<'_>) {
        for source in std::mem::take(&mut self.sources) {
            if !source.part.is_empty() {
                self.happened(&Event::Output(source.stream, &source.part));
            }
        }
        self.happened(event);
    }

    /// Prints that the command has failed, and waits until that is written, unless the reader is slow already.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        let is_held_up = self.are_held_up();
        self.end(&Event::Failed(failure));
        if let (Some(outlet), false) = (&mut self.outlet, is_held_up) {
            while !outlet.is_empty() && poll(&mut [outlet.room()], None).is_ok() {
                let _ = outlet.write();
            }
        }
    }
}

impl Source {
    /// Reads once, and passes on what was read; returns whether there may be more later.
    fn read(&mut self, outlet: &mut Outlet) -> bool {
        let mut buffer = [0; READ];
        let length = match rustix::io::read(&self.fd, &mut buffer) {
            Err(Errno::AGAIN | Errno::INTR) => {
                self.is_drained = true;
                return true;
            }
            Ok(0) | Err(_) if self.part.is_empty() => return false,
            found => found.unwrap_or(0),
        };
        self.part.extend_from_slice(&buffer[..length]);
        // A character is never split between two events.
        let whole = match str::from_utf8(&self.part) {
            Err(error) if error.error_len().is_none() && outlet.is_of_lines() && length > 0 => {
                error.valid_up_to()
            }
            _ => self.part.len(),
        };
        let rest = self.part.split_off(whole);
        if whole > 0 {
            outlet.happened(&Event::Output(self.stream, &self.part));
        }
        self.part = rest;
        length > 0
    }
}
