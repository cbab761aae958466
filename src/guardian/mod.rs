//! The guardian: one small process per app, which ends what the app leaves behind when it dies.
//!
//! A worker notices the death of its app by itself, unless it has been stopped (SIGSTOP, a debugger, a
//! frozen cgroup); an external program notices nothing. So the app hands the pidfd of every child to a process
//! that holds them and a pidfd of the app, and sleeps. When the app is gone, whatever it died of, it sends
//! SIGKILL to every child, its group and the cgroup that it has for itself, and ends. A pidfd needs no care
//! for reused numbers: it means the same process for ever.
//!
//! It is the worker program in another role, in a session of its own, so that Ctrl+C in the app's terminal
//! does not reach it, and it is born with every signal blocked: what is sent to all that bear the app's name, as
//! `pkill -f` does, ends the app and leaves the guardian to do its work. It starts with the first child.
//!
//! - [`app`]: the app's end, which starts it and tells it of children.
//! - [`process`]: the guardian itself.
//!
//! Jobs and [`Command`](crate::Command)s are watched over without being asked. For a child that was started by a
//! [`Plan`](crate::spawn::Plan) there is [`watch_over`].
//!
//! This room knows no GLib and no jobs.

mod app;
mod process;

#[cfg(feature = "desktop")]
pub(crate) use app::watch_over_tree;
pub use app::{GuardianError, watch_over};
#[cfg(feature = "app")]
pub(crate) use app::{attend, check, has_ended, watch, watch_over_by};
pub(crate) use process::run;
