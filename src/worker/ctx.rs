//! What a running job can do: send and receive, report progress, check whether it should stop.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::error::{Cancelled, RecvError, SendError};
use super::here::Here;
use super::job::{Job, Receive};
use super::run::{Request, Run};
use crate::wire::attach;

/// A running job's view of the app.
///
/// It is `Send` and `Sync`: all threads of the job may use it. The messages of one thread arrive in order.
///
/// ```
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Render { pages: u64 }
/// # fn render(page: u64) -> Result<Vec<u8>, std::fmt::Error> { Ok(vec![page as u8]) }
/// impl legwork::Job for Render {
///     type Message = Vec<u8>;
///     type Output = ();
///     type Error = Box<dyn std::error::Error + Send + Sync>;
///
///     fn run(self, cx: &legwork::Ctx<Self>) -> Result<(), Self::Error> {
///         cx.set_total(self.pages);
///         let part = |pages: std::ops::Range<u64>| -> Result<(), Self::Error> {
///             for page in pages {
///                 cx.check()?; // ends both threads
///                 cx.send(render(page)?)?;
///                 cx.advance(1);
///             }
///             Ok(())
///         };
///         let half = self.pages / 2;
///         std::thread::scope(|scope| {
///             let first = scope.spawn(|| part(0..half));
///             part(half..self.pages)?;
///             first.join().expect("it does not panic")
///         })
///     }
/// }
/// # use legwork::Job as _;
/// # let mut pages = Vec::new();
/// # Render { pages: 5 }.run_here(|page| pages.push(page)).unwrap();
/// # assert_eq!(pages.len(), 5);
/// ```
pub struct Ctx<J: Job> {
    pub(super) backend: Backend<J>,
    pub(super) job: PhantomData<fn(J)>,
}

/// What is at the other end.
pub(super) enum Backend<J: Job> {
    /// The app, in another process.
    Run(Arc<Run>),
    /// A unit test, in this one.
    Here(Here<J::Message>),
}

impl<J: Job> Ctx<J> {
    pub(super) fn new(backend: Backend<J>) -> Self {
        Ctx {
            backend,
            job: PhantomData,
        }
    }

    /// Sends a message to the app. Blocks while the app has not yet taken as many messages as its [message
    /// capacity](crate::JobBuilder::message_capacity) (64 by default), or while those that it has not taken, and this one,
    /// have more than 64 MiB or 252 descriptors.
    ///
    /// # Errors
    ///
    /// [Cancelled](SendError::is_cancelled) if the job was asked to stop before the message could be sent. Any other
    /// error means that the message could not be encoded, is longer than 64 MiB (large data belongs in a
    /// [`Buffer`](crate::Buffer)), or has more than 252 descriptors; then it was not sent, and the next one may be.
    pub fn send(&self, message: J::Message) -> Result<(), SendError> {
        match &self.backend {
            Backend::Run(run) => {
                let (bytes, descriptors) = attach::encode(&message).map_err(SendError::other)?;
                let borrowed: Vec<_> = descriptors.iter().map(|fd| fd.as_fd()).collect();
                run.send_message(&bytes, &borrowed)
            }
            Backend::Here(here) => {
                here.message(message);
                Ok(())
            }
        }
    }

    /// Blocks until the app's next request arrives. Returns `None` when the app will send no more. If several threads
    /// wait, one of them gets the request.
    ///
    /// In [`run_here`](Job::run_here) there are no requests: it returns `None`.
    ///
    /// # Errors
    ///
    /// [Cancelled](RecvError::is_cancelled) if the job is asked to stop. Any other error means that the request could
    /// not be decoded.
    pub fn recv(&self) -> Result<Option<J::Request>, RecvError>
    where
        J: Receive,
    {
        match &self.backend {
            Backend::Run(run) => match run.request()? {
                Request::Bytes(bytes, descriptors) => attach::decode(&bytes, descriptors)
                    .map(Some)
                    .map_err(RecvError::other),
                Request::End => Ok(None),
                Request::Cancelled => Err(Cancelled.into()),
            },
            Backend::Here(_) => Ok(None),
        }
    }

    /// Whether the job was asked to stop: by its handle, its cancellable, or its deadline. Makes no system call.
    pub fn is_cancelled(&self) -> bool {
        match &self.backend {
            Backend::Run(run) => run.is_cancelled(),
            Backend::Here(_) => false,
        }
    }

    /// Returns an error once the job was asked to stop, to be passed on with `?`.
    ///
    /// # Errors
    ///
    /// [`Cancelled`], and nothing else.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() {
            Err(Cancelled)
        } else {
            Ok(())
        }
    }

    /// Sets the total number of steps; 0 while it is not known.
    ///
    /// Progress is a state, not a message: the app is notified of the newest state at most every 50 ms, and nothing is
    /// queued. The app knows the last state before the outcome, also if the job crashes or is killed immediately
    /// afterwards: it is stored in memory that worker and app share.
    pub fn set_total(&self, total: u64) {
        match &self.backend {
            Backend::Run(run) => run.set_total(total),
            Backend::Here(here) => here.set_total(total),
        }
    }

    /// Adds `steps` to the number of steps that are done.
    pub fn advance(&self, steps: u64) {
        match &self.backend {
            Backend::Run(run) => run.advance(steps),
            Backend::Here(here) => here.advance(steps),
        }
    }

    /// Sets the number of steps that are done.
    pub fn set_done(&self, done: u64) {
        match &self.backend {
            Backend::Run(run) => run.set_done(done),
            Backend::Here(here) => here.set_done(done),
        }
    }

    /// Sets a text that says what the job is doing. It is cut at 1 KiB.
    pub fn set_text(&self, text: impl Into<String>) {
        match &self.backend {
            Backend::Run(run) => run.set_text(text.into()),
            Backend::Here(here) => here.set_text(text.into()),
        }
    }
}

impl<J: Job> fmt::Debug for Ctx<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ctx")
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}
