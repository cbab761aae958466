//! What the app holds of a job, and the future that it becomes.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};

use gio::prelude::*;

use super::channel::{Messages, Open, OpenRequests, Sender};
use super::log::{Logs, Ring};
use super::options::Options;
use super::outcome::broke_protocol;
use super::run::Run;
use super::sink::{Typed, TypedSink};
use super::start::start;
use super::taken::Taken;
use crate::child::control::Supervised;
use crate::child::owner::Owner;
use crate::child::{Control, Error};
use crate::main_loop::mailbox::{Mailbox, mailbox};
use crate::model::Status;
use crate::wire::nul::without_nul;
use crate::worker::{Listed, Receive};

/// A job that was started: await it, watch it, talk to it, stop it.
///
/// Awaiting it gives the job's one outcome, `Result<J::Output, Error>`. Dropping the handle or the
/// future stops the job: it is asked to stop, and killed when its grace is over. To let it run without
/// a handle, [`detach`](Self::detach) it.
///
/// # Threads and contexts
///
/// A handle is neither `Send` nor `Sync`: it belongs to the main context that was the thread's
/// default when the job was started, and everything that the app hears of the job happens there.
/// A context that does not run delays everything, including the kill after the grace (the job itself
/// sees the request to stop at once). If the context goes away first, the child is killed without
/// grace, and dropping the handle later does nothing. In a process that was forked from the app,
/// dropping a handle does nothing.
///
/// ```compile_fail,E0277
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Checksum;
/// # impl legwork::Job for Checksum {
/// #     type Message = (); type Output = (); type Error = std::convert::Infallible;
/// #     fn run(self, _: &legwork::Ctx<Self>) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// # legwork::jobs! { static JOBS = [Checksum]; }
/// # use legwork::prelude::*;
/// let job = Checksum.spawn();
/// std::thread::spawn(move || job.cancel()); // `cancellable()` may be sent
/// ```
///
/// ```no_run
/// use legwork::{gio, glib, prelude::*};
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Checksum { folder: String }
/// # impl legwork::Job for Checksum {
/// #     type Message = String; type Output = usize; type Error = std::convert::Infallible;
/// #     fn run(self, _: &legwork::Ctx<Self>) -> Result<usize, Self::Error> { Ok(1) }
/// # }
/// # legwork::jobs! { static JOBS = [Checksum]; }
///
/// let mut job = Checksum { folder: "/home".into() }.spawn();
/// let cancel = job.cancellable(); // for a button
/// glib::spawn_future_local(async move {
///     while let Some(file) = job.message().await {
///         println!("{file}");
///     }
///     match job.await {
///         Ok(count) => println!("{count} files"),
///         Err(error) if error.is_cancelled() => (),
///         Err(error) => eprintln!("{error}"),
///     }
/// });
/// # drop(cancel);
/// ```
///
/// The compiler warns of a handle that is dropped where the job was started:
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// # use legwork::prelude::*;
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Checksum;
/// # impl legwork::Job for Checksum {
/// #     type Message = (); type Output = (); type Error = std::convert::Infallible;
/// #     fn run(self, _: &legwork::Ctx<Self>) -> Result<(), Self::Error> { Ok(()) }
/// # }
/// # legwork::jobs! { static JOBS = [Checksum]; }
/// Checksum.spawn(); // with `.detach()` it runs to its end
/// ```
#[must_use = "dropping the handle stops the job: await it, keep it, or detach it"]
pub struct JobHandle<J: Listed> {
    core: Core<J>,
    messages: Messages<J::Message>,
    /// Kept so that `sender()` works until the handle is awaited.
    requests: Rc<OpenRequests>,
}

/// What handle and future have in common.
struct Core<J: Listed> {
    owner: Owner<Run>,
    outcome: Mailbox<Result<J::Output, Error>>,
    records: Option<Arc<Ring>>,
    typed: Weak<Typed<J>>,
    taken: Arc<Taken>,
}

impl<J: Listed> JobHandle<J> {
    /// Starts the job; a start that fails is its outcome.
    pub(super) fn start(job: J, options: Options) -> Self {
        let label = options.label.clone().unwrap_or_else(|| J::NAME.to_owned());
        let label = without_nul(label);
        let status = Status::new(J::NAME, &label);
        let (outcome_in, outcome) = mailbox(1);
        let (messages_in, messages) = mailbox(options.message_capacity as usize);
        let taken = Arc::new(Taken::new());
        let sink = Rc::new(Typed::<J>::new(
            label.clone(),
            options.message_capacity as usize,
            taken.clone(),
            messages_in,
            outcome_in,
        ));
        let typed = Rc::downgrade(&sink);
        let sink = Box::new(TypedSink(sink));
        let run = start(job, &options, label, &status, taken.clone(), sink);
        let pace = (run.as_ref())
            .map(|run| run.seat().pace())
            .unwrap_or_default();
        if let Some(run) = &run {
            taken.end_by(run.seat().canceller());
        }
        let handle = JobHandle {
            messages: Messages::new(Some(Open {
                mailbox: messages,
                taken: taken.clone(),
                pace,
            })),
            requests: Rc::new(OpenRequests(
                run.as_ref().map(Rc::downgrade).unwrap_or_default(),
            )),
            core: Core {
                owner: Owner::new(run.as_ref(), status),
                outcome,
                records: None,
                typed,
                taken,
            },
        };
        for cancellable in &options.cancellables {
            handle.core.owner.follow(cancellable);
        }
        handle.core.owner.tell(options.observers);
        handle
    }

