//! What goes between a program and the standard descriptors of this command, where that is not left to the
//! program itself.
//!
//! Each way holds one bufferful at most, and reads on when that is written. Nothing blocks: a program that does
//! not read, or nobody who looks at what it shows, holds up that way alone.

use std::ffi::CString;
use std::io::{self, PipeWriter, pipe};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::event::{Event, Stream};
use super::outlet::{Line, Outlet};
use super::queue::READ;
use super::terminal::Terminal;

/// All of that, and the events.
#[derive(Default)]
pub(crate) struct Streams {
    terminal: Option<Terminal>,
    sources: Vec<Source>,
    outlet: Option<Outlet>,
}

/// Something that a program writes to.
struct Source {
    stream: Stream,
    fd: OwnedFd,
    /// There was nothing more to read.
    is_drained: bool,
    /// The beginning of a character.
    part: Vec<u8>,
}

impl Streams {
    /// Prints events.
    pub(crate) fn with_events(line: Line) -> Self {
        Self {
            outlet: Some(Outlet::new(Some(line))),
            ..Self::default()
        }
    }

    /// Whether what the program writes comes as events.
    pub(crate) fn have_events(&self) -> bool {
        self.outlet.is_some()
    }

    /// A terminal for the program; returns its path.
    pub(crate) fn open_terminal(&mut self) -> io::Result<CString> {
        let terminal = Terminal::open()?;
        let path = terminal.path();
        self.add(Stream::Terminal, terminal.duplicate()?);
        self.terminal = Some(terminal);
        self.outlet.get_or_insert_with(|| Outlet::new(None));
        Ok(path)
    }

    /// A pipe for what the program writes there; returns the program's end.
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

    /// The program runs.
    pub(crate) fn begin(&mut self, pid: u32) {
        self.happened(&Event::Started(pid));
        if let Some(terminal) = &mut self.terminal {
            terminal.begin();
        }
    }

    pub(crate) fn happened(&mut self, event: &Event<'_>) {
        if let Some(outlet) = &mut self.outlet {
            outlet.happened(event);
        }
    }

    /// The terminal of this command has another size.
    pub(super) fn take_size(&self) {
        if let Some(terminal) = &self.terminal {
            terminal.take_size();
        }
    }

    /// Adds what there is to wait for.
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

    /// Whether something waits for whoever looks at what is shown.
    pub(super) fn are_held_up(&self) -> bool {
        let outlet = self.outlet.as_ref();
        outlet.is_some_and(|outlet| !outlet.is_empty())
    }

    /// Whether everything has been read that the program has written, when it has ended.
    pub(super) fn are_drained(&self) -> bool {
        self.sources.iter().all(|source| source.is_drained)
    }

    /// Copies what there is, both ways, as far as that is taken.
    pub(super) fn copy(&mut self) {
        if let Some(outlet) = &mut self.outlet {
            if outlet.is_empty() {
                self.sources.retain_mut(|source| source.read(outlet));
            }
            if let Err(error) = outlet.write() {
                self.lose_reader(error);
            }
        }
        if let Some(terminal) = &mut self.terminal {
            terminal.copy();
        }
    }

    /// Nobody sees any more what is shown: as when the window of a terminal is closed, or as for a program that
    /// writes to a pipe that nobody reads. What else it writes is read and dropped.
    fn lose_reader(&mut self, error: Errno) {
        self.terminal = None;
        self.sources.retain(|source| match source.stream {
            Stream::Terminal => false,
            Stream::Stdout => error != Errno::PIPE,
            Stream::Stderr => true,
        });
    }

    /// The last event.
    pub(crate) fn end(&mut self, event: &Event<'_>) {
        for source in std::mem::take(&mut self.sources) {
            if !source.part.is_empty() {
                self.happened(&Event::Output(source.stream, &source.part));
            }
        }
        self.happened(event);
    }

    /// Writes what is still to be written, however long that takes.
    pub(crate) fn flush(&mut self) {
        let Some(outlet) = &mut self.outlet else {
            return;
        };
        while !outlet.is_empty() && poll(&mut [outlet.room()], None).is_ok() {
            let _ = outlet.write();
        }
    }
}

impl Source {
    /// Hands on what there is; returns whether more may come.
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
        self.is_drained = false;
        self.part.extend_from_slice(&buffer[..length]);
        // In lines, a character is not divided.
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
