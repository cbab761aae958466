//! What the app holds of a job, and the future that it becomes.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::IntoFuture;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll};

use gio::prelude::*;

use super::builder::Options;
use super::channel::{Messages, Open, OpenRequests, Sender, Taken};
use super::log::{Logs, Ring};
use super::outcome::StopReason;
use super::start::start;
use super::supervisor::{Sink, Supervisor, Told};
use crate::child::{Error, ErrorKind, cancel};
use crate::main_loop::mailbox::{self, Mailbox, Outlet, PutError, mailbox};
use crate::model::{State, Status, without_nul};
use crate::wire::attach;
use crate::wire::control::Fault;
use crate::worker::{Listed, Receive};

/// A job that was started: await it, watch it, talk to it, stop it.
///
/// Awaiting gives the job's one outcome, `Result<J::Output, Error>`. Dropping the handle, or the
/// future, stops the job: it is asked, and killed when its grace is over. [`detach`](Self::detach)
/// lets it run without one.
///
/// # Threads and contexts
///
/// A handle is neither `Send` nor `Sync`: it belongs to the main context that was the thread's
/// default when the job was started, and everything that the app hears of the job happens there.
/// A context that does not run delays everything, also the kill after the grace (the job itself
/// sees at once that it was asked). When the context goes away first, the child is killed without
/// grace. A handle that is dropped after its context does nothing more. In a process that was
/// forked from the app, dropping a handle does nothing.
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
pub struct JobHandle<J: Listed> {
    core: Core<J>,
    messages: Messages<J::Message>,
    /// Kept so that `sender()` works until the handle is awaited.
    requests: Rc<OpenRequests>,
}

/// What handle and future have in common.
struct Core<J: Listed> {
    control: Control,
    outcome: Mailbox<Result<J::Output, Error>>,
    ring: Option<Arc<Ring>>,
    typed: Option<Weak<Typed<J>>>,
}

/// What can be done to a job without its types. Dropping it stops the job.
struct Control {
    supervisor: Weak<Supervisor>,
    status: Status,
    cancellable: cancel::Own,
    detached: Cell<bool>,
}

impl Drop for Control {
    fn drop(&mut self) {
        if !self.detached.get()
            && let Some(supervisor) = self.supervisor.upgrade()
        {
            supervisor.stop(StopReason::Cancelled);
        }
    }
}

/// The part of a job's life that knows its types.
struct Typed<J: Listed> {
    messages: Outlet<J::Message>,
    callback: RefCell<Callback<J::Message>>,
    /// How many messages may wait.
    capacity: usize,
    taken: Arc<Taken>,
    outcome: Outlet<Result<J::Output, Error>>,
    /// The job has ended while the callback is running.
    ending: RefCell<Option<Box<dyn FnOnce()>>>,
    label: String,
}

/// Messages on their way into a callback.
enum Callback<M> {
    /// There is none: messages go into the mailbox.
    None,
    Idle(Box<dyn FnMut(M)>),
    /// It is running now, and perhaps a nested main loop in it. What comes meanwhile waits.
    Busy(VecDeque<M>),
}

impl<J: Listed> Typed<J> {
    /// Hands a message to the callback; gives it back when there is none.
    fn call_back(&self, message: J::Message) -> Result<(), PutError<J::Message>> {
        let callback = {
            let mut slot = self.callback.borrow_mut();
            match &mut *slot {
                Callback::None => return Err(PutError::Closed(message)),
                Callback::Busy(waiting) if waiting.len() >= self.capacity => {
                    return Err(PutError::Full);
                }
                Callback::Busy(waiting) => {
                    waiting.push_back(message);
                    return Ok(());
                }
                Callback::Idle(_) => {
                    match std::mem::replace(&mut *slot, Callback::Busy(VecDeque::new())) {
                        Callback::Idle(callback) => callback,
                        Callback::None | Callback::Busy(_) => unreachable!("just looked at"),
                    }
                }
            }
        };
        self.run(callback, message);
        Ok(())
    }

    /// Calls `callback` with this message, and with those that have come to wait meanwhile.
    fn run(&self, mut callback: Box<dyn FnMut(J::Message)>, message: J::Message) {
        let mut next = Some(message);
        let mut replaced = false;
        while let Some(message) = next {
            self.taken.one_more();
            callback(message);
            next = match &mut *self.callback.borrow_mut() {
                Callback::Busy(waiting) => waiting.pop_front(),
                // It has put another in its place.
                Callback::Idle(_) | Callback::None => {
                    replaced = true;
                    None
                }
            };
        }
        if !replaced {
            self.callback.replace(Callback::Idle(callback));
        }
        let ending = self.ending.take();
        if let Some(end) = ending {
            end();
        }
    }

