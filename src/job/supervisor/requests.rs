//! What the app says to a running job.

use std::os::fd::AsFd;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll};

use super::{Phase, Supervisor, lock, wake_all};
use crate::job::channel::Encoded;
use crate::main_loop::hub::Lane;
use crate::process::own;
use crate::wire::control::Wait;
use crate::wire::frame::Kind;
use crate::worker::{Cancelled, SendError};

impl Supervisor {
    pub(in crate::job) fn try_send(&self, request: &Encoded) -> Result<bool, SendError> {
        if matches!(self.phase.get(), Phase::Hushed | Phase::Ended) {
            return Err(SendError::ended());
        }
        let borrowed: Vec<_> = request.1.iter().map(|fd| fd.as_fd()).collect();
        match self
            .control
            .send(Kind::Request, &request.0, &borrowed, Wait::No)
        {
            Ok(()) => Ok(true),
            Err(error) => match error.kind() {
                std::io::ErrorKind::WouldBlock => Ok(false),
                std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset => {
                    let stopped = self.facts.borrow().stop.is_some() || self.told.load(SeqCst);
                    Err(match stopped {
                        true => Cancelled.into(),
                        false => SendError::ended(),
                    })
                }
                _ => Err(SendError::other(error)),
            },
        }
    }

    pub(in crate::job) fn poll_send(
        &self,
        request: &Encoded,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        match self.try_send(request) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => {
                let waker = cx.waker().clone();
                let mut waiting = lock(&self.waiting);
                if !waiting.iter().any(|other| other.will_wake(&waker)) {
                    waiting.push(waker);
                }
                drop(waiting);
                self.watch_for_room();
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// No more requests will come.
    pub(in crate::job) fn end_requests(&self) {
        if matches!(self.phase.get(), Phase::Hushed | Phase::Ended) || self.app != own::id() {
            return;
        }
        let sent = self.control.send(Kind::EndOfRequests, &[], &[], Wait::No);
        let full = sent.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        self.owes_end_of_requests.set(full);
        if full {
            self.watch_for_room();
        }
    }

    pub(super) fn watch_for_room(&self) {
        self.hub
            .watch_writable(self.key, Lane::Control, self.control.as_fd(), true);
    }

    pub(super) fn room(&self) {
        self.hub
            .watch_writable(self.key, Lane::Control, self.control.as_fd(), false);
        if self.owes_end_of_requests.get() {
            self.end_requests();
        }
        wake_all(&self.waiting);
    }
}
