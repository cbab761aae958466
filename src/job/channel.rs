//! Messages from the job, and requests to it.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use serde::de::DeserializeOwned;

use super::requests::Encoded;
use super::run::Run;
use super::taken::{Arrived, Taken};
use crate::main_loop::hub::Pace;
use crate::main_loop::mailbox::Mailbox;
use crate::process::background;
use crate::wire::attach;
use crate::worker::{Receive, SendError};

/// A job's messages, as a stream, apart from its handle. From
/// [`JobHandle::messages`](crate::JobHandle::messages).
///
/// It ends when the job has ended and everything has been read. The job waits while 64 messages (or
/// what [`message_capacity`](crate::JobBuilder::message_capacity) says) have not been taken. When the
/// stream is dropped, the job runs on and its messages are discarded. `Send` and `Sync`: any
/// thread may read it, with any executor.
///
/// ```no_run
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Find;
/// # impl legwork::Job for Find {
/// #     type Message = String; type Output = (); type Error = std::convert::Infallible;
/// #     fn run(self, _: &legwork::Ctx<Self>) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// # legwork::jobs! { static JOBS = [Find]; }
/// # use legwork::prelude::*;
/// # async fn example() -> Result<(), legwork::Error> {
/// let mut job = Find.spawn();
/// let mut messages = job.messages();
/// legwork::glib::spawn_future_local(async move {
///     while let Some(found) = messages.recv().await {
///         println!("{found}");
///     }
/// });
/// job.await // meanwhile
/// # }
/// ```
#[must_use = "after the stream is dropped, the job's messages are discarded"]
pub struct Messages<M> {
    open: Option<Open>,
    message: PhantomData<fn() -> M>,
}

pub(super) struct Open {
    pub(super) mailbox: Mailbox<Arrived>,
    pub(super) taken: Arc<Taken>,
    pub(super) pace: Pace,
}

impl<M> Messages<M> {
    pub(super) fn new(open: Option<Open>) -> Self {
        Messages {
            open,
            message: PhantomData,
        }
    }
}

impl<M: DeserializeOwned> Messages<M> {
    /// Waits for the next message; `None` when there will be no more. On the thread of the job's context, it lets the
    /// main loop run after 2 ms of receiving without a pause.
    ///
    /// A message is decoded when it is taken. If it cannot be, the job ends with a
    /// [protocol error](crate::ErrorKind::Protocol), and this is the end.
    pub async fn recv(&mut self) -> Option<M> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Waits for the next message, and returns all that have arrived; `None` when there will be no more. For a model that
    /// takes many rows at once for the price of one.
    pub async fn recv_many(&mut self) -> Option<Vec<M>> {
        let first = self.recv().await?;
        // Not those that arrive meanwhile: on another thread there may be no end of them.
        let more = self.open.as_ref().map_or(0, |open| open.mailbox.len());
        let others = std::iter::from_fn(|| self.try_recv()).take(more);
        Some(std::iter::once(first).chain(others).collect())
    }

    /// Returns the next message if it has arrived already.
    pub fn try_recv(&mut self) -> Option<M> {
        let arrived = self.open.as_mut()?.mailbox.try_next()?;
        self.take(arrived)
    }

    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<M>> {
        let Some(open) = &mut self.open else {
            return Poll::Ready(None);
        };
        std::task::ready!(open.pace.poll(cx, open.mailbox.len() > 0));
        let next = std::task::ready!(open.mailbox.poll_next(cx));
        Poll::Ready(next.and_then(|arrived| self.take(arrived)))
    }

    fn take(&mut self, arrived: Arrived) -> Option<M> {
        let taken = self.open.as_ref()?.taken.clone();
        taken.one_more(&arrived);
        match arrived.decode_message() {
            Ok(message) => Some(message),
            Err(fault) => {
                *self = Messages::new(None);
                taken.refuse(fault);
                None
            }
        }
    }
}

impl<M> Drop for Messages<M> {
    fn drop(&mut self) {
        // A forked copy leaves them: the app would count what the copy takes as its own.
        if let Some(open) = &mut self.open
            && !open.taken.is_copy()
        {
            // The worker may be waiting for room that the unread messages take up. Closed first: what comes from now
            // on, on another thread, is taken there.
            open.mailbox.close();
            let mut descriptors = Vec::new();
            while let Some(arrived) = open.mailbox.try_next() {
                open.taken.one_more(&arrived);
                descriptors.extend(arrived.into_descriptors());
            }
            background::close(descriptors);
        }
    }
}

impl<M: DeserializeOwned> Stream for Messages<M> {
    type Item = M;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M>> {
        self.poll_recv(cx)
    }
}

impl<M> std::fmt::Debug for Messages<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}

/// Sends requests to a running job. From [`JobHandle::sender`](crate::JobHandle::sender); clone it
/// for callbacks.
///
/// The job's `recv()` gives `None` when the last sender is gone and the handle has been awaited,
/// detached or dropped. Neither `Send` nor `Sync`: it belongs to the context of its job. The
/// project's `examples/call_and_answer.rs` is a whole program.
///
/// ```no_run
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Square;
/// # impl legwork::Job for Square {
/// #     type Message = u64; type Output = (); type Error = std::convert::Infallible;
/// #     fn run(self, _: &legwork::Ctx<Self>) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// # impl legwork::Receive for Square { type Request = u64; }
/// # legwork::jobs! { static JOBS = [Square]; }
/// # use legwork::prelude::*;
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut job = Square.spawn();
/// let sender = job.sender();
/// sender.send(12).await?;
/// assert_eq!(job.message().await, Some(144));
/// drop(sender);
/// job.await?; // the job's `recv()` gives `None`, and it ends
/// # Ok(()) }
/// ```
pub struct Sender<J: Receive> {
    pub(super) open: Rc<OpenRequests>,
    pub(super) job: PhantomData<fn(J)>,
}

/// Requests may be sent as long as one of these exists.
pub(super) struct OpenRequests(pub(super) Weak<Run>);

impl Drop for OpenRequests {
    fn drop(&mut self) {
        if let Some(run) = self.0.upgrade() {
            run.end_requests();
        }
    }
}

impl<J: Receive> Clone for Sender<J> {
    fn clone(&self) -> Self {
        Sender {
            open: self.open.clone(),
            job: PhantomData,
        }
    }
}

impl<J: Receive> std::fmt::Debug for Sender<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<J: Receive> Sender<J> {
    /// Sends a request; waits while the socket (about 200 KiB) is full, because the job is slower than the
    /// app. If several wait at once, their order is not defined.
    ///
    /// # Errors
    ///
    /// The job has ended; it was asked to stop, which is [cancelled](SendError::is_cancelled); or the
    /// request cannot be encoded or exceeds the size of a frame.
    pub async fn send(&self, request: J::Request) -> Result<(), SendError> {
        let encoded = encode(&request)?;
        poll_fn(|cx| match self.open.0.upgrade() {
            Some(run) => run.poll_send(&encoded, cx),
            None => Poll::Ready(Err(SendError::ended())),
        })
        .await
    }

    /// Sends a request if there is room for it now; returns `Ok(false)` otherwise.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn try_send(&self, request: J::Request) -> Result<bool, SendError> {
        let encoded = encode(&request)?;
        match self.open.0.upgrade() {
            Some(run) => run.try_send(&encoded),
            None => Err(SendError::ended()),
        }
    }
}

fn encode<R: serde::Serialize>(request: &R) -> Result<Encoded, SendError> {
    attach::encode(request).map_err(SendError::other)
}
