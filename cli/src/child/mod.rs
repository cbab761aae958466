//! The program that the command starts and stays with until it ends.
//!
//! It links no GLib: its own start is most of what it costs. A [`Child`] is started by a
//! [`Plan`](legwork::spawn::Plan), watched over by a guardian, so that it does not outlive the
//! command, and lent the terminal's foreground. The command then sleeps in one `poll` for the
//! program's end, for signals to hand on, and for the time that is up.

mod foreground;
mod process;
mod signals;
mod terminal;

pub(crate) use process::{Child, Ended, Event, program};
pub(crate) use signals::Signals;
pub(crate) use terminal::Terminal;
