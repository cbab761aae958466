//! What a worker prints: one pipe behind its standard output and error, cut into lines.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::{Errno, ioctl_fionread, read};

use crate::child::seat::Seat;
use crate::job::lines::Lines;
use crate::main_loop::hub::{Slice, Token};

/// How much of what it prints is read in a row before the others have their turn (64 KiB).
pub(super) const BURST: usize = 64 * 1024;
/// How much of it is read by one call: not more, as each line may go into the app's log.
const PRINTS_READ: usize = 1024;

/// The app's end of the pipe.
pub(super) struct Prints {
    fd: RefCell<Option<OwnedFd>>,
    lines: RefCell<Lines>,
    /// How many bytes were in the pipe when the process ended. Others may hold it and go on.
    left: Cell<Option<usize>>,
}

/// What one look at the pipe found.
enum Look {
    Lines(Vec<String>),
    Empty,
    End,
}

impl Prints {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Prints {
            fd: RefCell::new(Some(fd)),
            lines: RefCell::default(),
            left: Cell::new(None),
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
        let waiting = |fd: &OwnedFd| ioctl_fionread(fd).map_or(0, |bytes| bytes as usize);
        self.left
            .set(Some(self.fd.borrow().as_ref().map_or(0, waiting)));
    }

    /// The last of what was printed.
    pub(super) fn tail(&self) -> String {
        self.lines.borrow().tail()
    }

    fn look(&self, most: usize) -> (Look, usize) {
        let mut buffer = [0; PRINTS_READ];
        let most = most.min(self.left.get().unwrap_or(usize::MAX));
        let buffer = &mut buffer[..PRINTS_READ.min(most)];
        let slot = self.fd.borrow();
        let Some(fd) = slot.as_ref() else {
            return (Look::End, 0);
        };
        if buffer.is_empty() {
            return (Look::End, 0);
        }
        match read(fd, &mut *buffer) {
            Ok(0) => (Look::End, 0),
            Ok(length) => {
                self.left
                    .set(self.left.get().map(|left| left.saturating_sub(length)));
                let mut lines = Vec::new();
                let mut cutter = self.lines.borrow_mut();
                cutter.feed(&buffer[..length], |line| lines.push(line));
                (Look::Lines(lines), length)
            }
            Err(Errno::INTR) => (Look::Lines(Vec::new()), 0),
            // After the end: somebody else has read what was there.
            Err(Errno::AGAIN) if self.left.get().is_some() => (Look::End, 0),
            Err(Errno::AGAIN) => (Look::Empty, 0),
            Err(_) => (Look::End, 0),
        }
    }

    /// Reads at most `most` bytes, and hands out the lines that are whole; false when there will be no
    /// more.
    pub(super) fn read(&self, most: usize, slice: &Slice, mut line: impl FnMut(String)) -> bool {
        let mut total = 0;
        while total < most {
            let (look, length) = self.look(most - total);
            total += length;
            match look {
                Look::Lines(lines) => lines.into_iter().for_each(&mut line),
                Look::Empty => return true,
                Look::End => return false,
            }
            if slice.is_over() {
                break;
            }
        }
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
