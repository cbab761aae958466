//! The program that is started to be looked at.
//!
//! It is started as `legwork run` does it, and nobody leaves it behind: this command stays until the program ends,
//! hands on the signals that ask for that, and should this command be killed, the program is, too.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use legwork::process::Process;
use legwork::spawn::{Group, Plan, Program, Standard};
use nix::sys::signalfd::SignalFd;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Failure;
use super::subject::{file, numbers, stat};
use crate::run::{self, Events, Foreground, cannot};

/// So long its descriptors are the same when it has settled, and sleeps.
const QUIET: Duration = Duration::from_secs(1);
/// And so long if it does not sleep: it may still be starting, on a busy machine, or spin for ever.
const RESTLESS: Duration = Duration::from_secs(3);
/// And if they never are, it is looked at after this time.
const LONGEST: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(50);
/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

pub(super) struct Started {
    process: Process,
    signals: SignalFd,
    _foreground: Option<Foreground>,
}

impl Started {
    pub(super) fn start(words: &[OsString]) -> Result<Self, Failure> {
        let mut words = words.iter().cloned();
        let name = words.next().unwrap_or_default();
        let program = if name.as_bytes().contains(&b'/') {
            Program::path(PathBuf::from(name))
        } else {
            Program::name(name)
        };
        let signals = run::hold_signals()?;
        let error = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)
            .map_err(cannot("the standard error cannot be shared"))?;
        let plan = Plan::new(program)
            .args(words)
            .group(Group::Lead)
            .inherit(Standard::Input)
            .stdout(error)
            .inherit(Standard::Error);
        let process = plan
            .spawn()
            .map_err(|error| Failure::new(run::code_of(&error), error.to_string()))?;
        if let Err(error) = legwork::guardian::watch_over(&process, Program::Current) {
            eprintln!("legwork: {error}; should legwork be killed, the program stays behind");
        }
        Ok(Self {
            _foreground: Foreground::give_to(&process),
            process,
            signals,
        })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits until it has opened what it opens at its start.
    pub(super) fn settle(&mut self, after: Option<Duration>) -> Result<(), Failure> {
        let start = Instant::now();
        let (mut seen, mut since) = (self.open(), start);
        loop {
            let over = match after {
                Some(after) => start.elapsed() >= after,
                None => {
                    let quiet = if self.sleeps() { QUIET } else { RESTLESS };
                    since.elapsed() >= quiet || start.elapsed() >= LONGEST
                }
            };
            if over {
                return Ok(());
            }
            let left = after.map_or(STEP, |after| after.saturating_sub(start.elapsed()));
            if self.nap(left.min(STEP)) {
                let end = match self.process.wait() {
                    Ok(exit) => exit.status.to_string(),
                    Err(error) => error.to_string(),
                };
                return Err(format!("the program ended before it was looked at: {end}").into());
            }
            let now = self.open();
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
        }
    }

    fn sleeps(&self) -> bool {
        let fields = stat(&file(self.pid(), "stat"));
        fields.is_some_and(|fields| fields.first().is_some_and(|state| state == "S"))
    }

    /// Its descriptors, roughly.
    fn open(&self) -> BTreeMap<u32, PathBuf> {
        let folder = file(self.pid(), "fd");
        let link =
            |number: u32| Some((number, fs::read_link(folder.join(number.to_string())).ok()?));
        numbers(&folder).into_iter().filter_map(link).collect()
    }

    /// Sleeps for a time, and hands on signals; whether the program has ended meanwhile.
    pub(super) fn nap(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let wait = Timespec::try_from(left).unwrap_or_default();
            let (ended, signalled) = {
                let mut polled = [
                    PollFd::from_borrowed_fd(self.process.pidfd(), PollFlags::IN),
                    PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
                ];
                let _ = poll(&mut polled, Some(&wait));
                (
                    !polled[0].revents().is_empty(),
                    !polled[1].revents().is_empty(),
                )
            };
            if signalled {
                run::hand_on(&self.process, &self.signals, None, &Events::silent());
            }
            if ended || left.is_zero() {
                return ended;
            }
        }
    }

    /// Stays until it has ended, which it may be asked to.
    pub(super) fn see_out(mut self, end: bool) -> Result<(), Failure> {
        let times = (end.then_some(Duration::ZERO), GRACE);
        let events = Events::silent();
        match run::attend(&mut self.process, &self.signals, None, times, &events) {
            Ok(_) => Ok(()),
            Err(run::Failure::Own(words)) => Err(words.into()),
            Err(run::Failure::Spawn(error)) => Err(error.to_string().into()),
        }
    }
}
