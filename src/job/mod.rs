//! The app's side of one typed job.
//!
//! [`JobHandle`] is what the app holds: it can be awaited, cancelled, watched, talked to, detached
//! or dropped. A worker is not a job: a [`worker`] process is owned by the context's hub while it
//! lives, and a [`run`] is one job in it. Neither knows the job's types: frames go in, and a
//! [`sink`] that knows them takes messages and the answer out.
//!
//! - [`builder`]: how a job is started; [`options`] has the defaults.
//! - [`start`]: from a value and its options to a job that runs.
//! - [`worker`]: one worker process, from its birth to its exit.
//! - [`run`]: one job in it, from its start to its one outcome.
//! - [`outcome`]: which outcome it is.
//! - [`handle`]: what the app holds, and its future.
//! - [`channel`]: messages and requests for the app; [`requests`] and [`taken`] are their other ends.
//! - [`log`]: what the job logs and prints; [`lines`] cuts what is printed.

mod builder;
mod channel;
mod handle;
mod lines;
mod log;
mod options;
mod outcome;
mod requests;
mod run;
mod sink;
mod start;
mod taken;
mod worker;

pub use builder::{JobBuilder, Spawn};
pub use channel::{Messages, Sender};
pub use handle::{JobFuture, JobHandle};
pub use log::{Level, LogRecord, Logs};
