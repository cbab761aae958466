//! How a program is stopped.

use std::time::Duration;

use crate::process::Signal;

/// The steps by which a program is stopped, each with the time until the next one. After the last
/// step comes SIGKILL. Signals go to the whole group of the program. A program that has become
/// another user's process, as `sudo` does, gets none of them; after the last step the outcome is
/// [`ErrorKind::NotStopped`](crate::ErrorKind::NotStopped).
///
/// The default is SIGTERM, and 2 s later SIGKILL; on a [terminal](super::Command::terminal) SIGHUP
/// comes first, 500 ms and again 250 ms before SIGTERM.
///
/// ```
/// use std::time::Duration;
/// use legwork::{Stop, process::Signal};
///
/// // ffmpeg ends its file properly when it reads a `q`.
/// let stop = Stop::stdin(b"q").grace(Duration::from_secs(5)).then(Stop::signal(Signal::TERM));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop(pub(super) Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) act: Act,
    pub(super) grace: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Signal(Signal),
    Input(Vec<u8>),
    CloseInput,
}

/// The default time until the next step.
const GRACE: Duration = Duration::from_secs(2);

impl Stop {
    fn step(act: Act) -> Self {
        Stop(vec![Step { act, grace: GRACE }])
    }

    /// The default on a terminal: a hang-up first, as when a person closes the window. Twice, since
    /// bash forgets one that comes right before it waits for input.
    pub(super) fn hang_up() -> Self {
        let hang_up = Stop::signal(Signal::HUP).grace(Duration::from_millis(250));
        hang_up.clone().then(hang_up).then(Stop::default())
    }

    /// Sends a signal: SIGINT as Ctrl+C does, SIGTERM.
    pub fn signal(signal: Signal) -> Self {
        Stop::step(Act::Signal(signal))
    }

    /// Writes these bytes to the standard input, after what is still pending there. With such a step
    /// standard input is piped unless the command says otherwise, and stays open while the handle is
    /// awaited. An [`Input`](super::Input) that was taken must be kept as long: dropping it ends the
    /// input, and a program whose input has ended gets SIGTERM instead.
    pub fn stdin(bytes: impl Into<Vec<u8>>) -> Self {
        Stop::step(Act::Input(bytes.into()))
    }

    /// Ends the standard input.
    pub fn close_stdin() -> Self {
        Stop::step(Act::CloseInput)
    }

    /// Kills the program at once.
    pub fn kill() -> Self {
        Stop(Vec::new())
    }

    /// Whether one of the steps needs standard input.
    pub(super) fn uses_input(&self) -> bool {
        let uses = |step: &Step| matches!(step.act, Act::Input(_) | Act::CloseInput);
        self.0.iter().any(uses)
    }

    /// Sets the time after the last step. The default is 2 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        if let Some(last) = self.0.last_mut() {
            last.grace = grace;
        }
        self
    }

    /// Adds the steps of `next`, for a program that does not end by these.
    pub fn then(mut self, next: Stop) -> Self {
        self.0.extend(next.0);
        self
    }
}

impl Default for Stop {
    fn default() -> Self {
        Stop::signal(Signal::TERM)
    }
}
