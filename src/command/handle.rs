//! What the app holds of a running program.

use std::cell::{Cell, RefCell};
use std::future::{IntoFuture, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};

use gio::prelude::*;

use super::outcome::Ended;
use super::streams::{Input, OutputStream};
use super::supervisor::{OutputReader, Supervisor};
use crate::child::control::Supervised;
use crate::child::observer::Observers;
use crate::child::owner::Owner;
use crate::child::{Control, Error, cancel};
use crate::command::lane::Lane;
use crate::main_loop::mailbox::Mailbox;
use crate::model::Status;
use crate::process::Exit;

/// A program that was started: await it, read it, talk to it, stop it.
///
/// Like the handle of a job: awaiting it gives the one outcome; dropping the handle or the future
/// stops the program and its group, unless it was [detached](Self::detach). Threads and contexts are
/// as for a [`JobHandle`](crate::JobHandle).
///
/// ```no_run
/// use legwork::{Command, Stdio};
///
/// # async fn example() -> Result<(), legwork::Error> {
/// let mut list = Command::new("ls").stdout(Stdio::piped()).spawn();
/// if let Some(stdout) = list.stdout() {
///     let mut lines = stdout.lines();
///     while let Some(line) = lines.recv().await {
///         println!("{}", line.text);
///     }
/// }
/// list.await?;
/// # Ok(()) }
/// ```
///
/// The compiler warns of a handle that is dropped where the program was started:
///
/// ```compile_fail
/// #![deny(unused_must_use)]
/// legwork::Command::new("ls").spawn(); // with `.detach()` it runs to its end
/// ```
#[must_use = "dropping the handle stops the program: await it, keep it, or detach it"]
pub struct CommandHandle {
    owner: Owner<Supervisor>,
    outcome: Mailbox<Ended>,
    untaken: Untaken,
    last: Rc<LastState>,
}

/// What the supervisor leaves to a handle that outlives it.
#[derive(Default)]
struct LastState {
    exit: Cell<Option<Exit>>,
    /// What was kept of standard output and error, if nobody had asked for it.
    kept: RefCell<[Option<OutputStream>; 2]>,
}

impl LastState {
    fn fill(&self, supervisor: &Supervisor) {
        if let Poll::Ready(exit) = supervisor.poll_exit(Waker::noop()) {
            self.exit.set(exit);
        }
        *self.kept.borrow_mut() = [Lane::Output, Lane::Errors].map(|lane| {
            let kept = supervisor.output(lane).and_then(OutputReader::take_kept);
            kept.map(|bytes| OutputStream::of_kept(bytes, supervisor.seat().pace()))
        });
    }
}

/// Which of the app's ends have not been taken yet.
#[derive(Default)]
struct Untaken {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

impl CommandHandle {
    /// Without a supervisor when it could not be started.
    pub(super) fn new(
        supervisor: Option<Rc<Supervisor>>,
        status: Status,
        outcome: Mailbox<Ended>,
        collect: bool,
    ) -> Self {
        let mut untaken = Untaken::default();
        let last = Rc::<LastState>::default();
        if let Some(supervisor) = &supervisor {
            let (weak, theirs) = (Rc::downgrade(supervisor), last.clone());
            supervisor.seat().at_end(Box::new(move || {
                if let Some(supervisor) = weak.upgrade() {
                    theirs.fill(&supervisor);
                }
            }));
            let is_open = |lane| {
                let output = supervisor.output(lane);
                !collect && output.is_some_and(|output| !output.is_at_end())
            };
            untaken = Untaken {
                stdin: supervisor.input().pending(None).is_some(),
                stdout: is_open(Lane::Output),
                stderr: is_open(Lane::Errors),
            };
        }
        CommandHandle {
            owner: Owner::new(supervisor.as_ref(), status),
            outcome,
            untaken,
            last,
        }
    }

    fn supervisor(&self) -> Option<Rc<Supervisor>> {
        self.owner.supervisor()
    }

    pub(super) fn follow(&self, cancellable: &gio::Cancellable) {
        self.owner.follow(cancellable);
    }

    pub(super) fn tell(&self, observers: Observers) {
        self.owner.tell(observers);
    }

    pub(super) fn wait_until(&self, cancellable: &gio::Cancellable) {
        if let Some(supervisor) = self.supervisor() {
            let (canceller, cancel_wait) =
                (supervisor.seat().canceller(), supervisor.cancel_wait());
            let act = move || {
                cancel_wait.store(true, SeqCst);
                canceller.cancel();
            };
            supervisor.seat().at_end(cancel::follow(cancellable, act));
        }
    }

