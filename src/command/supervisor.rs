//! One program, from its birth to its one outcome.
//!
//! Fed by the hub: what the program writes, room for what it reads, its exit, and an alarm.
//! Nothing is borrowed while the app's code runs.

mod helper;
mod roads;
mod stopping;
mod verdict;

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

pub(super) use self::roads::Whole;
use super::handle::Output;
use super::lane::Lane;
use super::road::Road;
use super::stop::Stop;
use crate::child::Error;
use crate::child::seat::is_readable;
use crate::guardian;
use crate::main_loop::hub::{Bell, Entry, Hub, Slice, Token};
use crate::main_loop::mailbox::Outlet;
use crate::model::{State, Status};
use crate::process::{Exit, ExitStatus, Process, SharedProcess, WaitError, own};
use crate::spawn::{SpawnError, Target};
use crate::wire::control::Control;

/// How much is still read after the end, at most, from a pipe that somebody else holds open.
const LAST_READ: usize = 1024 * 1024;

/// Which exits are a success.
pub(super) type Success = Rc<dyn Fn(ExitStatus) -> bool>;

/// What does not change while the program runs.
pub(super) struct Rules {
    pub(super) label: String,
    pub(super) stop: Stop,
    pub(super) success: Success,
    pub(super) deadline: Option<Duration>,
    pub(super) stall: Option<Duration>,
    pub(super) drain: Duration,
}

/// What is still to be written to standard input.
pub(super) struct InputRoad {
    pub(super) fd: OwnedFd,
    pub(super) bytes: Vec<u8>,
    pub(super) written: usize,
    /// All was there from the start, so nobody adds to it.
    pub(super) whole: Option<Whole>,
    /// Close it when all is written.
    pub(super) last: bool,
    pub(super) watched: bool,
    pub(super) waker: Option<Waker>,
    /// It is a terminal, whose input has an end when that is typed.
    pub(super) terminal: bool,
    /// What was written last has not ended its line.
    pub(super) mid_line: bool,
}

pub(super) struct Supervisor {
    hub: Rc<Hub>,
    key: u32,
    process: SharedProcess,
    pid: u32,
    rules: Rules,
    status: Status,
    outcome: Outlet<Result<Output, Error>>,
    roads: [RefCell<Option<Road>>; 2],
    input: RefCell<Option<InputRoad>>,
    helper: RefCell<Option<Helper>>,
    life: RefCell<Life>,
    due: RefCell<Due>,
    at_end: RefCell<Vec<Box<dyn FnOnce()>>>,
    /// The app has paused it.
    held: Cell<bool>,
    /// Only the waiting for it is to be cancelled.
    let_go: Arc<AtomicBool>,
    app: u32,
}

/// The exec helper, until it has become the program.
pub(super) struct Helper {
    pub(super) control: Control,
    /// It has done its part and is about to execute.
    pub(super) ready: bool,
    /// What it executes; kept open until then.
    pub(super) target: Target,
}

/// How long an exec helper may take.
const HELPER_WITHIN: Duration = Duration::from_secs(10);

#[derive(Clone)]
enum NotStarted {
    /// The helper is not what it should be.
    Helper(String),
    /// A step has failed that the helper took.
    Step(SpawnError),
}

#[derive(Default)]
struct Life {
    /// Why the program was not executed.
    not_started: Option<NotStarted>,
    stop: Option<Stopping>,
    end: Option<Result<Exit, WaitError>>,
    /// The error number for which its end cannot be watched.
    unwatched: Option<i32>,
    exit_wakers: Vec<Waker>,
    incomplete: bool,
    context_gone: bool,
    let_go: bool,
    ended: bool,
}

struct Stopping {
    reason: Reason,
    next: usize,
}

#[derive(Clone, Copy)]
enum Reason {
    Asked,
    Deadline(Duration),
    Stalled(Duration),
}

#[derive(Debug, Default)]
struct Due {
    helper: Option<Instant>,
    deadline: Option<Instant>,
    stall: Option<Instant>,
    /// The next step of the stop.
    step: Option<Instant>,
    /// Nothing is read after this.
    drained: Option<Instant>,
    /// A descriptor that cannot be watched is looked at.
    look: Option<Instant>,
}

