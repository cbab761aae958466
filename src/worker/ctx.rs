//! What a running job can do: send, receive, tell how far it is, ask whether it should stop.

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
/// It is `Send` and `Sync`: the job's own threads may all use it. Messages of one thread arrive in
/// their order.
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
///                 cx.check()?; // stops both threads
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

/// Who is at the other end.
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

    /// Sends a message to the app. Waits while as many messages as the app has room for
    /// (64 unless it said otherwise) have not been taken yet.
    ///
    /// # Errors
    ///
    /// Cancelled, when the job was asked to stop before there was room; or the message could not
    /// be encoded or is longer than a frame may be (64 MiB; large data goes in a
    /// [`Buffer`](crate::Buffer)).
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

    /// Waits for the app's next request. `None` when the app will send no more. Of several threads
    /// that wait, one has the request.
    ///
    /// In [`run_here`](Job::run_here) there are no requests.
    ///
    /// # Errors
    ///
    /// Cancelled, when the job is asked to stop; or the request could not be decoded.
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

    /// Whether the job was asked to stop: by its handle, its cancellable, or its deadline. Costs
    /// no system call.
    pub fn is_cancelled(&self) -> bool {
        match &self.backend {
            Backend::Run(run) => run.is_cancelled(),
            Backend::Here(_) => false,
        }
    }

    /// Returns an error once the job was asked to stop, to be handed on with `?`.
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

    /// Says how many steps there are in all; 0 while that is not known.
    ///
    /// Progress is a state, not a message: the app sees the newest, at most every 50 ms, and
    /// nothing is queued. The last state arrives before the outcome, also when the job crashes or is
    /// killed right after: it lies in memory that the app shares.
    pub fn set_total(&self, total: u64) {
        match &self.backend {
            Backend::Run(run) => run.set_total(total),
            Backend::Here(here) => here.set_total(total),
        }
    }

    /// Says that `steps` more are done.
    pub fn advance(&self, steps: u64) {
        match &self.backend {
            Backend::Run(run) => run.advance(steps),
            Backend::Here(here) => here.advance(steps),
        }
    }

    /// Says how many steps are done in all.
    pub fn set_done(&self, done: u64) {
        match &self.backend {
            Backend::Run(run) => run.set_done(done),
            Backend::Here(here) => here.set_done(done),
        }
    }

    /// Says in words what the job is doing; cut at 1 KiB.
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
