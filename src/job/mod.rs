//! The app's side of one typed job.
//!
//! [`JobHandle`] is what the app holds: it can be awaited, cancelled, watched, talked to, detached
//! or dropped. Behind it stands a supervisor, which the context's hub owns while the child lives
//! and which knows nothing of the job's types: frames go in, and a sink that knows the types takes
//! messages and the answer out.
//!
//! - [`builder`]: how a job is started: the options and their defaults.
//! - [`start`]: from a value and its options to a running child.
//! - [`supervisor`]: one child, from its birth to its one outcome.
//! - [`outcome`]: which outcome it is.
//! - [`handle`]: what the app holds, and its future.
//! - [`channel`]: messages and requests.
//! - [`log`]: what the job logs and prints.

mod builder;
mod channel;
mod handle;
mod log;
mod outcome;
mod start;
mod supervisor;

pub use builder::{JobBuilder, Spawn};
pub use channel::{Messages, Sender};
pub use handle::{JobFuture, JobHandle};
pub use log::{Level, LogRecord, Logs};