/// How often a descriptor is looked at for which the kernel has no memory to watch it, or for which
/// the user has too many watched already; see epoll(7), `max_user_watches`.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Due {
    fn first(&self) -> Option<Instant> {
        [
            self.helper,
            self.deadline,
            self.stall,
            self.step,
            self.drained,
            self.look,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

pub(super) struct Parts {
    pub(super) process: SharedProcess,
    pub(super) pid: u32,
    pub(super) rules: Rules,
    pub(super) status: Status,
    pub(super) outcome: Outlet<Result<Output, Error>>,
    pub(super) stdout: Option<Road>,
    pub(super) stderr: Option<Road>,
    pub(super) input: Option<InputRoad>,
    pub(super) helper: Option<Helper>,
}

impl Supervisor {
    pub(super) fn begin(hub: &Rc<Hub>, parts: Parts) -> Rc<Supervisor> {
        let bell = parts.outcome.bell();
        let key = hub.new_key();
        let now = Instant::now();
        let after = |time: Option<Duration>| time.and_then(|time| now.checked_add(time));
        let process = parts.process.clone();
        let supervisor = Rc::new(Supervisor {
            hub: hub.clone(),
            key,
            process: parts.process,
            pid: parts.pid,
            due: RefCell::new(Due {
                helper: after(parts.helper.as_ref().map(|_| HELPER_WITHIN)),
                deadline: after(parts.rules.deadline),
                stall: after(parts.rules.stall),
                ..Due::default()
            }),
            rules: parts.rules,
            status: parts.status,
            outcome: parts.outcome,
            roads: [RefCell::new(parts.stdout), RefCell::new(parts.stderr)],
            input: RefCell::new(parts.input),
            helper: RefCell::new(parts.helper),
            life: RefCell::default(),
            at_end: RefCell::default(),
            held: Cell::new(false),
            let_go: Arc::default(),
            app: own::id(),
        });
        hub.enter(
            key,
            process,
            Box::new(move || bell.hang_up()),
            supervisor.clone(),
        );
        supervisor.status.begin(supervisor.pid);
        if supervisor.helper.borrow().is_none() {
            supervisor.status.set_state(State::Running);
        }
        // May be its end already.
        supervisor.watch();
        supervisor.set_alarm();
        supervisor
    }

    fn watch(&self) {
        for road in &self.roads {
            if let Some(road) = &mut *road.borrow_mut()
                && let Some(fd) = &road.fd
            {
                road.paused = self
                    .hub
                    .watch(self.key, road.lane.token(), fd.as_fd())
                    .is_err();
                if road.paused {
                    self.look_later();
                }
            }
        }
        let helper = match &*self.helper.borrow() {
            Some(helper) => self
                .hub
                .watch(self.key, Lane::Helper.token(), helper.control.as_fd()),
            None => Ok(()),
        };
        let watched = self
            .with_process(|process| {
                self.hub
                    .watch(self.key, Lane::Exit.token(), process.pidfd())
            })
            .unwrap_or(Ok(()));
        if let Err(error) = watched.and(helper) {
            self.life.borrow_mut().unwatched = error.raw_os_error();
            self.force();
            self.finish();
        }
        self.write_input();
    }

    fn with_process<T>(&self, act: impl FnOnce(&mut Process) -> T) -> Option<T> {
        self.process
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
            .map(act)
    }

    pub(super) fn bell(&self) -> Bell {
        self.hub.bell(self.key)
    }

    pub(super) fn at_end(&self, act: Box<dyn FnOnce()>) {
        if self.life.borrow().ended {
            act();
        } else {
            self.at_end.borrow_mut().push(act);
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        let life = self.life.borrow();
        (life.end.is_none() && !life.ended).then_some(self.pid)
    }

    fn set_alarm(&self) {
        if !self.life.borrow().ended {
            let first = self.due.borrow().first();
            self.hub.set_alarm(self.key, first);
        }
    }

    // --- the end ------------------------------------------------------------------------------

    /// What has happened in time counts, though the main loop was at something else until an alarm.
    fn catch_up(&self) {
        self.read_helper();
        if self.with_process(|process| is_readable(process.pidfd())) == Some(true) {
            self.exited();
        }
    }

    fn exited(&self) {
        if self.life.borrow().end.is_some() {
            // A nested main loop was quicker.
            return;
        }
        self.read_helper();
        let stopping = self.life.borrow().stop.is_some();
        if stopping {
            // Whoever was to be stopped is stopped with all of its group, while the number of the
            // group is certainly its own.
            self.force();
        }
        let end = match self.with_process(Process::try_wait) {
            Some(Ok(None)) => return,
            Some(Ok(Some(exit))) => Some(Ok(exit)),
            Some(Err(error)) => Some(Err(error)),
            None => None,
        };
        let mut wakers = {
            let mut life = self.life.borrow_mut();
            life.end = end;
            std::mem::take(&mut life.exit_wakers)
        };
        self.with_process(|process| self.hub.unwatch(process.pidfd()));
        guardian::has_ended();
        // Whoever waits for room in it learns that there will be none.
        wakers.extend(self.take_input().and_then(|input| input.waker));
        for lane in [Lane::Output, Lane::Errors] {
            self.read_road(lane, LAST_READ, None);
        }
        {
            let mut due = self.due.borrow_mut();
            *due = Due {
                drained: Instant::now().checked_add(self.rules.drain),
                ..Due::default()
            };
        }
        self.status.set_pid(0);
        wakers.into_iter().for_each(Waker::wake);
        self.finish_if_drained();
        self.set_alarm();
    }

    fn finish_if_drained(&self) {
        let done = self.life.borrow().end.is_some()
            && self.is_at_end(Lane::Output)
            && self.is_at_end(Lane::Errors);
        if done {
            self.finish();
        }
    }

    /// How it exited, once it has, also while a grandchild still holds its pipes.
    pub(super) fn poll_exit(&self, waker: &Waker) -> Poll<Option<Exit>> {
        // The app's code: with nothing borrowed.
        let waker = waker.clone();
        let mut life = self.life.borrow_mut();
        match life.end {
            Some(end) => Poll::Ready(end.ok()),
            None if life.ended => Poll::Ready(None),
            None => {
                if !life.exit_wakers.iter().any(|other| other.will_wake(&waker)) {
                    life.exit_wakers.push(waker);
                }
                Poll::Pending
            }
        }
    }

    fn finish(&self) {
        let wakers = {
            let mut life = self.life.borrow_mut();
            if std::mem::replace(&mut life.ended, true) {
                return;
            }
            std::mem::take(&mut life.exit_wakers)
        };
        let mut wakers = wakers;
        for lane in [Lane::Output, Lane::Errors] {
            drop(self.take_road_fd(lane));
            let waker = self.road(lane).as_mut().and_then(|road| road.waker.take());
            wakers.extend(waker);
        }
        wakers.extend(self.take_input().and_then(|input| input.waker));
        if let Some(helper) = self.helper.take() {
            // Somebody may hold a copy of it, and epoll goes by the open file.
            self.hub.unwatch(helper.control.as_fd());
        }
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
        wakers.into_iter().for_each(Waker::wake);
        let outcome = self.decide();
        let (state, text) = match &outcome {
            Ok(_) => (State::Finished, None),
            Err(error) if error.is_cancelled() => (State::Cancelled, None),
            Err(error) => (State::Failed, Some(error.to_string())),
        };
        let _ = self.outcome.put(outcome);
        self.outcome.close();
        self.status.end(state, text);
    }
}

impl Entry for Supervisor {
    fn ready(&self, token: Token, _writable: bool, slice: &Slice) {
        match Lane::of(token) {
            lane @ (Lane::Output | Lane::Errors) => {
                self.read_road(lane, usize::MAX, Some(slice));
                self.finish_if_drained();
            }
            Lane::Input => self.write_input(),
            Lane::Exit => self.exited(),
            Lane::Helper => self.read_helper(),
        }
    }

    fn alarm(&self, slice: &Slice) {
        self.catch_up();
        let now = Instant::now();
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let (helper, deadline, stall, step, drained, look) = {
            let due = self.due.borrow();
            (
                is_due(due.helper),
                is_due(due.deadline),
                is_due(due.stall),
                is_due(due.step),
                is_due(due.drained),
                is_due(due.look),
            )
        };
        if look {
            self.due.borrow_mut().look = None;
            self.look(slice);
        }
        if helper {
            self.due.borrow_mut().helper = None;
            self.life.borrow_mut().not_started = Some(NotStarted::Helper(format!(
                "its helper did not do so within {HELPER_WITHIN:?}"
            )));
            self.force();
        }
        if deadline && let Some(after) = self.rules.deadline {
            self.stop(Reason::Deadline(after));
        }
        if stall && let Some(after) = self.rules.stall {
            if self.held.get() || self.has_paused_road() {
                self.renew_stall();
            } else if !self.has_written() {
                self.stop(Reason::Stalled(after));
            }
        }
        if step {
            self.next_step();
        }
        if drained {
            for lane in [Lane::Output, Lane::Errors] {
                self.read_road(lane, LAST_READ, None);
            }
            // Somebody else holds the pipes, and may for ever.
            let incomplete = !(self.is_at_end(Lane::Output) && self.is_at_end(Lane::Errors));
            self.life.borrow_mut().incomplete = incomplete;
            self.finish();
        }
        self.set_alarm();
    }

    fn cancel(&self) {
        if self.let_go.swap(false, SeqCst) {
            self.stop_waiting();
        } else {
            self.cancel_now();
        }
    }

    fn context_gone(&self) {
        self.life.borrow_mut().context_gone = true;
        self.finish();
    }
}
