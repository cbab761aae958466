//! How a job is started: the options, their defaults, and `spawn`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::handle::JobHandle;
use super::options::Options;
use crate::child::Worker;
use crate::worker::Listed;

/// Starts jobs. Implemented for every job in a [`jobs!`](crate::jobs!) table.
///
/// ```no_run
/// use legwork::prelude::*;
/// # #[derive(serde::Serialize, serde::Deserialize)] struct Checksum { folder: String }
/// # impl legwork::Job for Checksum {
/// #     type Message = (); type Output = usize; type Error = std::convert::Infallible;
/// #     fn run(self, _: &legwork::Ctx<Self>) -> Result<usize, Self::Error> { Ok(1) }
/// # }
/// # legwork::jobs! { static JOBS = [Checksum]; }
///
/// # async fn example() -> Result<(), legwork::Error> {
/// let job = Checksum { folder: "/home".into() }.spawn();
/// let files = job.await?;
/// # Ok(()) }
/// ```
///
/// A job that is not listed in a table does not compile here:
///
/// ```compile_fail,E0599
/// use legwork::prelude::*;
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Forgotten;
/// impl legwork::Job for Forgotten {
///     type Message = (); type Output = (); type Error = std::convert::Infallible;
///     fn run(self, _: &legwork::Ctx<Self>) -> Result<(), Self::Error> { Ok(()) }
/// }
/// Forgotten.spawn();
/// ```
///
/// Nor does a closure, whatever it captures: it cannot be sent.
///
/// ```compile_fail,E0599
/// use legwork::prelude::*;
/// let mut count = 0;
/// (move || count += 1).spawn();
/// ```
pub trait Spawn: Listed {
    /// Starts the job with the default options, on the thread's default main context.
    ///
    /// This takes a fraction of a millisecond, however much memory the app holds. A start that fails is
    /// an outcome of the handle, not a second kind of error.
    ///
    /// Call it on the thread that runs this context: the main thread, or one that has made a
    /// context of its own its default (`MainContext::with_thread_default`). On any other thread
    /// the default is the main thread's context, and the start fails with a sentence that says so.
    fn spawn(self) -> JobHandle<Self> {
        self.builder().spawn()
    }

    /// Starts the job with other options.
    fn builder(self) -> JobBuilder<Self> {
        JobBuilder {
            job: self,
            options: Options::default(),
        }
    }
}

impl<J: Listed> Spawn for J {}

/// The options of a start. From [`Spawn::builder`].
///
/// | option | default |
/// |---|---|
/// | [`worker`](Self::worker) | the app itself |
/// | [`label`](Self::label) | the job's name |
/// | [`deadline`](Self::deadline), [`stall_deadline`](Self::stall_deadline) | none |
/// | [`grace`](Self::grace) | 2 s |
/// | [`handshake_deadline`](Self::handshake_deadline) | 10 s |
/// | [`message_capacity`](Self::message_capacity) | 64 messages |
/// | [`log_level`](Self::log_level) | what the app's own `log` lets through, else info |
/// | [`forward_logs`](Self::forward_logs) | yes |
/// | working directory, environment | the app's, see [`env`](Self::env) |
/// | session bus | not found, see [`session_bus`](Self::session_bus) |
/// | nice value, resource limits | the app's; a job changes its own in `run`, see nice(2) and setrlimit(2) |
/// | standard input | `/dev/null` |
/// | standard output and error | into the app's log |
/// | terminal | none: `/dev/tty` cannot be opened |
#[derive(Debug)]
#[must_use = "a builder does nothing until it spawns"]
pub struct JobBuilder<J> {
    job: J,
    options: Options,
}

impl<J: Listed> JobBuilder<J> {
    /// Sets the program that runs the job.
    pub fn worker(mut self, worker: &Worker) -> Self {
        self.options.worker = worker.clone();
        self
    }

