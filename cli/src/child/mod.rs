//! The program that the command starts and stays with until it ends.
//!
//! It links no GLib: its own start is most of what it costs. A [`Child`] is started by a
//! [`Plan`](legwork::spawn::Plan), watched over by a guardian, so that it does not outlive the
//! command. The command then sleeps in one `poll` for the program's end, for signals to hand on, and for
//! the time that is up.
//!
//! A terminal has one foreground group, and a shell puts all of a pipeline into one group. So where there
//! is a controlling terminal, the program stays in the group that the shell has made: it reads what is
//! typed, hears Ctrl+C and Ctrl+Z by itself, and the command stops and ends as it does (`job_control`).

mod event;
mod job_control;
mod outlet;
mod own_signals;
mod process;
mod queue;
mod signals;
mod streams;
mod terminal;

pub(crate) use event::{Ended, Event, Stream};
pub(crate) use job_control::{end_by, group};
pub(crate) use own_signals::ignored;
pub(crate) use process::{Child, program};
pub(crate) use signals::Signals;
pub(crate) use streams::Streams;
