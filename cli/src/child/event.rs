//! What happens to a program, as the command sees it.

use legwork::process::{Exit, Signal};

use crate::failure::Failure;

/// What happens to a program.
pub(crate) enum Event<'a> {
    /// It was started, as this process.
    Started(u32),
    /// It has written these bytes.
    Output(Stream, &'a [u8]),
    /// The signal was passed on to it.
    Signal(Signal),
    /// The timeout has passed, and it was asked to end.
    Timeout,
    Ended(&'a Ended),
    /// The command failed.
    Failed(&'a Failure),
}

/// Where a program writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
    Terminal,
}

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    pub(crate) timed_out: bool,
}
