//! What the app says to a running job.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::worker::WorkerProcess;
use crate::wire::control::{Wait, is_peer_gone};
use crate::wire::frame::{JobNumber, Kind};
use crate::worker::SendError;

/// A request as it travels.
pub(super) type Encoded = (Vec<u8>, Vec<Arc<OwnedFd>>);

/// The requests of one job on their way, and those who wait for room in the socket.
#[derive(Default)]
pub(super) struct Requests {
    wakers: Arc<Wakers>,
    /// That no more will come has yet to be said.
    owes_end: Cell<bool>,
}

/// Woken from any thread.
#[derive(Default)]
pub(super) struct Wakers(Mutex<Vec<Waker>>);

impl Wakers {
    pub(super) fn wake_all(&self) {
        let wakers = std::mem::take(&mut *self.lock());
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Requests {
    pub(super) fn wakers(&self) -> &Arc<Wakers> {
        &self.wakers
    }

    /// Has `waker` called when there is room.
    pub(super) fn wait(&self, worker: &WorkerProcess, waker: &Waker) {
        // The app's code: with nothing locked.
        let waker = waker.clone();
        let mut wakers = self.wakers.lock();
        if !wakers.iter().any(|other| other.will_wake(&waker)) {
            wakers.push(waker);
        }
        drop(wakers);
        worker.watch_room(true);
    }

    /// Sends a request if there is room for it now.
    pub(super) fn try_send(
        &self,
        worker: &WorkerProcess,
        job: JobNumber,
        request: &Encoded,
    ) -> Result<bool, SendError> {
        let borrowed: Vec<_> = request.1.iter().map(|fd| fd.as_fd()).collect();
        let control = &worker.link().control;
        match control.send_about(job, Kind::Request, &request.0, &borrowed, Wait::No) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) if is_nobody_there(&error) => Err(SendError::ended()),
            Err(error) => Err(SendError::other(error)),
        }
    }

    /// Says that no more requests will come.
    pub(super) fn end(&self, worker: &WorkerProcess, job: JobNumber) {
        let control = &worker.link().control;
        let sent = control.send_about(job, Kind::EndOfRequests, &[], &[], Wait::No);
        // Without room, or without memory for it: the job would wait for more as long as it is not said.
        let owed = sent.is_err_and(|error| !is_nobody_there(&error));
        self.owes_end.set(owed);
        if owed {
            worker.watch_room(true);
        }
    }

    /// There is room in the socket.
    pub(super) fn use_room(&self, worker: &WorkerProcess, job: JobNumber) {
        worker.watch_room(false);
        if self.owes_end.get() {
            self.end(worker, job);
        }
        self.wakers.wake_all();
    }
}

/// Whether the worker has gone, or this is a copy of the app.
fn is_nobody_there(error: &io::Error) -> bool {
    is_peer_gone(error) || error.kind() == ErrorKind::NotConnected
}
