//! The app's end: starts the guardian, and hands every child's pidfd to it.
//!
//! The first program that is asked to be a worker becomes the guardian. Should it be killed, a main
//! loop of the app sees it go and starts another at once, which takes over all that live; where there
//! is none, the next start does. Should that program be no worker after all, the next one that has
//! proved to be a worker takes its place. A program that is no worker and does not end says nothing
//! either, as a guardian does first of all: it is replaced in the same way.
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

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::io::{Errno, retry_on_intr};

use crate::process::{Process, own, pidfd};
use crate::spawn::{Group, Mask, Plan, Program, SpawnError};
use crate::wire::control::{Control, DESCRIPTORS_MAX, Received, Scratch, Wait};
use crate::wire::frame::{CONTROL_FD, Hello, Kind, Role};

/// How long a guardian may take to say that it is one.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How many children may wait in the guardian's socket before the bell rings.
const WAITING_MAX: usize = 32;

/// How long a full socket is waited for. The kernel takes some 270 frames, and in all, per user, no
/// more descriptors than the soft limit of open files: an app that starts more than that before its
/// guardian has had the time to begin waits here.
const ROOM_WITHIN: Duration = Duration::from_millis(250);

/// How many that were killed are followed at once, within a time: somebody may kill whoever comes,
/// and the app has other things to do.
const FOLLOWED_MAX: (u32, Duration) = (10, Duration::from_secs(10));

/// The guardian, as long as the app holds on to it.
struct Guardian {
    program: Program,
    /// One of that program has been a guardian.
    proved: bool,
    control: Control,
    /// An eventfd that has it take what waits in the socket.
    bell: OwnedFd,
    /// How many children have been handed over since it rang.
    waiting: usize,
    /// It knows all children.
    whole: bool,
    since: Instant,
    /// It has said that it is one.
    answered: bool,
    process: Process,
}

/// A child that is watched over. It may be gone.
struct Ward {
    pidfd: Weak<OwnedFd>,
    /// The number of the group that it leads, 0 for none.
    group: u32,
    /// The `cgroup.kill` of the cgroup that it has for itself.
    tree: Option<Arc<OwnedFd>>,
}

#[derive(Default)]
struct State {
    guardian: Option<Guardian>,
    wards: Wards,
    /// An epoll descriptor that is readable when the guardian has ended.
    lookout: Option<OwnedFd>,
    /// How many were followed at once, and since when.
    followed: Option<(u32, Instant)>,
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
    fn living(&self) -> Vec<Living> {
        let held = |ward: &Ward| Some((ward.group, ward.pidfd.upgrade()?, ward.tree.clone()));
        let living = self.known.iter().filter_map(held);
        living
            .filter(|(_, pidfd, _)| !pidfd::has_ended(pidfd.as_fd()))
            .collect()
    }

    #[cfg(feature = "desktop")]
    fn of(&mut self, process: &Process) -> Option<&mut Ward> {
        let pidfd = Arc::downgrade(process.shared_pidfd());
        (self.known.iter_mut()).find(|ward| ward.pidfd.ptr_eq(&pidfd))
    }
}

