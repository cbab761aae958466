//! The app's end: starts the guardian, and hands every child's pidfd to it.
//!
//! The first program that is asked to be a worker becomes the guardian; should that program be no
//! worker after all, or should the guardian be killed, the next child that has proved to be a worker
//! starts another, which takes over all that live. A program that is no worker and does not end says
//! nothing either, as a guardian does first of all: it is replaced by the next one that has proved
//! itself.
//!
//! The guardian is not woken for every child: to wake a process on an idle processor costs the thread
//! that starts a child a tenth of the whole start. What is handed over waits in the socket, and that
//! is enough, for the guardian looks there when the app has died. Now and then a bell has it take what
//! waits, so that the socket never fills.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};

use crate::process::{Process, SharedProcess, own, pidfd};
use crate::spawn::{Group, Mask, Plan, Program, SpawnError};
use crate::wire::control::{Control, Wait};
use crate::wire::frame::{CONTROL_FD, Hello, Kind, Role};

type WeakProcess = Weak<Mutex<Option<Process>>>;

struct Guard {
    /// The app that started it: a forked copy of the app leaves it alone.
    app: u32,
    control: Control,
    /// An eventfd that has it take what waits in the socket.
    bell: OwnedFd,
    /// How many children have been handed over since it rang.
    waiting: u32,
    since: Instant,
    /// It has said that it is one.
    answered: bool,
    _process: Process,
}

/// How long a guardian may take to say that it is one.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How many children may wait in the guardian's socket. The kernel takes some 270 such frames, and
/// in all, per user, no more descriptors than the soft limit of open files.
const WAITING_MAX: u32 = 32;

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
pub struct GuardianError(Box<dyn std::error::Error + Send + Sync>);

impl fmt::Display for GuardianError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no guardian could be started")
    }
}

impl std::error::Error for GuardianError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

impl From<std::io::Error> for GuardianError {
    fn from(error: std::io::Error) -> Self {
        GuardianError(error.into())
    }
}

impl From<SpawnError> for GuardianError {
    fn from(error: SpawnError) -> Self {
        GuardianError(error.into())
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
/// all is not found out here: until a job has proved another to be one, nobody watches over.
pub fn watch_over(process: &Process, helper: Program) -> Result<(), GuardianError> {
    let mut state = lock();
    if !state.is_up() || state.hand_over(group_of(process), process.pidfd()).is_err() {
        state.restart(helper)?;
        state.hand_over(group_of(process), process.pidfd())?;
    }
    // Of its end nothing is heard here.
    state.ring()
}

/// The same for a child that a later guardian is to take over too.
#[cfg(feature = "app")]
pub(crate) fn watch_over_shared(
    process: &SharedProcess,
    helper: impl FnOnce() -> Program,
) -> Result<(), GuardianError> {
    let mut state = lock();
    state.wards.retain(|ward| ward.strong_count() > 0);
    state.wards.push(Arc::downgrade(process));
    // That it has gone shows here, too.
    if state.is_ours() && state.hand_over_shared(process).is_ok() {
        return Ok(());
    }
    state.restart(helper())
}

/// A program has ended, and the app has heard of it: what it left behind (a browser, say) is not to
/// be killed with the app. So the guardian has to see its end before that of the app.
#[cfg(feature = "app")]
pub(crate) fn has_ended() {
    let mut state = lock();
    if state.is_up() {
        let _ = state.ring();
    }
}

/// Makes sure that there is a guardian, by a program that has proved to be a worker.
#[cfg(feature = "app")]
pub(crate) fn check(helper: impl FnOnce() -> Program) -> Result<(), GuardianError> {
    let mut state = lock();
    if state.is_up() && !state.is_mute() {
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
    fn is_ours(&self) -> bool {
        let guard = self.guard.as_ref();
        guard.is_some_and(|guard| guard.app == own::id())
    }

    fn is_up(&self) -> bool {
        let guard = self.guard.as_ref();
        self.is_ours() && guard.is_some_and(|guard| !guard.control.has_hung_up())
    }

    /// Whether what is up has had its time, and has not said that it is a guardian.
    fn is_mute(&mut self) -> bool {
        self.guard.as_mut().is_some_and(|guard| {
            guard.answered = guard.answered || guard.control.has_news();
            !guard.answered && guard.since.elapsed() > ANSWER_WITHIN
        })
    }

    fn hand_over(&mut self, group: u32, pidfd: BorrowedFd<'_>) -> Result<(), GuardianError> {
        let guard = self
            .guard
            .as_mut()
            .ok_or_else(|| GuardianError("there is none".into()))?;
        guard
            .control
            .send(Kind::Guard, &group.to_le_bytes(), &[pidfd], Wait::No)?;
        guard.waiting += 1;
        if guard.waiting == WAITING_MAX {
            self.ring()?;
        }
        Ok(())
    }

    /// Has it take what waits, if there is anything.
    fn ring(&mut self) -> Result<(), GuardianError> {
        if let Some(guard) = &mut self.guard
            && guard.waiting > 0
        {
            guard.waiting = 0;
            rustix::io::write(&guard.bell, &1_u64.to_ne_bytes()).map_err(std::io::Error::from)?;
        }
        Ok(())
    }

    fn hand_over_shared(&mut self, process: &SharedProcess) -> Result<(), GuardianError> {
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

    fn restart(&mut self, helper: Program) -> Result<(), GuardianError> {
        self.guard = None;
        self.guard = Some(start(helper)?);
        let wards: Vec<_> = self.wards.iter().filter_map(Weak::upgrade).collect();
        for ward in wards {
            self.hand_over_shared(&ward)?;
        }
        Ok(())
    }
}

fn start(helper: Program) -> Result<Guard, GuardianError> {
    let (control, theirs) = Control::pair()?;
    let hello = Hello::plain(Role::Guardian).encode();
    let app = pidfd::own().map_err(std::io::Error::from)?;
    let bell =
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(std::io::Error::from)?;
    let brought = [app.as_fd(), bell.as_fd()];
    control.send(Kind::Hello, &hello, &brought, Wait::No)?;
    let process = Plan::new(helper)
        .arg("--legwork-guardian")
        .group(Group::Session)
        .signals(Mask::Full)
        .fd(CONTROL_FD, theirs)
        .spawn()?;
    Ok(Guard {
        app: own::id(),
        control,
        bell,
        waiting: 0,
        since: Instant::now(),
        answered: false,
        _process: process,
    })
}
