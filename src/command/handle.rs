//! What the app holds of a running program.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::{IntoFuture, poll_fn};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Waker};

use gio::prelude::*;

use super::builder::Command;
use super::road::Road;
use super::start::start;
use super::streams::{Input, OutputStream};
use super::supervisor::Supervisor;
use crate::child::{Error, ErrorKind, cancel};
use crate::command::lane::Lane;
use crate::main_loop::mailbox::{Mailbox, mailbox};
use crate::model::{State, Status};
use crate::process::{Exit, ExitStatus, Signal, Usage};

/// What a program left behind that ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it used.
    pub usage: Usage,
    /// What it wrote to standard output, when that was collected.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, when that was collected.
    pub stderr: Vec<u8>,
    /// A grandchild held a pipe open when the program had ended, and what it may still have
    /// written was not waited for.
    pub incomplete: bool,
    /// More was written than the limit allowed to be kept.
    pub truncated: bool,
}

/// The outcome of [`CommandHandle`].
pub type Ended = Result<Output, Error>;

impl Output {
    /// Standard output as text.
    ///
    /// # Errors
    ///
    /// It is not UTF-8; the error says at which byte.
    pub fn stdout_utf8(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(&self.stdout)
    }

    /// Standard error as text.
    ///
    /// # Errors
    ///
    /// It is not UTF-8; the error says at which byte.
    pub fn stderr_utf8(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(&self.stderr)
    }
}

/// A program that was started: await it, read it, talk to it, stop it.
///
/// As the handle of a job: awaiting gives the one outcome; dropping the handle or the future stops
/// the program and its group; [`detach`](Self::detach) does not. The same holds for threads and
/// contexts, see [`JobHandle`](crate::JobHandle).
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
pub struct CommandHandle {
    control: Control,
    outcome: Mailbox<Ended>,
    has: Has,
    left: Rc<Left>,
}

/// What the supervisor leaves to a handle that outlives it.
#[derive(Default)]
struct Left {
    exit: Cell<Option<Exit>>,
    /// What was kept of the two outputs, if nobody had asked for it.
    outputs: RefCell<[Option<Vec<u8>>; 2]>,
}

impl Left {
    fn fill(&self, supervisor: &Supervisor) {
        if let Poll::Ready(exit) = supervisor.poll_exit(Waker::noop()) {
            self.exit.set(exit);
        }
        *self.outputs.borrow_mut() = [Lane::Output, Lane::Errors]
            .map(|lane| supervisor.road(lane).as_mut().and_then(Road::take_kept));
    }
}

/// What has not been taken yet.
#[derive(Default)]
struct Has {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

struct Control {
    supervisor: Weak<Supervisor>,
    status: Status,
    cancellable: OnceCell<gio::Cancellable>,
    detached: Cell<bool>,
}

impl Drop for Control {
    fn drop(&mut self) {
        if !self.detached.get()
            && let Some(supervisor) = self.supervisor.upgrade()
            && !supervisor.is_let_go()
        {
            supervisor.cancel_now();
        }
    }
}

impl CommandHandle {
    pub(super) fn start(mut command: Command, collect: bool) -> Self {
        let name = command.program.to_string_lossy().into_owned();
        let label = command.label.take().unwrap_or_else(|| {
            let short = name.rsplit('/').next().filter(|short| !short.is_empty());
            // Something to call it by even where the name is empty, which is an error to come.
            let fallback = if name.is_empty() { "program" } else { &name };
            short.unwrap_or(fallback).to_owned()
        });
        let status = Status::new(&name, &label);
        let cancellables = std::mem::take(&mut command.cancellables);
        let waits = std::mem::take(&mut command.waits);
        let (outlet, outcome) = mailbox(1);
        let mut outlet = Some(outlet);
        let started = start(
            command,
            &status,
            || outlet.take().expect("the outlet is asked for once"),
            collect,
        );
        let mut has = Has::default();
        let left = Rc::<Left>::default();
        let supervisor = match started {
            Ok(supervisor) => {
                let (weak, theirs) = (Rc::downgrade(&supervisor), left.clone());
                supervisor.at_end(Box::new(move || {
                    if let Some(supervisor) = weak.upgrade() {
                        theirs.fill(&supervisor);
                    }
                }));
                has.stdin = supervisor.input_left(None).is_some();
                has.stdout = !collect && !supervisor.is_at_end(Lane::Output);
                has.stderr = !collect && !supervisor.is_at_end(Lane::Errors);
                Rc::downgrade(&supervisor)
            }
            Err(error) => {
                let text = error.to_string();
                if let Some(outlet) = outlet {
                    let _ = outlet.put(Err(error));
                }
                status.end(State::Failed, Some(text));
                Weak::new()
            }
        };
        let handle = CommandHandle {
            control: Control {
                supervisor,
                status,
                cancellable: OnceCell::new(),
                detached: Cell::new(false),
            },
            outcome,
            has,
            left,
        };
        for cancellable in &cancellables {
            handle.follow(cancellable);
        }
        for cancellable in &waits {
            handle.wait_until(cancellable);
        }
        handle
    }

