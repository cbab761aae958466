//! The worker: the child's side of a job.
//!
//! A worker is a program that an app has started to run jobs, one after the other. It learns what to do from its
//! control socket, never from its arguments or its environment. It does not use GLib: a worker that does not link GTK
//! starts in about a millisecond.
//!
//! It has two threads of its own. The *job thread* is the program's first: it decodes the input, runs the job, and
//! sends to the app itself. The *watcher* sleeps in poll(2) and acts on what must be done while the job is busy: it
//! notices that the app has died, sends progress when it is due, sends log records once the socket has room again, and
//! looks up the names for the addresses of a crash.
//!
//! - [`job`]: the trait of a job.
//! - [`jobs`]: the table of a program's jobs, and the macro that makes it.
//! - [`ctx`]: what a running job can do; [`error`]: why that may fail.
//! - [`here`]: what a job does in place of that in a unit test.
//! - [`boot`]: from `main` to the jobs, and the end of the process.
//! - [`answer`]: one job, from its input to its answer.
//! - [`link`]: the connection to the app, which lives as long as the process.
//! - [`run`]: the state of one job.
//! - [`watch`]: the watcher.
//! - [`log`], `tracing`, [`panic`](mod@panic), [`crash`]: what the app is sent without the job asking for it; [`modules`]:
//!   how frames without names are described.
//! - [`exec`]: the step between `posix_spawn` and a program whose options `posix_spawn` does not have.
//!
//! `job` and `ctx` name each other: a context has the types of its job, and a job takes its context. No other two files
//! of this room do.

mod answer;
mod boot;
mod crash;
mod ctx;
mod error;
mod exec;
mod here;
mod job;
mod jobs;
mod link;
#[cfg(feature = "log")]
mod log;
mod modules;
mod panic;
mod run;
#[cfg(feature = "tracing")]
mod tracing;
mod watch;

pub use boot::init;
#[cfg(feature = "app")]
pub(crate) use boot::{main_checks_for_helper, main_checks_for_worker};
pub use ctx::Ctx;
pub use error::{Cancelled, RecvError, SendError};
pub use job::{Job, Receive};
pub use jobs::{Entry, Jobs, Listed, name_of};
