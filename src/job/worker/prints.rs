//! What a worker prints: the pipe behind its standard output or error, cut into lines.
//!
//! What it logs comes by the control socket, and the app is to have all of it in one order. So each record says how many
//! bytes had been printed before it, which are read first ([`Prints::is_behind`]); and before anything is read here, the
//! frames are handled that were in the socket at that time ([`Prints::begin_turn`]).

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use rustix::io::{Errno, ioctl_fionread, read};

use crate::child::seat::Seat;
use crate::job::lines::{Lines, Tail};
use crate::main_loop::hub::{Slice, Token};
use crate::wire::page::Page;

/// How much of what it prints is read in a row before the others have their turn (64 KiB).
pub(super) const BURST: usize = 64 * 1024;
/// How much of it is read by one call: not more, as each line may go into the app's log.
const PRINTS_READ: usize = 1024;

/// The app's end of the pipe.
pub(super) struct Prints {
    /// Which output it is: 0 or 1.
    output: usize,
    fd: RefCell<Option<OwnedFd>>,
    lines: RefCell<Lines>,
    tail: Rc<RefCell<Tail>>,
    /// How many bytes were read.
    position: Cell<u64>,
    /// How many bytes were in the pipe when the process ended. Others may hold it and go on.
    left: Cell<Option<usize>>,
    turn: Cell<Option<Turn>>,
}

/// What may be read, and which frames come first.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    /// Up to this position.
    pub(super) until: u64,
    /// How many bytes of frames are left of those that come first.
    pub(super) frames: usize,
}

/// What one look at the pipe found.
enum Look {
    Lines(Vec<String>),
    Empty,
    End,
}

impl Prints {
    pub(super) fn new(output: usize, fd: OwnedFd, tail: &Rc<RefCell<Tail>>) -> Self {
        Prints {
            output,
            fd: RefCell::new(Some(fd)),
            lines: RefCell::default(),
            tail: tail.clone(),
            position: Cell::new(0),
            left: Cell::new(None),
            turn: Cell::new(None),
        }
    }

    pub(super) fn watch(&self, seat: &Seat, token: Token) -> io::Result<()> {
        match &*self.fd.borrow() {
            Some(fd) => seat.watch(token, fd.as_fd()),
            None => Ok(()),
        }
    }

    /// The process has ended: what is in the pipe now is the last.
    pub(super) fn ends(&self) {
        self.left.set(Some(self.waiting()));
    }

    /// How many bytes are in the pipe.
    pub(super) fn waiting(&self) -> usize {
        let fd = self.fd.borrow();
        let waiting = (fd.as_ref()).map_or(0, |fd| ioctl_fionread(fd).unwrap_or(0) as usize);
        waiting.min(self.left.get().unwrap_or(usize::MAX))
    }

    /// Tells the worker how much was read before it had a page.
    pub(super) fn tell_position(&self, page: Option<&Arc<Page>>) {
        if let Some(page) = page {
            page.has_read(self.output, self.position.get());
        }
    }

    /// How many bytes up to this position are still in the pipe. What a hostile worker says of it is not believed.
    pub(super) fn is_behind(&self, position: u64) -> usize {
        match position.saturating_sub(self.position.get()) {
            0 => 0,
            behind => behind.min(self.waiting() as u64) as usize,
        }
    }

    /// Begins to read what is in the pipe now, after as many bytes of frames; or goes on with that.
    pub(super) fn begin_turn(&self, frames: impl FnOnce() -> usize) -> Turn {
        let turn = self.turn.get().unwrap_or_else(|| {
            // At the end of the pipe there is nothing, which has to be read.
            let until = self.position.get() + self.waiting().max(1) as u64;
            Turn {
                until,
                frames: frames(),
            }
        });
        self.turn.set(Some(turn));
        turn
    }

    /// A frame of this length was handled.
    pub(super) fn handled_frame(&self, length: usize) {
        self.turn.set(self.turn.get().map(|turn| Turn {
            frames: turn.frames.saturating_sub(length),
            ..turn
        }));
    }

    fn look(&self, most: usize, page: Option<&Page>) -> Look {
        let mut buffer = [0; PRINTS_READ];
        let most = most.min(self.left.get().unwrap_or(usize::MAX));
        let buffer = &mut buffer[..PRINTS_READ.min(most)];
        let slot = self.fd.borrow();
        let Some(fd) = slot.as_ref().filter(|_| !buffer.is_empty()) else {
            return Look::End;
        };
        let before = self.position.get();
        if let Some(page) = page {
            page.begin_to_read(self.output, before);
        }
        let result = read(fd, &mut *buffer);
        (self.position).set(before + result.unwrap_or(0) as u64);
        if let Some(page) = page {
            page.has_read(self.output, self.position.get());
        }
        match result {
            Ok(0) => Look::End,
            Ok(length) => {
                self.left
                    .set(self.left.get().map(|left| left.saturating_sub(length)));
                self.tail.borrow_mut().feed(&buffer[..length]);
                let mut lines = Vec::new();
                let mut cutter = self.lines.borrow_mut();
                cutter.feed(&buffer[..length], |line| lines.push(line));
                Look::Lines(lines)
            }
            Err(Errno::INTR) => Look::Lines(Vec::new()),
            // Not after the end: then somebody else has read what was there.
            Err(Errno::AGAIN) if self.left.get().is_none() => Look::Empty,
            Err(_) => Look::End,
        }
    }

    /// Reads at most `most` bytes, and hands out the lines that are whole; false when there will be no
    /// more. The worker sees in the page how much was read.
    pub(super) fn read(
        &self,
        most: usize,
        slice: &Slice,
        page: Option<&Page>,
        mut line: impl FnMut(String),
    ) -> bool {
        let mut total = 0;
        while total < most {
            let before = self.position.get();
            let look = self.look(most - total, page);
            total += (self.position.get() - before) as usize;
            match look {
                Look::Lines(lines) => lines.into_iter().for_each(&mut line),
                Look::Empty => break,
                Look::End => return false,
            }
            if slice.is_over() {
                break;
            }
        }
        let goes_on = |turn: &Turn| total > 0 && self.position.get() < turn.until;
        self.turn.set(self.turn.get().filter(goes_on));
        self.left.get() != Some(0)
    }

    /// Closes the pipe, and hands out the line that has no end.
    pub(super) fn close(&self, seat: &Seat, line: impl FnOnce(String)) {
        let Some(fd) = self.fd.take() else {
            return;
        };
        seat.unwatch(fd.as_fd());
        let mut last = None;
        self.lines.borrow_mut().finish(|rest| last = Some(rest));
        if let Some(last) = last {
            line(last);
        }
    }
}
