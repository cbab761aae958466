//! One child, from its birth to its one outcome.
//!
//! The supervisor is a state machine fed by the hub: frames, what the child prints, its exit, and
//! an alarm. It knows nothing of the job's types; what concerns them goes to a [`Sink`]. Nothing
//! of it is borrowed while the app's code runs (a sink, a property's notification, a waker), so
//! that code may do anything with the handle, also drop it.

mod frames;
mod logs;
mod requests;

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::channel::Taken;
use super::log::{Lines, Ring};
use super::outcome::{Facts, StopReason};
use crate::child::{Error, Worker, is_readable};
use crate::main_loop::hub::{Bell, Entry, Hub, Lane, Slice};
use crate::main_loop::mailbox;
use crate::model::{State, Status};
use crate::process::{Process, SharedProcess, own};
use crate::wire::control::{Control, Fault, Scratch};

/// How many frames of one child are handled in a row before the others have their turn.
const BURST: usize = 64;
/// How much of what it prints is read in a row before the others have their turn (64 KiB).
const PRINTS_BURST: usize = 64 * 1024;
/// How much of it is read by one call: not more, as each line may go into the app's log.
const PRINTS_READ: usize = 1024;
/// How long a child may take to end once it has answered, or has closed its control socket.
const END_WITHIN: Duration = Duration::from_secs(2);

thread_local! {
    /// One per thread, not per child: nothing stays in it between two calls.
    static SCRATCH: RefCell<Option<Scratch>> = const { RefCell::new(None) };
}

/// What is done when the app has been told of a job's end.
pub(super) type Told = Box<dyn FnOnce(State, Option<String>)>;

/// Where the typed part of a job's life goes.
pub(super) trait Sink {
    /// A message. An error ends the job with a protocol fault.
    fn message(&self, bytes: &[u8], descriptors: Vec<OwnedFd>) -> Result<(), Fault>;
    /// What ends the waiting for messages and outcome from another thread.
    fn bells(&self) -> [Arc<mailbox::Bell>; 2];
    /// The one outcome. Nothing comes after it. `told` is called with how it ended once everything
    /// before it has been delivered: at once, unless a callback that is running is yet to return.
    fn end(&self, outcome: Result<(Vec<u8>, Vec<OwnedFd>), Error>, told: Told);
}

/// The times that a child is given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) handshake: Option<Duration>,
    pub(super) deadline: Option<Duration>,
    pub(super) grace: Duration,
}

/// See the module.
pub(super) struct Supervisor {
    hub: Rc<Hub>,
    key: u32,
    worker: Worker,
    label: String,
    control: Arc<Control>,
    process: SharedProcess,
    pid: u32,
    taken: Arc<Taken>,
    times: Times,
    status: Status,
    sink: Box<dyn Sink>,
    forward_logs: bool,
    /// Another thread has told the job that it is to stop.
    told: Arc<AtomicBool>,
    ring: Arc<OnceLock<Arc<Ring>>>,
    facts: RefCell<Facts>,
    prints: RefCell<Option<(OwnedFd, Lines)>>,
    /// Futures that wait for room in the control socket.
    waiting: Waiting,
    /// That no more requests come has yet to be said.
    owes_end_of_requests: Cell<bool>,
    phase: Cell<Phase>,
    /// Held in the app's descriptor table for the page that comes with the handshake: an app that has
    /// started a job is not to lose it for want of that.
    place: Cell<Option<OwnedFd>>,
    /// What it has said and printed before its end and is still to be read.
    left: Cell<Option<Left>>,
    due: RefCell<Due>,
    at_end: RefCell<Vec<Box<dyn FnOnce()>>>,
    /// The app. A process that somebody forked from it has copies of all this, and shares the
    /// socket and the page: it must not touch them.
    app: u32,
}

type Waiting = Arc<Mutex<Vec<Waker>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Started; its hello has not come.
    Starting,
    Running,
    /// Its control socket is closed; only its exit is waited for.
    Hushed,
    Ended,
}

/// How many bytes were in the socket and in the pipe when the child ended. Others may hold the same
/// ends and go on; what they say is not the child's.
#[derive(Debug, Clone, Copy)]
struct Left {
    frames: usize,
    prints: usize,
}

/// When something has to happen by itself.
#[derive(Debug, Default)]
struct Due {
    handshake: Option<Instant>,
    deadline: Option<Instant>,
    /// Ask no longer.
    force: Option<Instant>,
    /// It has said its last word.
    end: Option<Instant>,
}

impl Due {
    fn first(&self) -> Option<Instant> {
        [self.handshake, self.deadline, self.force, self.end]
            .into_iter()
            .flatten()
            .min()
    }
}

/// What a running child consists of, handed over by `start`.
pub(super) struct Parts {
    pub(super) worker: Worker,
    pub(super) label: String,
    pub(super) control: Control,
    pub(super) process: SharedProcess,
    pub(super) pid: u32,
    pub(super) prints: OwnedFd,
    pub(super) taken: Arc<Taken>,
    pub(super) times: Times,
    pub(super) status: Status,
    pub(super) sink: Box<dyn Sink>,
    pub(super) forward_logs: bool,
}

