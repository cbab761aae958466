//! Writes a program's standard input, as the program reads it.

use std::cell::RefCell;
use std::os::fd::{AsFd, OwnedFd};
use std::task::Waker;

use rustix::io::Errno;
use rustix::termios::{LocalModes, SpecialCodeIndex, tcgetattr};

use super::no_sigpipe::write_without_sigpipe;
use super::page_advice::Discard;
use super::pipe_capacity::PipeCapacity;
use crate::child::seat::Seat;
use crate::command::lane::Lane;

/// How much is written at a time at most (1 MiB): a program may have enlarged its pipe as it likes. When there is room
/// for more, epoll says so.
const WRITTEN_MAX: usize = 1024 * 1024;

/// See the module. The default is closed.
#[derive(Default)]
pub(in crate::command) struct InputWriter(RefCell<Option<Input>>);

struct Input {
    fd: OwnedFd,
    /// What is still to be written, from `written` on.
    bytes: Vec<u8>,
    written: usize,
    /// Nothing is added to `bytes`: it is closed when all is written.
    is_complete: bool,
    is_watched: bool,
    waker: Option<Waker>,
    kind: Kind,
}

enum Kind {
    Pipe,
    /// All bytes were there from the start.
    Bytes(PipeCapacity, Discard),
    /// Its input ends when the character for that is typed.
    Terminal {
        /// What was written last has not ended its line.
        mid_line: bool,
    },
}

impl InputWriter {
    pub(in crate::command) fn to_pipe(fd: OwnedFd) -> Self {
        InputWriter::new(fd, Vec::new(), Kind::Pipe)
    }

    pub(in crate::command) fn of_bytes(fd: OwnedFd, bytes: Vec<u8>) -> Self {
        let kind = Kind::Bytes(PipeCapacity::default(), Discard::default());
        InputWriter::new(fd, bytes, kind)
    }

    pub(in crate::command) fn to_terminal(fd: OwnedFd) -> Self {
        InputWriter::new(fd, Vec::new(), Kind::Terminal { mid_line: false })
    }

    fn new(fd: OwnedFd, bytes: Vec<u8>, kind: Kind) -> Self {
        InputWriter(RefCell::new(Some(Input {
            fd,
            bytes,
            written: 0,
            is_complete: matches!(kind, Kind::Bytes(..)),
            is_watched: false,
            waker: None,
            kind,
        })))
    }

    /// Whether more can be written.
    pub(in crate::command) fn is_open(&self) -> bool {
        let input = self.0.borrow();
        input.as_ref().is_some_and(|input| !input.is_complete)
    }

    pub(in crate::command) fn is_terminal(&self) -> bool {
        let input = self.0.borrow();
        let kind = input.as_ref().map(|input| &input.kind);
        matches!(kind, Some(Kind::Terminal { .. }))
    }

    /// How much is still to be written; `None` when it is closed. `waker` is called when there is less.
    pub(in crate::command) fn pending(&self, waker: Option<&Waker>) -> Option<usize> {
        let mut slot = self.0.borrow_mut();
        let input = slot.as_mut()?;
        let pending = input.bytes.len() - input.written;
        let old = waker.and_then(|waker| input.waker.replace(waker.clone()));
        drop(slot);
        // May run the app's code: with nothing borrowed.
        drop(old);
        Some(pending)
    }

    /// Adds bytes to what is to be written.
    pub(in crate::command) fn append(&self, bytes: &[u8]) {
        if let Some(input) = &mut *self.0.borrow_mut()
            && !input.is_complete
        {
            // Drops what was written, so that a program that is always a little behind costs no more memory.
            if input.written > input.bytes.len() / 2 {
                input.bytes.drain(..input.written);
                input.written = 0;
            }
            input.bytes.extend_from_slice(bytes);
            if let (Kind::Terminal { mid_line }, Some(last)) = (&mut input.kind, bytes.last()) {
                *mid_line = *last != b'\n';
            }
        }
    }

    /// Nothing more will be appended.
    pub(in crate::command) fn end(&self) {
        if let Some(input) = &mut *self.0.borrow_mut()
            && !std::mem::replace(&mut input.is_complete, true)
            && let Kind::Terminal { mid_line } = input.kind
        {
            input.type_end(mid_line);
        }
    }

    /// Writes as much as there is room for, watches for room for the rest, and closes what is complete. The waker is to
    /// be called.
    pub(in crate::command) fn write(&self, seat: &Seat) -> Option<Waker> {
        let mut slot = self.0.borrow_mut();
        let input = slot.as_mut()?;
        let is_open = loop {
            let rest = &input.bytes[input.written..];
            if rest.is_empty() {
                break !input.is_complete;
            }
            match write_without_sigpipe(&input.fd, &rest[..rest.len().min(WRITTEN_MAX)]) {
                Ok(length) => {
                    let is_all = length == rest.len();
                    input.has_written(length);
                    break !(input.is_complete && is_all);
                }
                Err(Errno::INTR) => (),
                Err(Errno::AGAIN) => break true,
                // The program has closed its input, as it may.
                Err(_) => break false,
            }
        };
        let mut waker = None;
        if input.written == input.bytes.len() {
            input.bytes = Vec::new();
            input.written = 0;
            waker = input.waker.take();
        }
        let needs_room = is_open && !input.bytes.is_empty();
        if needs_room != input.is_watched {
            if needs_room {
                input.is_watched = seat
                    .watch_room(Lane::Input.token(), input.fd.as_fd())
                    .is_ok();
            } else {
                seat.unwatch(input.fd.as_fd());
                input.is_watched = false;
            }
        }
        if !is_open {
            waker = waker.or(input.waker.take());
            *slot = None;
        }
        waker
    }

    /// Whether it waits for room, and the kernel cannot watch for that.
    pub(in crate::command) fn is_unwatched(&self) -> bool {
        let input = self.0.borrow();
        let is_unwatched = |input: &Input| !input.bytes.is_empty() && !input.is_watched;
        input.as_ref().is_some_and(is_unwatched)
    }

    /// Closes it, whatever is still to be written. The waker is to be called.
    pub(in crate::command) fn close(&self, seat: &Seat) -> Option<Waker> {
        self.take(seat)?.waker
    }

    /// Gives up the descriptor, which somebody else writes to from now on.
    pub(in crate::command) fn take_fd(&self, seat: &Seat) -> Option<OwnedFd> {
        Some(self.take(seat)?.fd)
    }

    fn take(&self, seat: &Seat) -> Option<Input> {
        let input = self.0.take()?;
        if input.is_watched {
            seat.unwatch(input.fd.as_fd());
        }
        Some(input)
    }
}

impl Input {
    fn has_written(&mut self, length: usize) {
        self.written += length;
        if let Kind::Bytes(capacity, discard) = &mut self.kind {
            capacity.passed(&self.fd, length);
            discard.behind(&mut self.bytes[..self.written]);
        }
    }

    /// Types what ends the input, unless the terminal is in raw mode, where that is a key like any other. In the middle
    /// of a line the first one only hands over the line.
    fn type_end(&mut self, mid_line: bool) {
        let Ok(mode) = tcgetattr(&self.fd) else {
            return;
        };
        if mode.local_modes.contains(LocalModes::ICANON) {
            let end = mode.special_codes[SpecialCodeIndex::VEOF];
            let times = if mid_line { 2 } else { 1 };
            self.bytes.extend(std::iter::repeat_n(end, times));
        }
    }
}