/// A child's group, pidfd, and `cgroup.kill`.
type Living = (u32, Arc<OwnedFd>, Option<Arc<OwnedFd>>);

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
/// `helper` is a program whose `main` begins with [`legwork::init`](crate::init) or
/// [`Jobs::run_if_worker`](crate::Jobs::run_if_worker), as [`Program::Current`] may be. It is
/// started when there is no guardian yet. From any thread.
///
/// A guardian that is killed is followed by another, which knows this child as well: at once where
/// a main context of the app has had a job or a [`Command`](crate::Command), else at the next call.
///
/// # Errors
///
/// The helper could not be started, or does not take the child; or the process is not a child of
/// this process, but of the one that this was forked from. A helper that is no worker program is not
/// found out here: until a job has proved another program to be one, nobody watches over the child.
pub fn watch_over(process: &Process, helper: Program) -> Result<(), GuardianError> {
    let mut state = lock();
    state.watch_over(process, || helper)?;
    // Nobody tells this room of the child's end.
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

/// The child has a cgroup for itself now, in which all is to be killed with it: this is its `cgroup.kill`, open for
/// writing. No guardian is started for that.
#[cfg(feature = "desktop")]
pub(crate) fn watch_over_tree(process: &Process, tree: OwnedFd) -> io::Result<()> {
    let mut state = lock();
    let tree = Arc::new(tree);
    if let Some(ward) = state.wards.of(process) {
        ward.tree = Some(tree.clone());
    }
    match &mut state.guardian {
        Some(guardian) => guardian.take_tree(process.pidfd(), tree.as_fd()),
        None => Ok(()),
    }
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
    match guardian.is_some_and(|guardian| guardian.is_well() && !guardian.is_mute()) {
        true => Ok(()),
        false => state.replace(helper()).map(drop),
    }
}

/// Has an epoll descriptor be readable, by this number, when the guardian has ended: then [`attend`]
/// is to be called, on whichever thread. Nothing happens there before.
#[cfg(feature = "app")]
pub(crate) fn watch(from: BorrowedFd<'_>, number: u64) -> io::Result<()> {
    let mut state = lock();
    let state = &mut *state;
    if state.lookout.is_none() {
        let lookout = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        if let Some(guardian) = &state.guardian {
            guardian.be_watched(&lookout)?;
        }
        state.lookout = Some(lookout);
    }
    if let Some(lookout) = &state.lookout {
        let number = epoll::EventData::new_u64(number);
        epoll::add(from, lookout, number, epoll::EventFlags::IN)?;
    }
    Ok(())
}

/// Has another guardian follow one that has ended.
#[cfg(feature = "app")]
pub(crate) fn attend() -> Result<(), GuardianError> {
    let mut state = lock();
    let guardian = state.guardian.as_ref();
    if !guardian.is_some_and(|guardian| pidfd::has_ended(guardian.process.pidfd())) {
        // Another thread was quicker.
        return Ok(());
    }
    let Some(mut before) = state.dismiss() else {
        return Ok(());
    };
    // A program that may never have been one is asked again by the next start, and not for ever here.
    let proved = before.proved || before.has_answered();
    if proved && state.may_follow() {
        state.replace(before.program)?.proved = true;
    }
    Ok(())
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
        self.wards.push(Ward {
            pidfd,
            group,
            tree: None,
        });
        // That it has gone shows here, too.
        if let Some(guardian) = &mut self.guardian {
            let taken = guardian.take(&group.to_le_bytes(), &[process.pidfd()]);
            if taken.is_ok() && guardian.whole {
                return Ok(());
            }
        }
        self.replace(helper()).map(drop)
    }

    /// Has it take what waits, if there is anything.
    fn ring(&mut self) -> Result<(), GuardianError> {
        Ok(self.guardian.as_mut().map_or(Ok(()), Guardian::ring)?)
    }

    /// Has a new guardian take over. The one before it goes when the new one knows all children, so
    /// that an app that dies meanwhile has one.
    fn replace(&mut self, helper: Program) -> Result<&mut Guardian, GuardianError> {
        let mut next = Guardian::start(helper)?;
        let living = self.wards.living();
        for wards in living.chunks(DESCRIPTORS_MAX) {
            let groups: Vec<_> = wards
                .iter()
                .flat_map(|(group, ..)| group.to_le_bytes())
                .collect();
            let pidfds: Vec<_> = wards.iter().map(|(_, pidfd, _)| pidfd.as_fd()).collect();
            next.take(&groups, &pidfds)?;
        }
        for (_, pidfd, tree) in &living {
            if let Some(tree) = tree {
                next.take_tree(pidfd.as_fd(), tree.as_fd())?;
            }
        }
        if let Some(lookout) = &self.lookout {
            // Where that cannot be, its end shows at the next start.
            let _ = next.be_watched(lookout);
        }
        drop(self.dismiss());
        Ok(self.guardian.insert(next))
    }

    /// Lets go of it.
    fn dismiss(&mut self) -> Option<Guardian> {
        let guardian = self.guardian.take()?;
        if let Some(lookout) = &self.lookout {
            // Not only by its being closed: a copy of the app may hold it open.
            let _ = epoll::delete(lookout, &guardian.process);
        }
        Some(guardian)
    }

    /// Counts those that are followed at once.
    #[cfg(feature = "app")]
    fn may_follow(&mut self) -> bool {
        let (most, time) = FOLLOWED_MAX;
        let (times, since) = (self.followed)
            .filter(|(_, since)| since.elapsed() < time)
            .unwrap_or((0, Instant::now()));
        self.followed = Some((times + 1, since));
        times < most
    }
}