    /// Sets the name that people see in the status, in errors and in the log: "Checksums of Pictures".
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.options.label = Some(label.into());
        self
    }

    /// Stops the job if it has not ended after this time, counted from the spawn; the outcome is
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout). 0 stops it at once; a time that the clock
    /// cannot represent means no deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.options.deadline = Some(deadline);
        self
    }

    /// Stops the job if nothing is heard of it for this time: no progress, no message, no log record, no line that it
    /// prints. It is noticed after at most a quarter more. The outcome is
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout).
    ///
    /// The time begins when the job does. It does not count while the app has paused the job or has not taken its
    /// messages; nor while somebody else has stopped the worker, traces it, or has frozen its cgroup; and of a time in
    /// which the app itself does not run, at most a quarter of the deadline counts. A job that waits for a request of
    /// the app is silent, too.
    pub fn stall_deadline(mut self, deadline: Duration) -> Self {
        self.options.stall = Some(deadline);
        self
    }

    /// Sets how long a job that was asked to stop may take before it is killed. 0 kills it at once.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.options.grace = grace;
        self
    }

    /// Sets how long the child may take to prove that it is a worker. After that it is killed, and the outcome is
    /// [`ErrorKind::Start`](crate::ErrorKind::Start).
    pub fn handshake_deadline(mut self, deadline: Duration) -> Self {
        self.options.handshake = deadline;
        self
    }

    /// Sets how many messages may be sent but not yet taken before the job waits: 1 to 65,536; other
    /// numbers are clamped. It also waits while those messages have 64 MiB or 252 descriptors.
    pub fn message_capacity(mut self, messages: usize) -> Self {
        self.options.message_capacity = messages.clamp(1, 65_536) as u32;
        self
    }

    /// Sets the most detailed level of log records to receive. Errors and warnings are always received.
    pub fn log_level(mut self, level: super::log::Level) -> Self {
        self.options.log_level = Some((level as u8 + 1).max(2));
        self
    }

    /// Sets whether what the job logs and prints goes into the app's log: GLib's structured log, in a
    /// domain named after the job's label; see [`LogRecord`](crate::LogRecord).
    /// [`JobHandle::logs`] receives it either way.
    pub fn forward_logs(mut self, forward: bool) -> Self {
        self.options.forward_logs = forward;
        self
    }

    /// Makes the worker wait for a debugger before it runs the job. It logs its process id, and goes on
    /// once a debugger has attached (`gdb -p PID`, `continue`). No deadline applies to the job, then or
    /// later. Needs `/proc`, and a system that permits attaching (ptrace(2), "Yama").
    pub fn wait_for_debugger(mut self) -> Self {
        self.options.wait_for_debugger = true;
        self
    }

    /// Sets a variable of the worker's environment. The rest is inherited from the app, except
    /// [`ONE_SHOT_VARIABLES`](crate::spawn::ONE_SHOT_VARIABLES). The start fails if a name is empty or
    /// contains `=`, or if there is a NUL byte anywhere.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.options.env.push((name.into(), Some(value.into())));
        self
    }

    /// Lets the job find the session bus, where it opens a connection with a unique name of its own: by GDBus, or by
    /// `bus::session` of the feature `dbus`. The app's connection is not involved.
    ///
    /// By default a job does not find it: `DBUS_SESSION_BUS_ADDRESS` is `disabled:` in its environment, which every D-Bus
    /// library takes for an error. That keeps out a library that would connect without being asked to. It is no sandbox:
    /// a job that wants to can connect to the socket in `$XDG_RUNTIME_DIR`, and to the system bus.
    pub fn session_bus(mut self, is_found: bool) -> Self {
        self.options.session_bus = is_found;
        self
    }

    /// Removes a variable from the worker's environment.
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.options.env.push((name.into(), None));
        self
    }

    /// Sets the worker's working directory; a relative path is relative to the app's. The start fails if
    /// it cannot be entered.
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.options.current_dir = Some(folder.into());
        self
    }

    /// Sets how much the job yields to others.
    #[cfg(feature = "desktop")]
    pub fn qos(mut self, qos: crate::desktop::Qos) -> Self {
        self.options.class = qos.class();
        self
    }

    /// Runs the job in a scope of the user's systemd: the worker gets the job when it is in it. Stopping,
    /// [`pause`](crate::Control::pause) and the death of the app reach all that it has started.
    #[cfg(feature = "desktop")]
    pub fn scope(mut self, scope: &crate::desktop::Scope) -> Self {
        self.options.gate = Some(scope.gate());
        self
    }

    /// Stops the job when `cancellable` is cancelled, on any thread. May be called more than once.
    pub fn cancellable(mut self, cancellable: &gio::Cancellable) -> Self {
        self.options.cancellables.push(cancellable.clone());
        self
    }

    /// Shows the job in a part of the desktop, from its start to its end. May be called once for each.
    ///
    /// It runs, and ends, in the same way where the desktop has no such part.
    #[cfg(feature = "desktop")]
    pub fn show_in(mut self, surface: &(impl crate::desktop::Surface + ?Sized)) -> Self {
        self.options.observers.add(surface.observer());
        self
    }

    /// Starts the job; see [`Spawn::spawn`].
    pub fn spawn(self) -> JobHandle<J> {
        JobHandle::start(self.job, self.options)
    }
}