impl Supervisor {
    /// Takes over a child that has just been started.
    pub(super) fn begin(hub: &Rc<Hub>, parts: Parts) -> Rc<Supervisor> {
        let mut made = None;
        let (ring, waiting) = (Arc::<OnceLock<Arc<Ring>>>::default(), Waiting::default());
        let hang_up = {
            let (ring, waiting) = (ring.clone(), waiting.clone());
            let bells = parts.sink.bells();
            Box::new(move || {
                bells.iter().for_each(|bell| bell.hang_up());
                if let Some(ring) = ring.get() {
                    ring.end();
                }
                wake_all(&waiting);
            })
        };
        hub.enter(&parts.process.clone(), hang_up, |key| {
            let now = Instant::now();
            let supervisor = Rc::new(Supervisor {
                hub: hub.clone(),
                key,
                worker: parts.worker,
                label: parts.label,
                control: Arc::new(parts.control),
                process: parts.process,
                pid: parts.pid,
                taken: parts.taken,
                due: RefCell::new(Due {
                    handshake: parts.times.handshake.and_then(|t| now.checked_add(t)),
                    deadline: parts.times.deadline.and_then(|t| now.checked_add(t)),
                    ..Due::default()
                }),
                times: parts.times,
                status: parts.status,
                sink: parts.sink,
                forward_logs: parts.forward_logs,
                told: Arc::default(),
                ring,
                facts: RefCell::default(),
                prints: RefCell::new(Some((parts.prints, Lines::default()))),
                waiting,
                owes_end_of_requests: Cell::new(false),
                phase: Cell::new(Phase::Starting),
                place: Cell::new(None),
                left: Cell::new(None),
                at_end: RefCell::default(),
                app: own::id(),
            });
            made = Some(supervisor.clone());
            supervisor
        });
        let supervisor = made.expect("`enter` calls its argument once");
        supervisor.hold_place();
        supervisor.watch();
        supervisor.set_alarm();
        supervisor
    }

    /// Puts the child's three descriptors behind the hub's.
    fn watch(&self) {
        let watched = (|| {
            self.hub
                .watch(self.key, Lane::Control, self.control.as_fd())?;
            if let Some((prints, _)) = &*self.prints.borrow() {
                self.hub.watch(self.key, Lane::Prints, prints.as_fd())?;
            }
            self.with_process(|process| self.hub.watch(self.key, Lane::Exit, process.pidfd()))
                .unwrap_or(Ok(()))
        })();
        if let Err(error) = watched {
            // The kernel has no memory for it, or the user no right to more: there will be no events.
            self.facts.borrow_mut().unwatched = Some(error);
            self.finish();
        }
    }

    fn with_process<T>(&self, act: impl FnOnce(&mut Process) -> T) -> Option<T> {
        self.process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
            .map(act)
    }

    fn has_ended(&self) -> bool {
        self.phase.get() == Phase::Ended
    }

    /// The child's process id, while it lives.
    pub(super) fn pid(&self) -> Option<u32> {
        (!self.has_ended()).then_some(self.pid)
    }

    /// Tells the end to whoever waits on this thread, if it was another that saw the context go.
    pub(super) fn bury(&self) {
        self.hub.bury();
    }

