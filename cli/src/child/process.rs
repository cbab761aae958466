//! The program: its start, what happens while it runs, and its end.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use legwork::process::{Exit, Process, Signal, WaitError};
use legwork::spawn::{Plan, Program};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::event::{Ended, Event};
use super::job_control::take;
use super::signals::{Arrived, Signals};
use super::streams::Streams;
use crate::failure::{Failure, cannot, tell};

/// Returns the program that a command line names: by its path if there is a slash in it, otherwise by its name.
pub(crate) fn program(name: OsString) -> Program {
    if name.as_bytes().contains(&b'/') {
        Program::path(PathBuf::from(name))
    } else {
        Program::name(name)
    }
}

/// A program that runs, or that has ended and has not been waited for.
pub(crate) struct Child {
    process: Process,
    signals: Signals,
}

impl Child {
    pub(crate) fn start(plan: Plan, signals: Signals) -> Result<Self, Failure> {
        let process = plan.spawn()?;
        if let Err(error) = legwork::guardian::watch_over(&process, Program::Current) {
            // The program is running already, and may outlive the command. That is no reason to kill it.
            tell(&format!(
                "{error}; if legwork is killed, the program runs on"
            ));
        }
        Ok(Self { process, signals })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits for the program to end.
    pub(crate) fn wait(&mut self) -> Result<Exit, WaitError> {
        self.process.wait()
    }

    /// Sleeps for a time and passes on signals; returns whether the program has ended.
    pub(crate) fn nap(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let streams = &mut Streams::default();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let ended = self.sleep(streams, Some(left), false);
            let ended = ended.is_ok_and(|(ended, _)| ended);
            if ended || left.is_zero() {
                return ended;
            }
        }
    }

    /// Returns when the program has ended. When the timeout has passed, the program is asked to end, and killed after
    /// the grace period.
    pub(crate) fn stay(
        mut self,
        streams: &mut Streams,
        timeout: Option<Duration>,
        grace: Duration,
    ) -> Result<Ended, Failure> {
        let after = |time| Instant::now().checked_add(time);
        let mut due = timeout.and_then(after);
        let mut timed_out = false;
        let (mut ended, mut is_told) = (None, false);
        loop {
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            // After its end, only writing the rest of its output can take time.
            let left = match ended {
                Some(_) if !streams.are_held_up() => Some(Duration::ZERO),
                _ => left,
            };
            let slept = self.sleep(streams, left, ended.is_some());
            let (has_ended, signalled) =
                slept.map_err(cannot("the program cannot be waited for"))?;
            streams.copy();
            if has_ended && ended.is_none() {
                let exit = self.wait();
                let exit = exit.map_err(cannot("how the program ended is not known"))?;
                ended = Some(Ended { exit, timed_out });
                if timed_out {
                    due = after(grace);
                }
            }
            let over = due.is_some_and(|due| due <= Instant::now());
            if let Some(end) = ended.take() {
                if !is_told && streams.are_drained() {
                    is_told = true;
                    streams.end(&Event::Ended(&end));
                }
                // The last output is shown, but a timeout or a signal does not wait for it.
                let is_shown = is_told && !streams.are_held_up();
                if is_shown || over || signalled {
                    return Ok(end);
                }
                ended = Some(end);
                continue;
            }
            if over {
                if timed_out {
                    self.kill()?;
                    due = None;
                } else {
                    streams.happened(&Event::Timeout);
                    timed_out = true;
                    let _ = self.signal(Signal::TERM);
                    let _ = self.signal(Signal::CONT);
                    due = after(grace);
                }
            }
        }
    }

    /// Sleeps until the program ends, a signal arrives, a stream is ready, or the time has passed. Returns whether the
    /// program has ended, and whether a signal was passed on.
    fn sleep(
        &self,
        streams: &mut Streams,
        time: Option<Duration>,
        has_ended: bool,
    ) -> io::Result<(bool, bool)> {
        let time = time.and_then(|time| Timespec::try_from(time).ok());
        let mut polled = vec![PollFd::from_borrowed_fd(self.signals.fd(), PollFlags::IN)];
        if !has_ended {
            polled.push(PollFd::from_borrowed_fd(
                self.process.pidfd(),
                PollFlags::IN,
            ));
        }
        streams.add_to(&mut polled);
        match poll(&mut polled, time.as_ref()) {
            Ok(_) | Err(Errno::INTR) => (),
            Err(error) => return Err(error.into()),
        }
        let ended = has_ended || !polled[1].revents().is_empty();
        let mut signalled = false;
        while let Some(arrived) = self.signals.next() {
            match arrived.signal.as_raw() {
                libc::SIGWINCH => streams.take_size(),
                libc::SIGCHLD => (),
                // It may have been sent to the command alone. A program that runs does not need it.
                libc::SIGCONT => self.go_on(),
                _ if self.has_it(&arrived) => (),
                _ => {
                    signalled = true;
                    match self.signal(arrived.signal) {
                        Ok(()) => streams.happened(&Event::Signal(arrived.signal)),
                        Err(error) if is_refused(&error) => tell(&format!(
                            "{} cannot be sent to the program: {error}",
                            arrived.signal
                        )),
                        // It has ended.
                        Err(_) => (),
                    }
                    if !is_stop(arrived.signal) {
                        self.go_on();
                    }
                }
            }
        }
        if let Some(signal) = self.process.stopped_by()
            && self.shares_group()
        {
            take(signal);
        }
        Ok((ended, signalled))
    }

    /// Returns whether the program is in the process group of this command.
    fn shares_group(&self) -> bool {
        !self.process.leads_group()
    }

    /// Returns whether the program has received a signal as well: the terminal sends what is typed to the whole group,
    /// but a hang-up only to the leader of the session.
    fn has_it(&self, arrived: &Arrived) -> bool {
        let typed = arrived.by_kernel && arrived.signal != Signal::HUP;
        self.shares_group() && (typed || arrived.sender == self.pid())
    }

    /// Continues the program if it is stopped, because a stopped process does not handle signals.
    fn go_on(&self) {
        if self.process.stopped_by().is_some() {
            let _ = self.signal(Signal::CONT);
        }
    }

    /// Fails if the program may not be killed: then nobody waits for it.
    fn kill(&self) -> Result<(), Failure> {
        match self.process.kill() {
            Err(error) if is_refused(&error) => Err(Failure::Own(format!(
                "the program could not be stopped, and runs on: {error}; most likely it has become another \
                 user's process"
            ))),
            _ => Ok(()),
        }
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        if self.process.leads_group() {
            self.process.signal_group(signal)
        } else {
            self.process.signal(signal)
        }
    }
}

/// Another user's process may not be sent signals.
fn is_refused(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EPERM)
}

fn is_stop(signal: Signal) -> bool {
    matches!(
        signal.as_raw(),
        libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU
    )
}