    /// Returns the job's state as a GObject, to bind widgets to.
    pub fn status(&self) -> &Status {
        self.core.owner.status()
    }

    /// Returns the child's process id, while there is a child.
    pub fn pid(&self) -> Option<u32> {
        (self.core.owner.supervisor()).and_then(|run| run.pid())
    }

    /// Returns what pauses, signals and stops the job also while the handle is awaited.
    pub fn control(&self) -> Control {
        self.core.owner.control()
    }

    /// Asks the job to stop; it is killed when its grace is over. Does nothing to a job that has
    /// ended.
    pub fn cancel(&self) {
        self.control().cancel();
    }

    /// Returns a cancellable that stops the job, for buttons and for other threads. It is always the same
    /// one.
    pub fn cancellable(&self) -> gio::Cancellable {
        self.core.owner.cancellable()
    }

    /// Stops the job when `object` is disposed, on any thread: for example the window that shows the job.
    pub fn stop_with(self, object: &impl IsA<glib::Object>) -> Self {
        self.core.owner.stop_with(object);
        self
    }

    /// Lets the job run to its end without a handle. It is still killed when the app dies.
    pub fn detach(self) {
        self.core.owner.detach();
    }

    /// Waits for the next message; `None` when there will be no more. The job waits while 64 messages (or
    /// what [`message_capacity`](crate::JobBuilder::message_capacity) says) have not been taken; awaiting
    /// the handle discards the rest.
    ///
    /// After 2 ms of receiving without a pause it lets the main loop run, also when there are more messages.
    pub async fn message(&mut self) -> Option<J::Message> {
        self.messages.recv().await
    }

    /// Takes the messages as a stream of their own. After that [`message`](Self::message) gives `None`.
    pub fn messages(&mut self) -> Messages<J::Message> {
        std::mem::replace(&mut self.messages, Messages::new(None))
    }

    /// Calls `callback` with every message, in order, on this thread and context; first, at once, with
    /// those that have arrived already. A second callback replaces the first. The callback may do
    /// anything with this or another job, including dropping it.
    ///
    /// It is called from the main loop's dispatch, one message at a time: if it runs a nested main loop,
    /// further messages and the job's end wait until it has returned.
    pub fn on_message(&mut self, callback: impl FnMut(J::Message) + 'static) {
        let mut callback: Box<dyn FnMut(J::Message)> = Box::new(callback);
        let mut waiting = self.messages();
        while let Some(message) = waiting.try_recv() {
            callback(message);
        }
        if let Some(typed) = self.core.typed.upgrade() {
            typed.set_callback(callback);
        }
    }

    /// Returns a sender of requests to the job.
    pub fn sender(&self) -> Sender<J>
    where
        J: Receive,
    {
        Sender {
            open: self.requests.clone(),
            job: PhantomData,
        }
    }

    /// Returns what the job logs and prints from now on, as a stream. Several streams share the records:
    /// each record is read once.
    pub fn logs(&mut self) -> Logs {
        let run = self.core.owner.supervisor();
        let pace = (run.as_ref())
            .map(|run| run.seat().pace())
            .unwrap_or_default();
        let records = self.core.records.get_or_insert_with(|| match run {
            Some(run) => run.records(),
            None => {
                let ring = Arc::<Ring>::default();
                ring.end();
                ring
            }
        });
        Logs::of(records, pace)
    }
}

impl<J: Listed> IntoFuture for JobHandle<J> {
    type Output = Result<J::Output, Error>;
    type IntoFuture = JobFuture<J>;

    fn into_future(self) -> JobFuture<J> {
        let JobHandle {
            core,
            messages,
            requests,
        } = self;
        // Discards the messages that were not taken, and tells the job that there will be no requests,
        // unless a sender exists.
        drop(messages);
        drop(requests);
        JobFuture { core }
    }
}

/// A future with the outcome of a job. Dropping it stops the job.
///
/// Neither `Send` nor `Sync`, but any executor on the job's thread may poll it.
#[must_use = "dropping the future stops the job"]
pub struct JobFuture<J: Listed> {
    core: Core<J>,
}

impl<J: Listed> Future for JobFuture<J> {
    type Output = Result<J::Output, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = std::task::ready!(self.core.outcome.poll_next(cx));
        let label = || self.core.owner.status().label();
        if let (Some(Ok(_)), Some(fault)) = (&outcome, self.core.taken.fault()) {
            // It had ended before a message was found to be at fault.
            return Poll::Ready(Err(broke_protocol(&label(), fault)));
        }
        Poll::Ready(outcome.unwrap_or_else(|| {
            // Another thread saw the context go away, or this thread is ending.
            if let Some(run) = self.core.owner.supervisor() {
                run.seat().notice_context_gone();
            }
            Err(Error::context_gone(&label()))
        }))
    }
}

impl<J: Listed> Unpin for JobFuture<J> {}

impl<J: Listed> std::fmt::Debug for JobHandle<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobHandle")
            .field("job", &J::NAME)
            .field("state", &self.status().state())
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}

impl<J: Listed> std::fmt::Debug for JobFuture<J> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobFuture")
            .field("job", &J::NAME)
            .finish_non_exhaustive()
    }
}
