//! What happens to a program while the command stays with it.

use legwork::process::{Exit, Signal};

use crate::failure::Failure;

/// What happens to a program while the command stays with it.
pub(crate) enum Event<'a> {
    /// It runs, as this process.
    Started(u32),
    /// It has written this.
    Output(Stream, &'a [u8]),
    /// The signal was handed on to it.
    Signal(Signal),
    /// Its time was up, and it was asked to end.
    Timeout,
    Ended(&'a Ended),
    /// The command could not do what it was asked to.
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
