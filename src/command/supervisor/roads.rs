//! What the program is still to read, and what it writes.

use std::cell::RefMut;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::Waker;
use std::time::Instant;

use rustix::io::Errno;
use rustix::termios::{LocalModes, SpecialCodeIndex};

use super::{InputRoad, LOOK_EVERY, Supervisor};
use crate::command::no_sigpipe::write_without_sigpipe;
use crate::command::page_advice::Discard;
use crate::command::pipe_capacity::PipeCapacity;
use crate::command::progress::Step;
use crate::command::road::Road;
use crate::command::start::set_size;
use crate::main_loop::hub::{Lane, Slice};
use crate::process::own;

/// How much is written at a time at most: a program may have made its pipe as large as it likes.
/// When there is room for more, epoll says so.
const WRITTEN_MAX: usize = 1024 * 1024;

/// What hastens input that is there as a whole.
#[derive(Default)]
pub(in crate::command) struct Whole {
    capacity: PipeCapacity,
    discard: Discard,
}

impl InputRoad {
    fn has_written(&mut self, length: usize) {
        self.written += length;
        if let Some(Whole { capacity, discard }) = &mut self.whole {
            capacity.passed(&self.fd, length);
            discard.behind(&mut self.bytes[..self.written]);
        }
    }

    /// What a person types to end the input, where the terminal takes it for that: not in raw mode,
    /// where it is a key as any other. In the middle of a line the first only hands over the line.
    fn type_end(&mut self) {
        let Ok(mode) = rustix::termios::tcgetattr(&self.fd) else {
            return;
        };
        if mode.local_modes.contains(LocalModes::ICANON) {
            let end = mode.special_codes[SpecialCodeIndex::VEOF];
            let times = if self.mid_line { 2 } else { 1 };
            self.bytes.extend(std::iter::repeat_n(end, times));
        }
    }
}

impl Supervisor {
    /// Puts bytes behind what is still to be written.
    pub(in crate::command) fn append_input(&self, bytes: &[u8], last: bool) {
        if self.is_copy() {
            return;
        }
        if let Some(input) = &mut *self.input.borrow_mut() {
            if !input.last {
                // What is written goes, so that a program that is always a little behind costs no more memory.
                if input.written > input.bytes.len() / 2 {
                    input.bytes.drain(..input.written);
                    input.written = 0;
                }
                input.bytes.extend_from_slice(bytes);
                input.mid_line = bytes.last().map_or(input.mid_line, |last| *last != b'\n');
                if last && input.terminal {
                    input.type_end();
                }
            }
            input.last |= last;
        }
        self.write_input();
    }

    /// Whether what is written to it now can still be read.
    pub(super) fn hears(&self) -> bool {
        let input = self.input.borrow();
        input.as_ref().is_some_and(|input| !input.last)
    }

    /// Whether this is a copy that somebody forked from the app: the pipes and the epoll descriptor are the app's.
    fn is_copy(&self) -> bool {
        self.app != own::id()
    }

    /// Nobody will write to it any more, but perhaps the stop.
    pub(in crate::command) fn end_input(&self) {
        // A program on a terminal was not promised an end: it may never have looked for one.
        let terminal = self
            .input
            .borrow()
            .as_ref()
            .is_some_and(|input| input.terminal);
        if !self.rules.stop.uses_input() && !terminal {
            self.append_input(&[], true);
        }
    }

    /// How much is still to be written; `None` when it is closed.
    pub(in crate::command) fn input_left(&self, waker: Option<&Waker>) -> Option<usize> {
        let mut slot = self.input.borrow_mut();
        let input = slot.as_mut()?;
        let left = input.bytes.len() - input.written;
        let old = waker.and_then(|waker| input.waker.replace(waker.clone()));
        drop(slot);
        // May run the app's code: with nothing borrowed.
        drop(old);
        Some(left)
    }

    pub(super) fn take_input(&self) -> Option<InputRoad> {
        let input = self.input.take()?;
        if input.watched {
            self.hub.unwatch(input.fd.as_fd());
        }
        Some(input)
    }

    pub(in crate::command) fn take_input_fd(&self) -> Option<OwnedFd> {
        self.take_input().map(|input| input.fd)
    }

    pub(super) fn write_input(&self) {
        let mut waker = None;
        {
            let mut slot = self.input.borrow_mut();
            let Some(input) = slot.as_mut() else { return };
            let open = loop {
                let rest = &input.bytes[input.written..];
                if rest.is_empty() {
                    break !input.last;
                }
                match write_without_sigpipe(&input.fd, &rest[..rest.len().min(WRITTEN_MAX)]) {
                    Ok(length) => {
                        let all = length == rest.len();
                        input.has_written(length);
                        break !input.last || !all;
                    }
                    Err(Errno::INTR) => (),
                    Err(Errno::AGAIN) => break true,
                    // It has stopped reading, which is its right.
                    Err(_) => break false,
                }
            };
            if input.written == input.bytes.len() {
                input.bytes = Vec::new();
                input.written = 0;
                waker = input.waker.take();
            }
            let wants_room = open && !input.bytes.is_empty();
            if wants_room != input.watched {
                if wants_room {
                    let watched = self.hub.watch_room(self.key, Lane::Input, input.fd.as_fd());
                    input.watched = watched.is_ok();
                    if !input.watched {
                        self.look_later();
                    }
                } else {
                    self.hub.unwatch(input.fd.as_fd());
                    input.watched = false;
                }
            }
            if !open {
                waker = waker.or(input.waker.take());
                *slot = None;
            }
        }
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    // --- what it writes -----------------------------------------------------------------------

    pub(in crate::command) fn road(&self, lane: Lane) -> RefMut<'_, Option<Road>> {
        self.roads[usize::from(lane == Lane::Errors)].borrow_mut()
    }

