//! The app's end of the guardian: one small process per app, started with the first child.
//!
//! Every child's pidfd is handed to it. It is the worker program in another role, so the first
//! program that is asked to be a worker becomes it; should that program be no worker after all, or
//! should the guardian be killed, the next child that has proved to be a worker starts another,
//! which takes over all that live.
//!
//! Jobs and [`Command`](crate::Command)s are guarded by themselves. For a child that was started
//! by a [`Plan`] there is [`watch_over`].

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::process::{Process, SharedProcess, pidfd};
use crate::spawn::{Group, Plan, Program, SpawnError};
use crate::wire::control::{Control, Wait};
use crate::wire::frame::{CONTROL_FD, Hello, Kind, Role};

type WeakProcess = Weak<Mutex<Option<Process>>>;

struct Guard {
    /// The app that started it: a forked copy of the app leaves it alone.
    app: u32,
    control: Control,
    _process: Process,
}

struct State {
    guard: Option<Guard>,
    wards: Vec<WeakProcess>,
}

static STATE: Mutex<State> = Mutex::new(State {
    guard: None,
    wards: Vec::new(),
});

/// There is no guardian, and none could be started.
#[derive(Debug)]
pub struct GuardError(Box<dyn std::error::Error + Send + Sync>);

impl fmt::Display for GuardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no guardian could be started")
    }
}

impl std::error::Error for GuardError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

impl From<std::io::Error> for GuardError {
    fn from(error: std::io::Error) -> Self {
        GuardError(error.into())
    }
}

impl From<SpawnError> for GuardError {
    fn from(error: SpawnError) -> Self {
        GuardError(error.into())
    }
}

/// Has the child, and the group that it leads, killed when this process dies, by whatever cause.
///
/// `helper` is a worker program: one whose `main` begins with
/// [`Jobs::run_if_worker`](crate::Jobs::run_if_worker), as [`Program::Current`] may be. It is
/// started when there is no guardian yet. From any thread.
///
/// # Errors
///
/// The helper could not be started, or does not take the child. That it is no worker program at
/// all is not found out here.
pub fn watch_over(process: &Process, helper: Program) -> Result<(), GuardError> {
    let mut state = lock();
    if state.is_up() && state.hand_over(group_of(process), process.pidfd()).is_ok() {
        return Ok(());
    }
    state.restart(helper)?;
    state.hand_over(group_of(process), process.pidfd())
}

/// The same for a child that a later guardian is to take over too.
#[cfg_attr(not(feature = "app"), allow(dead_code))]
pub(crate) fn watch_over_shared(
    process: &SharedProcess,
    helper: impl FnOnce() -> Program,
) -> Result<(), GuardError> {
    let mut state = lock();
    state.wards.retain(|ward| ward.strong_count() > 0);
    state.wards.push(Arc::downgrade(process));
    if state.is_up() && state.hand_over_shared(process).is_ok() {
        return Ok(());
    }
    state.restart(helper())
}

/// Makes sure that there is a guardian, by a program that has proved to be a worker.
#[cfg_attr(not(feature = "app"), allow(dead_code))]
pub(crate) fn check(helper: impl FnOnce() -> Program) -> Result<(), GuardError> {
    let mut state = lock();
    if state.is_up() {
        return Ok(());
    }
    state.restart(helper())
}

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of the group that a child leads, 0 for none.
fn group_of(process: &Process) -> u32 {
    if process.leads_group() {
        process.pid()
    } else {
        0
    }
}

impl State {
    fn is_up(&self) -> bool {
        self.guard
            .as_ref()
            .is_some_and(|guard| guard.app == std::process::id() && !guard.control.has_hung_up())
    }

    fn hand_over(&self, group: u32, pidfd: BorrowedFd<'_>) -> Result<(), GuardError> {
        let guard = self
            .guard
            .as_ref()
            .ok_or_else(|| GuardError("there is none".into()))?;
        guard
            .control
            .send(Kind::Guard, &group.to_le_bytes(), &[pidfd], Wait::No)?;
        Ok(())
    }

    fn hand_over_shared(&self, process: &SharedProcess) -> Result<(), GuardError> {
        match process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
        {
            Some(process) => self.hand_over(group_of(process), process.pidfd()),
            // It has ended.
            None => Ok(()),
        }
    }

    fn restart(&mut self, helper: Program) -> Result<(), GuardError> {
        self.guard = None;
        self.guard = Some(start(helper)?);
        for ward in self.wards.iter().filter_map(Weak::upgrade) {
            self.hand_over_shared(&ward)?;
        }
        Ok(())
    }
}

fn start(helper: Program) -> Result<Guard, GuardError> {
    let (control, theirs) = Control::pair()?;
    let hello = Hello::plain(Role::Guardian).encode();
    let app = pidfd::own().map_err(std::io::Error::from)?;
    control.send(Kind::Hello, &hello, &[app.as_fd()], Wait::No)?;
    let process = Plan::new(helper)
        .arg("--legwork-guardian")
        .group(Group::Session)
        .fd(CONTROL_FD, theirs)
        .spawn()?;
    Ok(Guard {
        app: std::process::id(),
        control,
        _process: process,
    })
}