impl Guardian {
    fn start(program: Program) -> Result<Guardian, GuardianError> {
        let (control, theirs) = Control::pair()?;
        let hello = Hello::plain(Role::Guardian).encode();
        let app = pidfd::own().map_err(io::Error::from)?;
        let bell =
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(io::Error::from)?;
        let brought = [app.as_fd(), bell.as_fd()];
        control.send(Kind::Hello, &hello, &brought, Wait::No)?;
        let process = Plan::new(program.try_clone()?)
            .arg("--legwork-guardian")
            .group(Group::Session)
            .signals(Mask::Full)
            .fd(CONTROL_FD, theirs)
            .spawn()?;
        Ok(Guardian {
            program,
            proved: false,
            control,
            bell,
            waiting: 0,
            whole: true,
            since: Instant::now(),
            answered: false,
            process,
        })
    }

    fn is_well(&self) -> bool {
        self.whole && !self.control.has_hung_up()
    }

    /// Has an epoll descriptor be readable when it has ended.
    fn be_watched(&self, lookout: &OwnedFd) -> io::Result<()> {
        let number = epoll::EventData::new_u64(0);
        epoll::add(lookout, &self.process, number, epoll::EventFlags::IN)?;
        Ok(())
    }

    /// Whether it has said that it is a guardian.
    fn has_answered(&mut self) -> bool {
        if !self.answered && self.control.has_news() {
            let mut scratch = Scratch::new();
            self.answered = match self.control.recv(&mut scratch, Wait::No) {
                Ok(Received::Packet(packet)) => packet.kind == Kind::Ready as u8,
                _ => false,
            };
        }
        self.answered
    }

    /// Whether what is up has had its time, and has not said that it is a guardian.
    fn is_mute(&mut self) -> bool {
        !self.has_answered() && self.since.elapsed() > ANSWER_WITHIN
    }

    /// Hands over children, by their pidfds and the numbers of their groups.
    fn take(&mut self, groups: &[u8], pidfds: &[BorrowedFd<'_>]) -> Result<(), GuardianError> {
        Ok(self.hand_over(Kind::Guard, groups, pidfds)?)
    }

    /// Hands over the cgroup of a child.
    fn take_tree(&mut self, pidfd: BorrowedFd<'_>, tree: BorrowedFd<'_>) -> io::Result<()> {
        self.hand_over(Kind::GuardTree, &[], &[pidfd, tree])
    }

    fn hand_over(
        &mut self,
        kind: Kind,
        payload: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        // A socket that stays full is waited for once.
        let patience = match self.whole {
            true => ROOM_WITHIN,
            false => Duration::ZERO,
        };
        let mut until = None;
        while let Err(error) = self.control.send(kind, payload, descriptors, Wait::No) {
            let is_full = error.kind() == io::ErrorKind::WouldBlock
                || error.raw_os_error() == Some(Errno::TOOMANYREFS.raw_os_error());
            if !is_full || Instant::now() >= *until.get_or_insert_with(|| Instant::now() + patience)
            {
                self.whole = false;
                return Err(error);
            }
            self.ring()?;
            thread::sleep(Duration::from_millis(1));
        }
        self.waiting += descriptors.len();
        match self.waiting < WAITING_MAX {
            true => Ok(()),
            false => self.ring(),
        }
    }

    fn ring(&mut self) -> io::Result<()> {
        if self.waiting > 0 {
            self.waiting = 0;
            retry_on_intr(|| rustix::io::write(&self.bell, &1_u64.to_ne_bytes()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_gone_are_taken_off_the_list() {
        let pidfd = || Arc::new(pidfd::own().unwrap());
        let known = |pidfd: &Arc<OwnedFd>| Ward {
            pidfd: Arc::downgrade(pidfd),
            group: 7,
            tree: None,
        };
        let (mut wards, stays) = (Wards::default(), pidfd());
        wards.push(known(&stays));
        for _ in 0..1000 {
            wards.push(known(&pidfd()));
            assert!(wards.known.len() < 20);
        }
        let living = wards.living();
        assert!(matches!(&living[..], [(7, pidfd, None)] if Arc::ptr_eq(pidfd, &stays)));
    }
}