    /// From now on messages go to `callback`. One that is running finishes its message.
    fn set_callback(&self, callback: Box<dyn FnMut(J::Message)>) {
        let old = self.callback.replace(Callback::None);
        match old {
            Callback::Busy(mut waiting) => match waiting.pop_front() {
                Some(message) => {
                    self.callback.replace(Callback::Busy(waiting));
                    self.run(callback, message);
                }
                None => {
                    self.callback.replace(Callback::Idle(callback));
                }
            },
            old => {
                self.callback.replace(Callback::Idle(callback));
                drop(old);
            }
        }
    }

    fn is_busy(&self) -> bool {
        matches!(*self.callback.borrow(), Callback::Busy(_))
    }
}

/// The supervisor's strong reference to what the handle sees weakly.
struct TypedSink<J: Listed>(Rc<Typed<J>>);

impl<J: Listed> Sink for TypedSink<J> {
    fn message(&self, bytes: &[u8], descriptors: Vec<OwnedFd>) -> Result<(), Fault> {
        let message: J::Message = attach::decode(bytes, descriptors)
            .map_err(|error| Fault(format!("a message cannot be read: {error}")))?;
        let put = match self.0.call_back(message) {
            Err(PutError::Closed(message)) => self.0.messages.put(message),
            called => called,
        };
        match put {
            Ok(()) => Ok(()),
            // Nobody reads them: they are taken by being dropped.
            Err(PutError::Closed(message)) => {
                self.0.taken.one_more();
                drop(message);
                Ok(())
            }
            Err(PutError::Full) => Err(Fault("more messages than it had leave for".to_owned())),
        }
    }

    fn bells(&self) -> [Arc<mailbox::Bell>; 2] {
        [self.0.messages.bell(), self.0.outcome.bell()]
    }

    fn end(&self, outcome: Result<(Vec<u8>, Vec<OwnedFd>), Error>, told: Told) {
        let typed = self.0.clone();
        let outcome = outcome.and_then(|(bytes, descriptors)| {
            attach::decode::<J::Output>(&bytes, descriptors).map_err(|error| {
                Error::new(
                    ErrorKind::Protocol,
                    &typed.label,
                    format!("the worker's output cannot be read: {error}"),
                )
            })
        });
        let end = move || {
            let (state, error) = end_of(&outcome);
            typed.messages.close();
            // The callback may own anything, handles too: dropped with nothing borrowed.
            drop(typed.callback.replace(Callback::None));
            // Nobody waits for it when the handle is gone.
            let _ = typed.outcome.put(outcome);
            typed.outcome.close();
            told(state, error);
        };
        if self.0.is_busy() {
            // This is a nested main loop. What waits for the callback comes before the end.
            self.0.ending.replace(Some(Box::new(end)));
        } else {
            end();
        }
    }
}

fn end_of<T>(outcome: &Result<T, Error>) -> (State, Option<String>) {
    match outcome {
        Ok(_) => (State::Finished, None),
        Err(error) if error.is_cancelled() => (State::Cancelled, None),
        Err(error) => (State::Failed, Some(error.to_string())),
    }
}

impl<J: Listed> JobHandle<J> {
    pub(super) fn start(job: J, options: Options) -> Self {
        let label = options.label.clone().unwrap_or_else(|| J::NAME.to_owned());
        let label = without_nul(label);
        let status = Status::new(J::NAME, &label);
        let (outcome_in, outcome) = mailbox(1);
        let (messages_in, messages) = mailbox(options.message_capacity as usize);
        let mut typed = None;
        let taken = Arc::new(Taken::new());
        let mut outcome_in = Some(outcome_in);
        let mut messages_in = Some(messages_in);
        let started = start(job, &options, &label, &status, taken.clone(), || {
            let both = messages_in.take().zip(outcome_in.take());
            let (messages, outcome) = both.expect("the sink is made once");
            let sink = Rc::new(Typed {
                messages,
                callback: RefCell::new(Callback::None),
                capacity: options.message_capacity as usize,
                taken: taken.clone(),
                outcome,
                ending: RefCell::default(),
                label: label.clone(),
            });
            typed = Some(Rc::downgrade(&sink));
            Box::new(TypedSink::<J>(sink))
        });
        let supervisor = match started {
            Ok(supervisor) => Rc::downgrade(&supervisor),
            Err(error) => {
                let (state, text) = end_of::<()>(&Err(error_text(&error)));
                if let Some(outcome_in) = outcome_in {
                    let _ = outcome_in.put(Err(error));
                }
                status.end(state, text);
                Weak::new()
            }
        };
        let handle = JobHandle {
            messages: Messages(Some(Open {
                mailbox: messages,
                taken,
            })),
            requests: Rc::new(OpenRequests(supervisor.clone())),
            core: Core {
                control: Control {
                    supervisor,
                    status,
                    cancellable: cancel::Own::default(),
                    detached: Cell::new(false),
                },
                outcome,
                ring: None,
                typed,
            },
        };
        for cancellable in &options.cancellables {
            handle.follow(cancellable);
        }
        handle
    }

