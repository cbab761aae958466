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
//!
//! A process that somebody forked from the app has copies of all this, and must not speak for the app;
//! nor may it wait for a lock that another thread held when it was made. Each process has a state of
//! its own.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};
use std::{io, thread};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use crate::process::{Process, own, pidfd};
use crate::spawn::{Group, Mask, Plan, Program, SpawnError};
use crate::wire::control::{Control, DESCRIPTORS_MAX, Wait};
use crate::wire::frame::{CONTROL_FD, Hello, Kind, Role};

/// How long a guardian may take to say that it is one.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How many children may wait in the guardian's socket before the bell rings.
const WAITING_MAX: usize = 32;

/// How long a full socket is waited for. The kernel takes some 270 frames, and in all, per user, no
/// more descriptors than the soft limit of open files: an app that starts more than that before its
/// guardian has had the time to begin waits here.
const ROOM_WITHIN: Duration = Duration::from_millis(250);

/// The guardian, as long as the app holds on to it.
struct Guardian {
    control: Control,
    /// An eventfd that has it take what waits in the socket.
    bell: OwnedFd,
    /// How many children have been handed over since it rang.
    waiting: usize,
    since: Instant,
    /// It has said that it is one.
    answered: bool,
    _process: Process,
}

/// A child that is watched over. It may be gone.
struct Ward {
    pidfd: Weak<OwnedFd>,
    /// The number of the group that it leads, 0 for none.
    group: u32,
}

#[derive(Default)]
struct State {
    guardian: Option<Guardian>,
    wards: Wards,
}

/// Who is to be watched over, by whichever guardian.
#[derive(Default)]
struct Wards {
    known: Vec<Ward>,
    /// How many there may be before those that are gone are looked for.
    enough: usize,
}

impl Wards {
    fn push(&mut self, ward: Ward) {
        if self.known.len() >= self.enough {
            self.known.retain(|ward| ward.pidfd.strong_count() > 0);
            self.enough = 2 * self.known.len() + 16;
        }
        self.known.push(ward);
    }

    /// Those that have not ended: what the others left behind is not the app's any more.
    fn living(&self) -> Vec<(u32, Arc<OwnedFd>)> {
        let held = |ward: &Ward| Some((ward.group, ward.pidfd.upgrade()?));
        let living = self.known.iter().filter_map(held);
        living
            .filter(|(_, pidfd)| !pidfd::has_ended(pidfd.as_fd()))
            .collect()
    }
}

/// The state of one process, and of the copies that were made of it.
struct OfProcess {
    process: u32,
    state: Mutex<State>,
    copy: OnceLock<Box<OfProcess>>,
}

impl OfProcess {
    fn new() -> OfProcess {
        OfProcess {
            process: own::id(),
            state: Mutex::default(),
            copy: OnceLock::new(),
        }
    }
}

fn lock() -> MutexGuard<'static, State> {
    static FIRST: OnceLock<OfProcess> = OnceLock::new();
    let mut found = FIRST.get_or_init(OfProcess::new);
    while found.process != own::id() {
        found = found.copy.get_or_init(|| Box::new(OfProcess::new()));
    }
    found.state.lock().unwrap_or_else(PoisonError::into_inner)
}

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

