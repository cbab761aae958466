//! A program that is started to be examined.
//!
//! It is started as by `legwork run`, and not left behind: this command waits until the program ends, and passes on
//! signals that ask it to end. If this command is killed, so is the program.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use legwork::spawn::{Plan, Standard};
use procfs::process::Process;

use super::proc::stat;
use crate::child::{Child, Signals, Streams, group, program};
use crate::failure::{Failure, cannot};

/// How long the descriptors of a sleeping program must not have changed before it is examined.
const QUIET: Duration = Duration::from_secs(1);
/// The same for a program that does not sleep: it may spin, or still be starting on a busy machine.
const RESTLESS: Duration = Duration::from_secs(3);
/// When it is examined if they keep changing.
const LONGEST: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(50);
/// The time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// A program that runs.
pub(super) struct Started(Child);

impl Started {
    pub(super) fn start(words: &[OsString]) -> Result<Self, Failure> {
        let mut words = words.iter().cloned();
        let name = words.next().unwrap_or_default();
        let group = group();
        let signals = Signals::hold(group)?;
        let error = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)
            .map_err(cannot("the standard error cannot be shared"))?;
        let plan = Plan::new(program(name))
            .args(words)
            .group(group)
            .inherit(Standard::Input)
            .stdout(error)
            .inherit(Standard::Error);
        Child::start(plan, signals).map(Self)
    }

    pub(super) fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Sleeps for a time and passes on signals; returns whether the program has ended.
    pub(super) fn nap(&self, time: Duration) -> bool {
        self.0.nap(time)
    }

    /// Waits until its descriptors no longer change.
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
                let end = match self.0.wait() {
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
        stat(self.pid().cast_signed()).is_some_and(|stat| stat.state == 'S')
    }

    /// Returns its descriptors, roughly.
    fn open(&self) -> BTreeMap<i32, String> {
        let process = Process::new(self.pid().cast_signed());
        let open = process.and_then(|process| process.fd());
        let open = open.into_iter().flatten().flatten();
        open.map(|open| (open.fd, format!("{:?}", open.target)))
            .collect()
    }

    /// Waits until it has ended, after asking it to if `end` is set.
    pub(super) fn see_out(self, end: bool) -> Result<(), Failure> {
        let timeout = end.then_some(Duration::ZERO);
        self.0
            .stay(&mut Streams::default(), timeout, GRACE)
            .map(drop)
    }
}
