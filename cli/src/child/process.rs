//! The program itself: its start, what happens to it, its end.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use legwork::process::{Exit, Process, Signal, WaitError};
use legwork::spawn::{Plan, Program};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::foreground::Foreground;
use super::signals::Signals;
use super::terminal::Terminal;
use crate::failure::{Failure, cannot};

/// The program that a command line names: by its path where that has a slash, else by its name.
pub(crate) fn program(name: OsString) -> Program {
    if name.as_bytes().contains(&b'/') {
        Program::path(PathBuf::from(name))
    } else {
        Program::name(name)
    }
}

/// A program that runs, or has ended and is still to be waited for.
pub(crate) struct Child {
    process: Process,
    signals: Signals,
    _foreground: Option<Foreground>,
}

/// What happens to a program while the command stays with it.
pub(crate) enum Event {
    /// The signal was handed on to it.
    Signal(Signal),
    /// Its time was up, and it was asked to end.
    Timeout,
}

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) timed_out: bool,
}

impl Child {
    pub(crate) fn start(plan: Plan, signals: Signals) -> Result<Self, Failure> {
        let process = plan.spawn()?;
        if let Err(error) = legwork::guardian::watch_over(&process, Program::Current) {
            // The program runs: that it may outlive the command is no reason to end it.
            eprintln!("legwork: {error}; if legwork is killed, the program runs on");
        }
        Ok(Self {
            _foreground: Foreground::lend_to(&process),
            process,
            signals,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits for the program to end, which it may have done.
    pub(crate) fn wait(&mut self) -> Result<Exit, WaitError> {
        self.process.wait()
    }

    /// Sleeps for a time and hands on signals; whether the program has ended meanwhile.
    pub(crate) fn nap(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let ended = self.sleep(None, Some(left), &mut |_| ()).unwrap_or(false);
            if ended || left.is_zero() {
                return ended;
            }
        }
    }

    /// Stays until the program has ended. When its time is up, it is asked to, and killed after the
    /// grace.
    pub(crate) fn stay(
        mut self,
        mut terminal: Option<&mut Terminal>,
        timeout: Option<Duration>,
        grace: Duration,
        happened: &mut dyn FnMut(Event),
    ) -> Result<Ended, Failure> {
        let after = |time| Instant::now().checked_add(time);
        let mut due = timeout.and_then(after);
        let mut timed_out = false;
        loop {
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            let ended = self
                .sleep(terminal.as_deref(), left, happened)
                .map_err(cannot("the program cannot be waited for"))?;
            // Also what it has written right before its end.
            if let Some(terminal) = terminal.as_deref_mut() {
                terminal.copy();
            }
            if ended {
                let exit = self.wait();
                let exit = exit.map_err(cannot("how the program ended is not known"))?;
                return Ok(Ended { exit, timed_out });
            }
            if due.is_some_and(|due| due <= Instant::now()) {
                if timed_out {
                    let _ = self.process.kill();
                    due = None;
                } else {
                    happened(Event::Timeout);
                    timed_out = true;
                    let _ = self.signal(Signal::TERM);
                    let _ = self.signal(Signal::CONT);
                    due = after(grace);
                }
            }
        }
    }

    /// Sleeps until the program ends, a signal has been handed on, the terminal has something, or
    /// the time is over; whether the program has ended.
    fn sleep(
        &self,
        terminal: Option<&Terminal>,
        time: Option<Duration>,
        happened: &mut dyn FnMut(Event),
    ) -> io::Result<bool> {
        let time = time.and_then(|time| Timespec::try_from(time).ok());
        let mut polled = vec![
            PollFd::from_borrowed_fd(self.process.pidfd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.signals.fd(), PollFlags::IN),
        ];
        if let Some(terminal) = terminal {
            terminal.add_to(&mut polled);
        }
        match poll(&mut polled, time.as_ref()) {
            Ok(_) | Err(Errno::INTR) => (),
            Err(error) => return Err(error.into()),
        }
        let ended = !polled[0].revents().is_empty();
        while let Some(signal) = self.signals.next() {
            if signal.as_raw() != libc::SIGWINCH {
                happened(Event::Signal(signal));
                let _ = self.signal(signal);
            } else if let Some(terminal) = terminal {
                terminal.take_size();
            }
        }
        Ok(ended)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.process.leads_group() {
            self.process.signal_group(signal)
        } else {
            self.process.signal(signal)
        }
    }
}
