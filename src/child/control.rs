//! What can be done to a child while it runs: by its handle, its future, and everybody who has a [`Control`].

use std::io;
use std::rc::{Rc, Weak};

use rustix::io::Errno;

use super::seat::Seat;
use crate::model::{State, Status};
use crate::process::Signal;

/// What can be controlled: the supervisor of a job, or of a program.
pub(crate) trait Supervised {
    fn seat(&self) -> &Seat;

    fn status(&self) -> &Status;

    /// Somebody wants it to end: it is asked, and forced when its grace is over.
    fn cancel(&self);

    /// Its handle was dropped.
    fn abandon(&self) {
        self.cancel();
    }

    /// What tells the child at once that it is to stop, from any thread, also when the context does
    /// not run. `None` for a child that cannot be told so.
    fn notice(&self) -> Option<Notice> {
        None
    }

    /// Sets the columns and rows of its terminal.
    fn resize_terminal(&self, _columns: u16, _rows: u16) -> io::Result<()> {
        Err(Errno::NOTTY.into())
    }
}

/// See [`Supervised::notice`].
pub(crate) type Notice = std::sync::Arc<dyn Fn() + Send + Sync>;

/// Controls a job or a program, also while its handle is awaited: for the buttons of a window. From
/// [`JobHandle::control`](crate::JobHandle::control) or
/// [`CommandHandle::control`](crate::CommandHandle::control).
///
/// Clones control the same child. They do not keep it running, and dropping them does not stop it.
/// Once it has ended they do nothing: [`cancel`](Self::cancel) is ignored, the other methods return
/// `ESRCH`.
///
/// ```no_run
/// # async fn example() -> Result<(), legwork::Error> {
/// let converter = legwork::Command::new("ffmpeg").spawn();
/// let control = converter.control(); // for buttons
/// let pause = move |paused| if paused { control.pause() } else { control.resume() };
/// converter.await?;
/// # let _ = pause;
/// # Ok(()) }
/// ```
///
/// Neither `Send` nor `Sync`, as the handle; another thread cancels by
/// [`cancellable()`](crate::JobHandle::cancellable).
#[derive(Clone)]
pub struct Control(Weak<dyn Supervised>);

impl Control {
    pub(super) fn new(supervisor: Weak<dyn Supervised>) -> Self {
        Control(supervisor)
    }

    /// The supervisor of a child that has not ended; one that has may be kept by its handle.
    fn living(&self) -> io::Result<Rc<dyn Supervised>> {
        let supervisor = self.0.upgrade();
        let living = supervisor.filter(|supervisor| !supervisor.seat().has_ended());
        living.ok_or_else(|| Errno::SRCH.into())
    }

    /// Stops the child, as the `cancel` of its handle does.
    pub fn cancel(&self) {
        if let Some(supervisor) = self.0.upgrade() {
            supervisor.cancel();
        }
    }

    /// Suspends the child and its process group (SIGSTOP), until [`resume`](Self::resume). What it
    /// has started in a group or session of its own runs on, unless the child is in a scope of its own
    /// (`desktop::Scope`): that is frozen as a whole.
    ///
    /// A paused child can be cancelled: it continues, and has its grace as any other. Nor does it
    /// outlive the app. The handshake of a job and `stall_deadline` wait for it; a `deadline` does not.
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub fn pause(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Continues the process group (SIGCONT).
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub fn resume(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Kills the process group at once: the outcome is that SIGKILL ended it. To stop the child by
    /// its steps, with *cancelled* as the outcome, use [`cancel`](Self::cancel).
    ///
    /// # Errors
    ///
    /// As [`signal`](Self::signal).
    pub fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)
    }

    /// Sends a signal to the process group (to the child alone if it leads no group). SIGSTOP and
    /// SIGCONT are [`pause`](Self::pause) and [`resume`](Self::resume).
    ///
    /// # Errors
    ///
    /// `ESRCH`: it has ended. `EPERM`: it has become another user's process. `ECANCELED`: it has been
    /// asked to stop, and cannot be paused.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let supervisor = self.living()?;
        let status = supervisor.status();
        if signal == Signal::STOP && status.state() == State::Stopping {
            return Err(Errno::CANCELED.into());
        }
        supervisor.seat().signal(signal)?;
        if signal == Signal::STOP || signal == Signal::CONT {
            status.set_paused(signal == Signal::STOP);
        }
        Ok(())
    }

    /// Sets the size of a program's [terminal](crate::Command::terminal), as when a person resizes
    /// the window: the program gets SIGWINCH.
    ///
    /// # Errors
    ///
    /// `ENOTTY`: it is a job, or a program without a terminal, or the terminal has become a GIO stream.
    /// `ESRCH`: it has ended.
    pub fn resize_terminal(&self, columns: u16, rows: u16) -> io::Result<()> {
        let supervisor = self.living()?;
        supervisor.resize_terminal(columns, rows)
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let supervisor = self.0.upgrade();
        let status = supervisor.as_ref().map(|supervisor| supervisor.status());
        f.debug_struct("Control")
            .field("label", &status.map(|status| status.label()))
            .finish_non_exhaustive()
    }
}
