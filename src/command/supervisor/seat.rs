//! A program's place: its entry in the hub, its process, and what is due at its end.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::sync::PoisonError;
use std::time::Instant;

use crate::child::is_readable;
use crate::main_loop::hub::{Bell, Entry, HangUp, Hub, Lane};
use crate::process::{Process, SharedProcess, own};

/// See the module.
pub(in crate::command) struct Seat {
    hub: Rc<Hub>,
    key: u32,
    process: SharedProcess,
    pid: u32,
    ended: Cell<bool>,
    at_end: RefCell<Vec<Box<dyn FnOnce()>>>,
    /// The app. A process that somebody forked from it has copies of all this, and shares the pipes and the epoll
    /// descriptor with the app: it must not touch them.
    app: u32,
}

impl Seat {
    /// Takes a program into the hub. `make` is handed its seat. Should the context go away on another thread, `hang_up`
    /// is called there.
    pub(in crate::command) fn take<E: Entry + 'static>(
        hub: &Rc<Hub>,
        process: SharedProcess,
        pid: u32,
        hang_up: HangUp,
        make: impl FnOnce(Seat) -> E,
    ) -> Rc<E> {
        let mut made = None;
        hub.enter(&process.clone(), hang_up, |key| {
            let entry = Rc::new(make(Seat {
                hub: hub.clone(),
                key,
                process,
                pid,
                ended: Cell::new(false),
                at_end: RefCell::default(),
                app: own::id(),
            }));
            made = Some(entry.clone());
            entry
        });
        made.expect("`enter` calls its argument once")
    }

    /// Whether [`leave`](Self::leave) was called.
    pub(in crate::command) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Whether this is a copy that somebody forked from the app.
    pub(in crate::command) fn is_copy(&self) -> bool {
        self.app != own::id()
    }

    /// The process id, until it has left.
    pub(in crate::command) fn pid(&self) -> Option<u32> {
        (!self.has_ended()).then_some(self.pid)
    }

    /// Acts on the process, unless it is gone.
    pub(in crate::command) fn with_process<T>(
        &self,
        act: impl FnOnce(&mut Process) -> T,
    ) -> Option<T> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.as_mut().map(act)
    }

    /// SIGKILL, for the process and the group that it leads.
    pub(in crate::command) fn kill(&self) {
        // Refused only when nobody is left.
        self.with_process(|process| drop(process.kill()));
    }

    pub(in crate::command) fn watch_exit(&self, lane: Lane) -> io::Result<()> {
        self.with_process(|process| self.hub.watch(self.key, lane, process.pidfd()))
            .unwrap_or(Ok(()))
    }

    pub(in crate::command) fn unwatch_exit(&self) {
        self.with_process(|process| self.hub.unwatch(process.pidfd()));
    }

    /// Whether the process has ended, whatever the hub has seen by now.
    pub(in crate::command) fn is_exit_due(&self) -> bool {
        self.with_process(|process| is_readable(process.pidfd())) == Some(true)
    }

    pub(in crate::command) fn watch(&self, lane: Lane, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.hub.watch(self.key, lane, fd)
    }

    pub(in crate::command) fn watch_room(&self, lane: Lane, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.hub.watch_room(self.key, lane, fd)
    }

    pub(in crate::command) fn unwatch(&self, fd: BorrowedFd<'_>) {
        self.hub.unwatch(fd);
    }

    /// Sets the time at which the supervisor is to be called, in place of the one before.
    pub(in crate::command) fn set_alarm(&self, at: Option<Instant>) {
        if !self.has_ended() {
            self.hub.set_alarm(self.key, at);
        }
    }

    /// What asks for the program's end from elsewhere.
    pub(in crate::command) fn bell(&self) -> Bell {
        self.hub.bell(self.key)
    }

    /// Has `act` called when the program has left, or at once if it has already.
    pub(in crate::command) fn at_end(&self, act: Box<dyn FnOnce()>) {
        if self.has_ended() {
            act();
        } else {
            self.at_end.borrow_mut().push(act);
        }
    }

    /// Gives the seat up, and says whether it was taken until now. A process that is still there is killed and reaped.
    pub(in crate::command) fn leave(&self) -> bool {
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
    pub(in crate::command) fn run_at_end(&self) {
        for act in self.at_end.take() {
            act();
        }
    }
}
