//! The worker: the child's side of a job.
//!
//! A worker is a program that was started by an app to run jobs, one after the other. It learns what to do from its
//! control socket, never from its arguments or its environment, and it knows no GLib: a worker
//! that links nothing of GTK starts in about a millisecond.
//!
//! Two threads. The *job thread* is the program's first; it reads the input, runs the job, and
//! talks to the app itself. The *watcher* sleeps in one `poll` and acts when something must be
//! done whatever the job is busy with: the app has died, throttled progress is due, a full socket
//! has room for log records, a crash wants names for its addresses.
//!
//! - [`job`]: what a job is.
//! - [`jobs`]: the table of a program's jobs, and the macro that makes it.
//! - [`ctx`]: what a running job can do.
//! - [`boot`]: from `main` to the job, and its end.
//! - [`link`]: the connection to the app, which is the process's.
//! - [`run`]: one job in it, which is nobody else's.
//! - [`watch`]: the watcher.
//! - [`log`], `tracing`, [`panic`](mod@panic), [`crash`]: what arrives in the app without the job's doing.
//! - [`exec`]: the step between `posix_spawn` and a program that wants more than that can do.
//! - [`here`]: a job in this process, for unit tests.

mod boot;
mod crash;
mod ctx;
mod exec;
mod here;
mod job;
mod jobs;
mod link;
#[cfg(feature = "log")]
mod log;
mod panic;
mod run;
#[cfg(feature = "tracing")]
mod tracing;
mod watch;

pub(crate) use boot::main_checks_for_worker;
pub use ctx::{Cancelled, Ctx, RecvError, SendError};
pub use job::{Job, Receive};
pub use jobs::{Entry, Jobs, Listed};