    /// Stops the job when `cancellable` is cancelled.
    fn follow(&self, cancellable: &gio::Cancellable) {
        let Some(supervisor) = self.core.control.supervisor.upgrade() else {
            return;
        };
        let (bell, tell) = (supervisor.bell(), supervisor.teller());
        let stop = move || {
            // First: when the child ends for having been told, it is known why.
            bell.cancel();
            tell();
        };
        supervisor.at_end(cancel::follow(cancellable, stop));
    }

    /// The job's state as a GObject, to bind widgets to.
    pub fn status(&self) -> &Status {
        &self.core.control.status
    }

    /// The child's process id, while there is a child.
    pub fn pid(&self) -> Option<u32> {
        self.core
            .control
            .supervisor
            .upgrade()
            .and_then(|supervisor| supervisor.pid())
    }

    /// Asks the job to stop; it is killed when its grace is over. Does nothing to a job that has
    /// ended.
    pub fn cancel(&self) {
        if let Some(supervisor) = self.core.control.supervisor.upgrade() {
            supervisor.stop(StopReason::Cancelled);
        }
    }

    /// A cancellable that stops the job, for buttons and for other threads. Always the same one.
    pub fn cancellable(&self) -> gio::Cancellable {
        let own = &self.core.control.cancellable;
        own.get(|made| self.follow(made))
    }

    /// Stops the job when `object` is disposed of, on whichever thread: the window that shows it,
    /// say.
    pub fn stop_with(self, object: &impl IsA<glib::Object>) -> Self {
        if let Some(supervisor) = self.core.control.supervisor.upgrade() {
            supervisor.at_end(cancel::stop_with(object, supervisor.bell()));
        }
        self
    }

    /// Lets the job run to its end without a handle. It still ends with the app.
    pub fn detach(self) {
        self.core.control.detached.set(true);
    }

    /// The next message; `None` when there will be no more. Messages that are not taken make the
    /// job wait when there are 64 of them (or as many as the builder said); awaiting the handle
    /// discards those that are left.
    pub async fn message(&mut self) -> Option<J::Message> {
        self.messages.recv().await
    }

    /// The messages as a stream of their own, from now on. After that [`message`](Self::message)
    /// gives `None`.
    pub fn messages(&mut self) -> Messages<J::Message> {
        std::mem::replace(&mut self.messages, Messages(None))
    }

    /// Has `callback` called with every message, on this thread and context, in order; those that
    /// wait already at once. A second callback takes the place of the first. Whatever the callback
    /// does with this or another job is fine, also dropping it.
    ///
    /// It is called from within the main loop's dispatch, one message at a time: should it run a
    /// nested main loop, further messages wait until it has returned, and so does the job's end.
    pub fn on_message(&mut self, callback: impl FnMut(J::Message) + 'static) {
        let mut callback: Box<dyn FnMut(J::Message)> = Box::new(callback);
        let mut waiting = self.messages();
        while let Some(message) = waiting.try_recv() {
            callback(message);
        }
        if let Some(typed) = self.core.typed() {
            typed.set_callback(callback);
        }
    }

    /// A way to talk to the job.
    pub fn sender(&self) -> Sender<J>
    where
        J: Receive,
    {
        Sender {
            open: self.requests.clone(),
            job: PhantomData,
        }
    }

    /// What the job logs and prints, from now on, as a stream. All that were handed out share the
    /// records: each is read once.
    pub fn logs(&mut self) -> Logs {
        let supervisor = self.core.control.supervisor.upgrade();
        let ring = self.core.ring.get_or_insert_with(|| match supervisor {
            Some(supervisor) => supervisor.ring(),
            None => {
                let ring = Arc::<Ring>::default();
                ring.end();
                ring
            }
        });
        Logs::of(ring)
    }
}

/// The words of a start error, for the status; the error itself goes to the future.
fn error_text(error: &Error) -> Error {
    Error::new(
        error.kind(),
        error.label(),
        error
            .to_string()
            .strip_prefix(&format!("{}: ", error.label()))
            .unwrap_or_default(),
    )
}

impl<J: Listed> Core<J> {
    fn typed(&self) -> Option<Rc<Typed<J>>> {
        self.typed.as_ref()?.upgrade()
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
        // Discards the messages that nobody took, and says that no requests will come unless
        // somebody holds a sender.
        drop(messages);
        drop(requests);
        JobFuture { core }
    }
}

/// The outcome of a job, to be awaited. Dropping it stops the job.
///
/// Neither `Send` nor `Sync`; but any executor on the job's thread may poll it.
#[must_use = "dropping the future stops the job"]
pub struct JobFuture<J: Listed> {
    core: Core<J>,
}

impl<J: Listed> Future for JobFuture<J> {
    type Output = Result<J::Output, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = std::task::ready!(self.core.outcome.poll_next(cx));
        Poll::Ready(outcome.unwrap_or_else(|| {
            // Another thread has seen the context go away, or this one's locals were taken down.
            if let Some(supervisor) = self.core.control.supervisor.upgrade() {
                supervisor.bury();
            }
            Err(Error::new(
                ErrorKind::Cancelled,
                &self.core.control.status.label(),
                "its main context went away, and it was stopped",
            ))
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
