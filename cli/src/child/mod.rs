//! The program that the command starts, and waits for.
//!
//! The command does not link GLib: starting it would take most of the time. A [`Child`] is started by a
//! [`Plan`](legwork::spawn::Plan) and watched over by a guardian, so that it does not outlive the command. Then the
//! command waits in one `poll` for everything: the end of the program, signals to pass on, its streams, and the
//! timeout.
//!
//! A terminal has one foreground group, and a shell puts all processes of a pipeline into one group. So if there is a
//! controlling terminal, the program stays in the group that the shell has created: it reads from the terminal,
//! receives Ctrl+C and Ctrl+Z itself, and the command stops and ends as the program does (`job_control`).

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