    fn supervisor(&self) -> Option<Rc<Supervisor>> {
        self.control.supervisor.upgrade()
    }

    fn follow(&self, cancellable: &gio::Cancellable) {
        if let Some(supervisor) = self.supervisor() {
            let bell = supervisor.bell();
            supervisor.at_end(cancel::follow(cancellable, move || bell.cancel()));
        }
    }

    fn wait_until(&self, cancellable: &gio::Cancellable) {
        if let Some(supervisor) = self.supervisor() {
            let (bell, let_go) = (supervisor.bell(), supervisor.let_go());
            let act = move || {
                let_go.store(true, SeqCst);
                bell.cancel();
            };
            supervisor.at_end(cancel::follow(cancellable, act));
        }
    }

    /// The program's state as a GObject, to bind widgets to.
    pub fn status(&self) -> &Status {
        &self.control.status
    }

    /// Its process id, until it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.supervisor().and_then(|supervisor| supervisor.pid())
    }

    /// Its standard input, when that is piped: the first time; then `None`.
    ///
    /// A piped input that is never asked for stays open until the handle is awaited, and longer
    /// where the stop needs it, see [`Stop::stdin`](super::Stop::stdin).
    pub fn stdin(&mut self) -> Option<Input> {
        let supervisor = self.supervisor()?;
        std::mem::take(&mut self.has.stdin).then(|| Input { supervisor })
    }

    /// What it writes to standard output, when that is piped: the first time; then `None`. What it
    /// wrote before this is asked for is kept, its newest 64 KiB, also when it has ended since.
    pub fn stdout(&mut self) -> Option<OutputStream> {
        let wanted = std::mem::take(&mut self.has.stdout);
        self.stream(wanted, Lane::Output)
    }

    /// As [`stdout`](Self::stdout), standard error.
    pub fn stderr(&mut self) -> Option<OutputStream> {
        let wanted = std::mem::take(&mut self.has.stderr);
        self.stream(wanted, Lane::Errors)
    }

    fn stream(&self, wanted: bool, lane: Lane) -> Option<OutputStream> {
        if !wanted {
            return None;
        }
        let kept = self.left.outputs.borrow_mut()[usize::from(lane == Lane::Errors)].take();
        if let Some(kept) = kept {
            return Some(OutputStream::of_kept(kept));
        }
        let supervisor = self.supervisor()?;
        supervisor.road(lane).as_mut()?.read_from_now();
        Some(OutputStream::new(supervisor, lane))
    }

    /// Asks it to stop, in the steps that the command names.
    pub fn cancel(&self) {
        if let Some(supervisor) = self.supervisor() {
            supervisor.cancel_now();
        }
    }