    /// What tells the job at once that it is to stop, from any thread, also when the context does
    /// not run.
    pub(super) fn teller(&self) -> impl Fn() + Clone + Send + Sync + 'static {
        let control = Arc::downgrade(&self.control);
        let (told, app) = (self.told.clone(), self.app);
        move || {
            if app == own::id()
                && let Some(control) = control.upgrade()
            {
                told.store(true, SeqCst);
                control.half_close();
            }
        }
    }

    /// What asks for its end from elsewhere.
    pub(super) fn bell(&self) -> Bell {
        self.hub.bell(self.key)
    }

    /// Has `act` called when the child has ended.
    pub(super) fn at_end(&self, act: Box<dyn FnOnce()>) {
        if self.has_ended() {
            act();
        } else {
            self.at_end.borrow_mut().push(act);
        }
    }

    // --- stopping -----------------------------------------------------------------------------

    /// Asks the child to stop, and has it forced when its grace is over. The first reason counts.
    pub(super) fn stop(&self, reason: StopReason) {
        if self.has_ended() || self.app != own::id() {
            return;
        }
        {
            let mut facts = self.facts.borrow_mut();
            if facts.stop.is_some() {
                return;
            }
            facts.stop = Some(reason);
        }
        self.control.half_close();
        {
            let mut due = self.due.borrow_mut();
            due.deadline = None;
            due.force = Instant::now().checked_add(self.times.grace);
        }
        self.set_alarm();
        // There is no room for them any more.
        wake_all(&self.waiting);
        self.status.set_state(State::Stopping);
    }

    /// SIGKILL, for the child and its group.
    fn force(&self) {
        // Refused only when nobody is left.
        self.with_process(|process| drop(process.kill()));
    }

    fn set_alarm(&self) {
        if !self.has_ended() {
            let first = self.due.borrow().first();
            self.hub.set_alarm(self.key, first);
        }
    }

    // --- the end ------------------------------------------------------------------------------

    /// What has happened in time counts, though the main loop was at something else until an alarm.
    fn catch_up(&self, slice: &Slice) {
        if self.left.get().is_some() {
            return;
        }
        if self.with_process(|process| is_readable(process.pidfd())) == Some(true) {
            self.exited(slice);
        } else if self.phase.get() == Phase::Starting {
            self.read_frames(slice);
        }
    }

    fn exited(&self, slice: &Slice) {
        // The group first, while its leader is not reaped and its number is its own.
        self.force();
        let end = self.with_process(Process::try_wait);
        match end {
            // Not its end yet.
            Some(Ok(None)) => return,
            Some(Ok(Some(exit))) => self.facts.borrow_mut().end = Some(Ok(exit)),
            Some(Err(error)) => self.facts.borrow_mut().end = Some(Err(error)),
            None => (),
        }
        self.with_process(|process| self.hub.unwatch(process.pidfd()));
        *self.due.borrow_mut() = Due::default();
        let waiting = |fd: std::os::fd::BorrowedFd<'_>| {
            rustix::io::ioctl_fionread(fd).map_or(0, |bytes| bytes as usize)
        };
        self.left.set(Some(Left {
            frames: waiting(self.control.as_fd()),
            prints: (self.prints.borrow().as_ref()).map_or(0, |(fd, _)| waiting(fd.as_fd())),
        }));
        self.drain(slice);
    }

    /// Reads on after the end. What the child said and printed just before is there already, so
    /// nothing is waited for; but it may be more than one slice.
    fn drain(&self, slice: &Slice) {
        let more = self.read_frames(slice);
        let prints = self.left.get().map_or(0, |left| left.prints);
        let more_prints = prints > 0 && self.read_prints(prints, slice);
        let prints = self.left.get().map_or(0, |left| left.prints);
        if !more && (!more_prints || prints == 0) {
            self.finish();
        }
    }

    fn finish(&self) {
        let phase = self.phase.replace(Phase::Ended);
        if phase == Phase::Ended {
            return;
        }
        self.close_prints();
        drop(self.place.take());
        if phase != Phase::Hushed {
            self.hub.unwatch(self.control.as_fd());
        }
        // Dropped here, a child that is still there is killed and reaped.
        drop(
            self.process
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        self.hub.leave(self.key);
        for act in self.at_end.take() {
            act();
        }
        wake_all(&self.waiting);
        let mut facts = self.facts.take();
        if self.told.load(SeqCst) {
            // It may have been quicker to end than the bell was to ring here.
            facts.stop.get_or_insert(StopReason::Cancelled);
        }
        let (status, ring) = (self.status.clone(), self.ring.clone());
        let told = move |state, error| {
            if let Some(ring) = ring.get() {
                ring.end();
            }
            status.end(state, error);
        };
        self.sink
            .end(facts.outcome(&self.label, &self.worker), Box::new(told));
    }
}

fn wake_all(waiting: &Mutex<Vec<Waker>>) {
    let waiting = std::mem::take(&mut *lock(waiting));
    waiting.into_iter().for_each(Waker::wake);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Entry for Supervisor {
    fn ready(&self, lane: Lane, writable: bool, slice: &Slice) {
        match lane {
            Lane::Control if writable => self.room(),
            _ => (),
        }
        match lane {
            _ if self.has_ended() => (),
            _ if self.left.get().is_some() => self.drain(slice),
            Lane::Control => drop(self.read_frames(slice)),
            Lane::Prints => {
                if !self.read_prints(PRINTS_BURST, slice) {
                    self.close_prints();
                }
            }
            Lane::Exit => self.exited(slice),
            // A program's: see `command`.
            Lane::Input | Lane::Output | Lane::Errors => (),
        }
    }

    fn alarm(&self, slice: &Slice) {
        self.catch_up(slice);
        if self.has_ended() {
            return;
        }
        let now = Instant::now();
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let due = {
            let due = self.due.borrow();
            (
                is_due(due.handshake),
                is_due(due.deadline),
                is_due(due.force),
                is_due(due.end),
            )
        };
        if due.0 {
            self.due.borrow_mut().handshake = None;
            self.facts.borrow_mut().silent_for = self.times.handshake;
            self.force();
            self.expect_end();
        }
        if due.1
            && let Some(deadline) = self.times.deadline
        {
            self.stop(StopReason::Deadline(deadline));
        }
        if due.2 {
            self.due.borrow_mut().force = None;
            self.force();
            self.expect_end();
        }
        if due.3 {
            self.due.borrow_mut().end = None;
            if self.phase.get() == Phase::Hushed && self.left.get().is_none() {
                self.facts.borrow_mut().lived_on();
            }
            // Cannot be refused: its exit will be told by the pidfd.
            self.force();
        }
        self.set_alarm();
    }

    fn cancel(&self) {
        self.stop(StopReason::Cancelled);
    }

    fn context_gone(&self) {
        self.facts.borrow_mut().context_gone = true;
        self.finish();
    }
}
