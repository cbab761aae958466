//! A child's place on the app's side: its entry in the hub, its process, and what is due at its end.
//!
//! A supervisor owns one, and asks it for whatever has nothing to do with what the child does.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::PoisonError;
use std::time::Instant;

use rustix::io::Errno;

use crate::main_loop::hub::{Canceller, Entry, HangUp, Hub, Pace, Token};
use crate::process::pidfd::has_ended;
use crate::process::{Process, SharedProcess, Signal, own};

/// See the module.
pub(crate) struct Seat {
    hub: Rc<Hub>,
    key: u32,
    process: SharedProcess,
    pid: u32,
    ended: Cell<bool>,
    at_end: RefCell<Vec<Box<dyn FnOnce()>>>,
    /// The app. A process that somebody forked from it has copies of all this, and shares sockets,
    /// pipes and memory with the app: it must not touch them.
    app: u32,
}

impl Seat {
    /// Takes a child into the hub. `make` is handed its seat. Should the context go away on another
    /// thread, `hang_up` is called there.
    pub(crate) fn take<E: Entry + 'static>(
        hub: &Rc<Hub>,
        process: SharedProcess,
        pid: u32,
        hang_up: HangUp,
        make: impl FnOnce(Seat) -> E,
    ) -> Rc<E> {
        let key = hub.new_key();
        let seat = Seat {
            hub: hub.clone(),
            key,
            process: process.clone(),
            pid,
            ended: Cell::new(false),
            at_end: RefCell::default(),
            app: own::id(),
        };
        let entry = Rc::new(make(seat));
        hub.enter(key, process, hang_up, entry.clone());
        entry
    }

    /// Whether [`leave`](Self::leave) was called.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Whether this is a copy that somebody forked from the app.
    pub(crate) fn is_copy(&self) -> bool {
        self.app != own::id()
    }

    /// The child's process id, until it has left.
    pub(crate) fn pid(&self) -> Option<u32> {
        (!self.has_ended()).then_some(self.pid)
    }

    /// Acts on the process, unless it is gone.
    pub(crate) fn with_process<T>(&self, act: impl FnOnce(&mut Process) -> T) -> Option<T> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_mut().map(act)
    }

    /// SIGKILL, for the child and the group that it leads.
    pub(crate) fn kill(&self) {
        // Fails if nobody is left, or if it has become another user's process.
        self.with_process(|process| drop(process.kill()));
    }

    /// Signals the child's group, or it alone if it leads none. What is in a cgroup of its own is frozen in place of
    /// SIGSTOP, where that can be, and thawed before SIGCONT.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let signalled = self.with_process(|process| {
            if let Some(cgroup) = process.cgroup()
                && (signal == Signal::STOP || signal == Signal::CONT)
                && cgroup.freeze(signal == Signal::STOP).is_ok()
                && signal == Signal::STOP
            {
                return Ok(());
            }
            if process.leads_group() {
                process.signal_group(signal)
            } else {
                process.signal(signal)
            }
        });
        signalled.unwrap_or_else(|| Err(Errno::SRCH.into()))
    }

    /// Watches the process for its end.
    pub(crate) fn watch_exit(&self, token: Token) -> io::Result<()> {
        self.with_process(|process| self.hub.watch(self.key, token, process.pidfd()))
            .unwrap_or(Ok(()))
    }

    pub(crate) fn unwatch_exit(&self) {
        self.with_process(|process| self.hub.unwatch(process.pidfd()));
    }

    /// Whether the process has ended, whatever the hub has seen by now.
    pub(crate) fn is_exit_due(&self) -> bool {
        self.with_process(|process| has_ended(process.pidfd())) == Some(true)
    }

    pub(crate) fn watch(&self, token: Token, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.hub.watch(self.key, token, fd)
    }

    pub(crate) fn watch_room(&self, token: Token, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.hub.watch_room(self.key, token, fd)
    }

    pub(crate) fn watch_writable(&self, token: Token, fd: BorrowedFd<'_>, writable: bool) {
        self.hub.watch_writable(self.key, token, fd, writable);
    }

    pub(crate) fn unwatch(&self, fd: BorrowedFd<'_>) {
        self.hub.unwatch(fd);
    }

    /// Sets the time at which the supervisor wants to be called, in place of the one before.
    pub(crate) fn set_alarm(&self, at: Option<Instant>) {
        if !self.has_ended() {
            self.hub.set_alarm(self.key, at);
        }
    }

    /// What asks for the child's end from elsewhere.
    pub(crate) fn canceller(&self) -> Canceller {
        self.hub.canceller(self.key)
    }

    /// The slice of a future that takes what the child has sent.
    pub(crate) fn pace(&self) -> Pace {
        self.hub.pace()
    }

    /// Any descriptor, to occupy a slot of the app's descriptor table.
    pub(crate) fn placeholder(&self) -> Option<OwnedFd> {
        self.hub.as_fd().try_clone_to_owned().ok()
    }

    /// Ends the children whose context is gone, if another thread has seen it go.
    pub(crate) fn notice_context_gone(&self) {
        self.hub.notice_context_gone();
    }

    /// Has `act` called when the child has left, or at once if it has already.
    pub(crate) fn at_end(&self, act: Box<dyn FnOnce()>) {
        if self.has_ended() {
            act();
        } else {
            self.at_end.borrow_mut().push(act);
        }
    }

    /// Gives the seat up, and says whether it was taken until now. A process that is still there is
    /// killed and reaped.
    pub(crate) fn leave(&self) -> bool {
        if self.ended.replace(true) {
            return false;
        }
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = process.take();
        drop(process);
        drop(gone);
        self.hub.leave(self.key);
        true
    }

    /// Does what was to be done at the end. The app's code may run in it.
    pub(crate) fn run_at_end(&self) {
        for act in self.at_end.take() {
            act();
        }
    }
}