    /// Sets the size of its terminal, which is behind the road out.
    pub(in crate::command) fn resize_terminal(&self, columns: u16, rows: u16) -> io::Result<()> {
        match self
            .road(Lane::Output)
            .as_ref()
            .and_then(|road| road.fd.as_ref())
        {
            Some(terminal) => set_size(terminal, columns, rows),
            None => Err(Errno::NOTTY.into()),
        }
    }

    /// The reader has read: what was left alone is watched again.
    pub(in crate::command) fn resume_road(&self, lane: Lane) {
        if self.is_copy() {
            return;
        }
        if let Some(road) = &mut *self.road(lane)
            && road.paused
            && !road.is_full()
            && let Some(fd) = &road.fd
        {
            road.paused = self.hub.watch(self.key, lane, fd.as_fd()).is_err();
            if road.paused {
                self.look_later();
            }
            self.renew_stall();
        }
    }

    /// For a descriptor that cannot be watched.
    pub(super) fn look_later(&self) {
        self.due.borrow_mut().look = Instant::now().checked_add(LOOK_EVERY);
        self.set_alarm();
    }

    /// Reads and writes what is not watched and is to be, and tries to watch it again.
    pub(super) fn look(&self, slice: &Slice) {
        for lane in [Lane::Output, Lane::Errors] {
            let is_due = self.road(lane).as_ref().is_some_and(|road| road.paused);
            if is_due {
                self.read_road(lane, usize::MAX, Some(slice));
                self.resume_road(lane);
            }
        }
        self.finish_if_drained();
        self.write_input();
    }

    /// Whether no more will come on a road.
    pub(in crate::command) fn is_at_end(&self, lane: Lane) -> bool {
        self.road(lane)
            .as_ref()
            .is_none_or(|road| road.fd.is_none())
    }

    pub(in crate::command) fn take_road_fd(&self, lane: Lane) -> Option<OwnedFd> {
        let mut slot = self.road(lane);
        let road = slot.as_mut()?;
        let fd = road.fd.take()?;
        if !road.paused {
            self.hub.unwatch(fd.as_fd());
        }
        Some(fd)
    }

    /// Reads while there is something to read, until it is `most` bytes or more; says how many.
    pub(super) fn read_road(&self, lane: Lane, most: usize, slice: Option<&Slice>) -> usize {
        let mut total = 0;
        while total < most {
            let (waker, open) = {
                let mut slot = self.road(lane);
                let Some(road) = slot.as_mut() else { break };
                if slice.is_some() && road.is_full() {
                    self.pause(road);
                    break;
                }
                match road.read() {
                    None | Some(Err(Errno::AGAIN)) => break,
                    Some(Ok(length)) if length > 0 => {
                        total += length;
                        (road.waker.take(), true)
                    }
                    // At its end; EIO is how a terminal says that its last user has gone.
                    Some(_) => {
                        let fd = road.end();
                        if let Some(fd) = fd
                            && !road.paused
                        {
                            self.hub.unwatch(fd.as_fd());
                        }
                        (road.waker.take(), false)
                    }
                }
            };
            self.look_for_progress(lane);
            if let Some(waker) = waker {
                waker.wake();
            }
            if !open || slice.is_some_and(Slice::is_over) {
                break;
            }
        }
        if total > 0 {
            self.renew_stall();
        }
        total
    }

    /// It has written, or could not for the app's sake.
    pub(super) fn renew_stall(&self) {
        if let Some(stall) = self.rules.stall {
            let mut due = self.due.borrow_mut();
            if due.stall.is_some() {
                // The alarm itself is not moved with every read: it looks again when it rings.
                due.stall = Instant::now().checked_add(stall);
            }
        }
    }

    /// Whether it has written what the main loop had no time to look at; that is read.
    pub(super) fn has_written(&self) -> bool {
        [Lane::Output, Lane::Errors]
            .into_iter()
            .map(|lane| self.read_road(lane, 1, None))
            .any(|length| length > 0)
    }

    /// Somebody else reads a road from now on, and whether anything comes is not known here.
    pub(in crate::command) fn forget_stall(&self) {
        self.due.borrow_mut().stall = None;
    }

    /// Whether it may have to wait for the app to read.
    pub(super) fn has_paused_road(&self) -> bool {
        let is_paused = |road: &Road| road.paused && road.fd.is_some();
        [Lane::Output, Lane::Errors]
            .iter()
            .any(|lane| self.road(*lane).as_ref().is_some_and(is_paused))
    }

    pub(super) fn pause(&self, road: &mut Road) {
        if let Some(fd) = &road.fd
            && !std::mem::replace(&mut road.paused, true)
        {
            self.hub.unwatch(fd.as_fd());
        }
    }

    /// Shows the lines that have come to whoever reads progress out of them.
    pub(super) fn look_for_progress(&self, lane: Lane) {
        // Again for what came while the parser, or who was notified, ran a nested main loop.
        loop {
            let taken = self.road(lane).as_mut().and_then(Road::take_lines);
            let Some((mut parser, lines)) = taken else {
                return;
            };
            let steps = lines
                .iter()
                .filter_map(|line| parser.line(&String::from_utf8_lossy(&line.bytes)));
            // Latest wins; but words stay until there are others.
            let last = steps.reduce(|before, step| Step {
                text: step.text.or(before.text),
                ..step
            });
            let left = match &mut *self.road(lane) {
                Some(road) => road.give_back(parser),
                None => Some(parser),
            };
            // The app's code may run at its end: with nothing borrowed.
            drop(left);
            if let Some(Step { done, total, text }) = last
                && !self.life.borrow().ended
            {
                self.status.set_progress(done, total, text);
            }
        }
    }
}