    /// The program's state as a GObject, to bind widgets to.
    pub fn status(&self) -> &Status {
        self.owner.status()
    }

    /// Returns the process id, until the program has ended.
    pub fn pid(&self) -> Option<u32> {
        self.supervisor().and_then(|supervisor| supervisor.pid())
    }

    /// Takes the standard input, if it is piped; the second call gives `None`.
    ///
    /// A piped input that is not taken stays open until the handle is awaited, and longer if the
    /// stop needs it, see [`Stop::stdin`](super::Stop::stdin).
    pub fn stdin(&mut self) -> Option<Input> {
        let supervisor = self.supervisor()?;
        std::mem::take(&mut self.untaken.stdin).then(|| Input { supervisor })
    }

    /// Takes the standard output, if it is piped; the second call gives `None`. Of what the program
    /// wrote before this call the newest 64 KiB are kept, also if it has ended since.
    pub fn stdout(&mut self) -> Option<OutputStream> {
        let wanted = std::mem::take(&mut self.untaken.stdout);
        self.stream(wanted, Lane::Output)
    }

    /// Takes the standard error, in the same way as [`stdout`](Self::stdout).
    pub fn stderr(&mut self) -> Option<OutputStream> {
        let wanted = std::mem::take(&mut self.untaken.stderr);
        self.stream(wanted, Lane::Errors)
    }

    fn stream(&self, wanted: bool, lane: Lane) -> Option<OutputStream> {
        if !wanted {
            return None;
        }
        let kept = self.last.kept.borrow_mut()[usize::from(lane == Lane::Errors)].take();
        if kept.is_some() {
            return kept;
        }
        let supervisor = self.supervisor()?;
        supervisor.output(lane)?.start_stream();
        Some(OutputStream::new(supervisor, lane))
    }

    /// Returns what pauses, signals and stops the program also while the handle is awaited.
    pub fn control(&self) -> Control {
        self.owner.control()
    }

    /// Stops the program, by the steps of its [`Stop`](super::Stop).
    pub fn cancel(&self) {
        self.control().cancel();
    }

    /// Returns a cancellable that stops the program, for buttons and for other threads. It is always
    /// the same one.
    pub fn cancellable(&self) -> gio::Cancellable {
        self.owner.cancellable()
    }

    /// Stops the program when `object` is disposed.
    pub fn stop_with(self, object: &impl IsA<glib::Object>) -> Self {
        self.owner.stop_with(object);
        self
    }

    /// Lets the program run without a handle. It is still killed when the app dies.
    pub fn detach(self) {
        self.owner.detach();
    }

    /// Waits for the program to exit, and says how it did. The outcome may take a little longer, as it
    /// waits for the pipes. `None` when the exit cannot be known, or the program was never started.
    /// May be called again.
    pub async fn exited(&self) -> Option<Exit> {
        match self.supervisor() {
            Some(supervisor) => poll_fn(|cx| supervisor.poll_exit(cx.waker())).await,
            None => self.last.exit.get(),
        }
    }

    /// Says how the program exited, if the main context has seen that by now: as
    /// [`exited`](Self::exited), without waiting.
    pub fn try_exited(&self) -> Option<Exit> {
        match self.supervisor() {
            // While it has a number it runs.
            Some(supervisor) if supervisor.pid().is_some() => None,
            Some(supervisor) => match supervisor.poll_exit(Waker::noop()) {
                Poll::Ready(exit) => exit,
                Poll::Pending => None,
            },
            None => self.last.exit.get(),
        }
    }
}

impl IntoFuture for CommandHandle {
    type Output = Ended;
    type IntoFuture = CommandFuture;

    fn into_future(self) -> CommandFuture {
        if self.untaken.stdin
            && let Some(supervisor) = self.supervisor()
        {
            supervisor.end_input();
        }
        CommandFuture {
            owner: self.owner,
            outcome: self.outcome,
        }
    }
}

/// A future with the outcome of a program. Dropping it stops the program.
#[must_use = "dropping the future stops the program"]
pub struct CommandFuture {
    owner: Owner<Supervisor>,
    outcome: Mailbox<Ended>,
}

impl Future for CommandFuture {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        let outcome = std::task::ready!(self.outcome.poll_next(cx));
        Poll::Ready(
            outcome.unwrap_or_else(|| Err(Error::context_gone(&self.owner.status().label()))),
        )
    }
}

impl std::fmt::Debug for CommandHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommandHandle")
            .field("program", &self.status().name())
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for CommandFuture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommandFuture").finish_non_exhaustive()
    }
}
