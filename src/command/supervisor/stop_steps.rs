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
}

impl StopSteps {
    pub(super) fn new(stop: Stop) -> Self {
        let next = Cell::new(0);
        StopSteps { stop, next }
    }

    /// Whether one of them needs standard input.
    pub(super) fn uses_input(&self) -> bool {
        self.stop.uses_input()
    }

    /// Takes the next step, and gives the time until the one after it; after the last comes SIGKILL. What is put into
    /// the input is still to be written.
    pub(super) fn take(&self, seat: &Seat, input: &InputWriter) -> Option<Duration> {
        let Some(step) = self.stop.0.get(self.next.replace(self.next.get() + 1)) else {
            seat.kill();
            return None;
        };
        match &step.act {
            Act::Signal(number) => drop(signal(seat, *number)),
            Act::Input(bytes) if input.is_open() => input.append(bytes),
            // What it cannot be told in its own words it is told as any program.
            Act::Input(_) => drop(signal(seat, Signal::TERM)),
            Act::CloseInput => input.end(),
        }
        // A stopped program reads nothing, and gets no signal but SIGKILL, before it continues.
        let _ = signal(seat, Signal::CONT);
        Some(step.grace)
    }
}

/// Signals the group of the program, or it alone if it leads none.
pub(super) fn signal(seat: &Seat, signal: Signal) -> io::Result<()> {
    let signalled = seat.with_process(|process| {
        if process.leads_group() {
            process.signal_group(signal)
        } else {
            process.signal(signal)
        }
    });
    signalled.unwrap_or_else(|| Err(Errno::SRCH.into()))
}
