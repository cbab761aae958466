//! What every child has in common on the app's side, whether it is a worker or a program.
//!
//! Knows nothing of what the child does: that is for [`job`](crate::job) and
//! [`command`](crate::command), which stand on this room and not on each other.
//!
//! - [`error`]: what went wrong, with questions to ask it.
//! - [`seat`]: its place on the app's side: hub entry, process, what is due at its end.
//! - [`owner`]: what its handle and its future own.
//! - [`control`]: what can be done to it while it runs, whatever it is.
//! - [`observer`]: who is told of it once it has started, and what that can do with it.
//! - [`cancel`]: a child and a `gio::Cancellable`, or an object that is disposed of.
//! - [`gate`]: what it waits at before its first instruction, if something has to be arranged for it.
//! - [`worker`]: which program is the worker, and helps with programs.

pub(crate) mod cancel;
pub(crate) mod control;
pub(crate) mod error;
pub(crate) mod gate;
pub(crate) mod observer;
pub(crate) mod owner;
pub(crate) mod seat;
mod worker;

pub use control::Control;
pub use error::{Error, ErrorKind, Panic};
pub use worker::Worker;