    /// A cancellable that stops it, for buttons and for other threads. Always the same one.
    pub fn cancellable(&self) -> gio::Cancellable {
        let own = self.control.cancellable.get_or_init(|| {
            let made = gio::Cancellable::new();
            self.follow(&made);
            made
        });
        own.clone()
    }

    /// Stops it when `object` is disposed.
    pub fn stop_with(self, object: &impl IsA<glib::Object>) -> Self {
        if let Some(supervisor) = self.control.supervisor.upgrade() {
            supervisor.at_end(cancel::stop_with(object, supervisor.bell()));
        }
        self
    }

    /// Lets it run without a handle. It still ends with the app.
    pub fn detach(self) {
        self.control.detached.set(true);
    }

    /// Sends a signal to its group (to it alone where it leads none).
    ///
    /// # Errors
    ///
    /// `ESRCH`: it has ended.
    pub fn signal(&self, signal: Signal) -> std::io::Result<()> {
        match self.supervisor() {
            Some(supervisor) => supervisor.signal(signal),
            None => Err(rustix::io::Errno::SRCH.into()),
        }
    }

    /// Stops its group in its tracks (SIGSTOP), until [`resume`](Self::resume).
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub fn pause(&self) -> std::io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets its group go on (SIGCONT).
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub fn resume(&self) -> std::io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Sets the size of its [terminal](Command::terminal), as when a person resizes the window: the
    /// program is sent SIGWINCH.
    ///
    /// # Errors
    ///
    /// `ENOTTY`: it has no terminal, or that was turned into a GIO stream. `ESRCH`: it has ended.
    pub fn resize_terminal(&self, columns: u16, rows: u16) -> std::io::Result<()> {
        match self.supervisor() {
            Some(supervisor) => supervisor.resize_terminal(columns, rows),
            None => Err(rustix::io::Errno::SRCH.into()),
        }
    }

    /// How it exited, as soon as it has: the outcome may wait for its pipes a little longer. It may
    /// be asked again. `None` when that cannot be known, or it was never started.
    pub async fn exited(&self) -> Option<Exit> {
        match self.supervisor() {
            Some(supervisor) => poll_fn(|cx| supervisor.poll_exit(cx.waker())).await,
            None => self.left.exit.get(),
        }
    }

    /// How it exited, if the main context has heard of it by now; else `None`, as
    /// [`exited`](Self::exited) without waiting.
    pub fn try_exited(&self) -> Option<Exit> {
        match self.supervisor() {
            // While it has a number it runs.
            Some(supervisor) if supervisor.pid().is_some() => None,
            Some(supervisor) => match supervisor.poll_exit(Waker::noop()) {
                Poll::Ready(exit) => exit,
                Poll::Pending => None,
            },
            None => self.left.exit.get(),
        }
    }

    /// Kills its group at once (it alone where it leads none): SIGKILL, which is then how it ended.
    /// To stop it as the command says, and have *cancelled* as the outcome, [`cancel`](Self::cancel).
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub fn kill(&self) -> std::io::Result<()> {
        self.signal(Signal::KILL)
    }
}

impl IntoFuture for CommandHandle {
    type Output = Ended;
    type IntoFuture = CommandFuture;

    fn into_future(self) -> CommandFuture {
        if self.has.stdin
            && let Some(supervisor) = self.supervisor()
        {
            supervisor.end_input();
        }
        CommandFuture {
            control: self.control,
            outcome: self.outcome,
        }
    }
}

/// The outcome of a program, to be awaited. Dropping it stops the program.
#[must_use = "dropping the future stops the program"]
pub struct CommandFuture {
    control: Control,
    outcome: Mailbox<Ended>,
}

impl Future for CommandFuture {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ended> {
        let outcome = std::task::ready!(self.outcome.poll_next(cx));
        Poll::Ready(outcome.unwrap_or_else(|| {
            Err(Error::new(
                ErrorKind::Cancelled,
                &self.control.status.label(),
                "its main context went away, and it was stopped",
            ))
        }))
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
