//! The exit codes, and the signals that end a run.

use std::{cell::Cell, rc::Rc};

use legwork::{
    gio::{self, prelude::*},
    glib,
};
use rustix::process::Signal;

/// Some entries could not be read or written.
pub(super) const PARTLY: u8 = 1;
/// The command line was wrong.
pub(super) const USAGE: u8 = 2;
/// The job failed.
pub(super) const FAILED: u8 = 3;

/// The exit code for an end by a signal, as in a shell.
pub(super) fn by(signal: Signal) -> u8 {
    128 + signal.as_raw() as u8
}

/// Ends the app at once, and with it everything that it runs.
pub(super) fn now(signal: Signal) {
    std::process::exit(by(signal).into());
}

/// Cancels `stop` at the first SIGINT or SIGTERM, and calls `again` at each further one. The cell has the last one.
pub(super) fn stop_on_signals(
    stop: &gio::Cancellable,
    again: impl Fn(Signal) + Clone + 'static,
) -> Rc<Cell<Option<Signal>>> {
    let last = Rc::new(Cell::new(None));
    for signal in [Signal::INT, Signal::TERM] {
        let (last, stop, again) = (last.clone(), stop.clone(), again.clone());
        glib_unix::unix_signal_add_local(signal.as_raw(), move || {
            if last.replace(Some(signal)).is_some() {
                again(signal);
            }
            stop.cancel();
            glib::ControlFlow::Continue
        });
    }
    last
}