impl From<io::Error> for GuardianError {
    fn from(error: io::Error) -> Self {
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
/// all is not found out here: until a job has proved another to be one, nobody watches over. The
/// child is none of this process, but of the one that this was forked from.
pub fn watch_over(process: &Process, helper: Program) -> Result<(), GuardianError> {
    let mut state = lock();
    state.watch_over(process, || helper)?;
    // Of its end nothing is heard here.
    state.ring()
}

/// The same for a child of whose end the app hears: then [`has_ended`] is to be called.
#[cfg(feature = "app")]
pub(crate) fn watch_over_by(
    process: &Process,
    helper: impl FnOnce() -> Program,
) -> Result<(), GuardianError> {
    lock().watch_over(process, helper)
}

/// A program has ended, and the app has heard of it: what it left behind (a browser, say) is not to
/// be killed with the app. So the guardian has to see its end before that of the app.
#[cfg(feature = "app")]
pub(crate) fn has_ended() {
    // If it has gone, whoever follows it does not hear of this child at all.
    let _ = lock().ring();
}

/// Makes sure that there is a guardian, by a program that has proved to be a worker.
#[cfg(feature = "app")]
pub(crate) fn check(helper: impl FnOnce() -> Program) -> Result<(), GuardianError> {
    let mut state = lock();
    let guardian = state.guardian.as_mut();
    match guardian.is_some_and(|guardian| guardian.is_up() && !guardian.is_mute()) {
        true => Ok(()),
        false => state.replace(helper()),
    }
}

impl State {
    fn watch_over(
        &mut self,
        process: &Process,
        helper: impl FnOnce() -> Program,
    ) -> Result<(), GuardianError> {
        if !process.is_parent() {
            let why = "it is a child of the process that this one was forked from";
            return Err(GuardianError(why.into()));
        }
        let group = match process.leads_group() {
            true => process.pid(),
            false => 0,
        };
        let pidfd = Arc::downgrade(process.shared_pidfd());
        self.wards.push(Ward { pidfd, group });
        // That it has gone shows here, too.
        if let Some(guardian) = &mut self.guardian
            && guardian
                .take(&group.to_le_bytes(), &[process.pidfd()])
                .is_ok()
        {
            return Ok(());
        }
        self.replace(helper())
    }

    /// Has it take what waits, if there is anything.
    fn ring(&mut self) -> Result<(), GuardianError> {
        self.guardian.as_mut().map_or(Ok(()), Guardian::ring)
    }

    /// Has a new guardian take over. The one before it goes when the new one knows all children, so
    /// that an app that dies meanwhile has one.
    fn replace(&mut self, helper: Program) -> Result<(), GuardianError> {
        let mut next = Guardian::start(helper)?;
        for wards in self.wards.living().chunks(DESCRIPTORS_MAX) {
            let groups: Vec<_> = wards
                .iter()
                .flat_map(|(group, _)| group.to_le_bytes())
                .collect();
            let pidfds: Vec<_> = wards.iter().map(|(_, pidfd)| pidfd.as_fd()).collect();
            next.take(&groups, &pidfds)?;
        }
        self.guardian = Some(next);
        Ok(())
    }
}

impl Guardian {
    fn start(helper: Program) -> Result<Guardian, GuardianError> {
        let (control, theirs) = Control::pair()?;
        let hello = Hello::plain(Role::Guardian).encode();
        let app = pidfd::own().map_err(io::Error::from)?;
        let bell =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(io::Error::from)?;
        let brought = [app.as_fd(), bell.as_fd()];
        control.send(Kind::Hello, &hello, &brought, Wait::No)?;
        let process = Plan::new(helper)
            .arg("--legwork-guardian")
            .group(Group::Session)
            .signals(Mask::Full)
            .fd(CONTROL_FD, theirs)
            .spawn()?;
        Ok(Guardian {
            control,
            bell,
            waiting: 0,
            since: Instant::now(),
            answered: false,
            _process: process,
        })
    }

    fn is_up(&self) -> bool {
        !self.control.has_hung_up()
    }

    /// Whether what is up has had its time, and has not said that it is a guardian.
    fn is_mute(&mut self) -> bool {
        self.answered = self.answered || self.control.has_news();
        !self.answered && self.since.elapsed() > ANSWER_WITHIN
    }

    /// Hands over children, by their pidfds and the numbers of their groups.
    fn take(&mut self, groups: &[u8], pidfds: &[BorrowedFd<'_>]) -> Result<(), GuardianError> {
        let mut until = None;
        while let Err(error) = self.control.send(Kind::Guard, groups, pidfds, Wait::No) {
            let is_full = error.kind() == io::ErrorKind::WouldBlock
                || error.raw_os_error() == Some(Errno::TOOMANYREFS.raw_os_error());
            if !is_full
                || Instant::now() > *until.get_or_insert_with(|| Instant::now() + ROOM_WITHIN)
            {
                return Err(error.into());
            }
            self.ring()?;
            thread::sleep(Duration::from_millis(1));
        }
        self.waiting += pidfds.len();
        match self.waiting < WAITING_MAX {
            true => Ok(()),
            false => self.ring(),
        }
    }

    fn ring(&mut self) -> Result<(), GuardianError> {
        if self.waiting > 0 {
            self.waiting = 0;
            rustix::io::write(&self.bell, &1_u64.to_ne_bytes()).map_err(io::Error::from)?;
        }
        Ok(())
    }
}
