//! The steps by which a program is stopped, one after the other.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use rustix::io::Errno;

use super::input_writer::InputWriter;
use crate::child::seat::Seat;
use crate::command::stop::{Act, Stop};
use crate::process::Signal;

/// See the module.
pub(super) struct StopSteps {
    stop: Stop,
    next: Cell<usize>,
    /// Whether a step has reached it, once one was taken.
    reached: Cell<Option<bool>>,
}

impl StopSteps {
    pub(super) fn new(stop: Stop) -> Self {
        StopSteps {
            stop,
            next: Cell::new(0),
            reached: Cell::new(None),
        }
    }

    /// Whether none of the steps has reached it: it may not be sent signals.
    pub(super) fn was_refused(&self) -> bool {
        self.reached.get() == Some(false)
    }

    /// Whether one of them needs standard input.
    pub(super) fn uses_input(&self) -> bool {
        self.stop.uses_input()
    }

    /// Only SIGKILL is left.
    pub(super) fn skip(&self) {
        self.next.set(self.stop.0.len());
    }

    /// Takes the next step, and gives the time until the one after it; after the last comes SIGKILL. What is put into
    /// the input is still to be written.
    ///
    /// Fails if the program cannot be killed.
    pub(super) fn take(&self, seat: &Seat, input: &InputWriter) -> io::Result<Option<Duration>> {
        let Some(step) = self.stop.0.get(self.next.replace(self.next.get() + 1)) else {
            let killed = seat.with_process(|process| process.kill());
            return match self.note(killed) {
                // It may have ended, and only its exit is not seen yet.
                Some(refused) if !seat.is_exit_due() => Err(refused),
                _ => Ok(None),
            };
        };
        let signalled = match &step.act {
            Act::Signal(number) => Some(seat.signal(*number)),
            // What it cannot be told in its own words it is told as any program.
            Act::Input(_) if !input.is_open() => Some(seat.signal(Signal::TERM)),
            Act::Input(bytes) => {
                input.append(bytes);
                None
            }
            Act::CloseInput => {
                input.end();
                None
            }
        };
        self.note(signalled);
        // A stopped program reads nothing, and gets no signal but SIGKILL, before it continues.
        let _ = seat.signal(Signal::CONT);
        Ok(Some(step.grace))
    }

    /// Notes whether a step has reached it, and gives the error if that was refused.
    fn note(&self, signalled: Option<io::Result<()>>) -> Option<io::Error> {
        let refused = signalled.and_then(Result::err).filter(is_refused);
        let before = self.reached.get().unwrap_or(false);
        self.reached.set(Some(before || refused.is_none()));
        refused
    }
}

/// Whether a signal was refused: the program has become another user's, or a sandbox is in the way.
pub(super) fn is_refused(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::PERM.raw_os_error())
}
