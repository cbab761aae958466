//! How a process ended.

use std::time::Duration;
use std::{fmt, io};

use crate::text::{Text, text};

use super::signal::Signal;

/// The exit of a process: its status, and what it used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// How it ended.
    pub status: ExitStatus,
    /// The resources that it used. All zero if other code has reaped it.
    pub usage: Usage,
}

impl Exit {
    /// Whether it exited with code 0.
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// The resources that it used; `None` if others have reaped it.
    #[cfg(feature = "app")]
    pub(crate) fn known_usage(&self) -> Option<Usage> {
        (self.usage != Usage::default()).then_some(self.usage)
    }

    /// For tests of what an exit means.
    #[cfg(test)]
    pub(crate) fn of(status: ExitStatus) -> Self {
        let usage = Usage {
            minor_faults: 1,
            ..Usage::default()
        };
        Self { status, usage }
    }
}

/// How a process ended. `Display` gives `exit code 3`, `SIGSEGV` or `SIGSEGV (core dumped)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// It exited by itself, with a code of 0 to 255.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// The signal.
        signal: Signal,
        /// Whether a core dump was made, as a file or for a collector such as `systemd-coredump`.
        core_dumped: bool,
    },
}

impl ExitStatus {
    /// Whether it exited with code 0.
    pub fn success(self) -> bool {
        self == Self::Code(0)
    }

    /// The exit code, if it exited by itself.
    pub fn code(self) -> Option<i32> {
        match self {
            Self::Code(code) => Some(code),
            Self::Signal { .. } => None,
        }
    }

    /// The signal, if one ended it.
    pub fn signal(self) -> Option<Signal> {
        match self {
            Self::Code(_) => None,
            Self::Signal { signal, .. } => Some(signal),
        }
    }
}

impl ExitStatus {
    pub(crate) fn text(self) -> Text {
        match self {
            Self::Code(code) => text!("exit code {code}", code = code),
            Self::Signal {
                signal,
                core_dumped: false,
            } => Text::of(signal),
            Self::Signal {
                signal,
                core_dumped: true,
            } => text!("{signal} (core dumped)", signal = Text::of(signal)),
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

/// The resources that a process used, and those of its own children that it waited for; see
/// getrusage(2).
///
/// Peak memory is missing on purpose. A process started by `posix_spawn` shares the app's memory
/// for an instant, and the kernel counts the *app's* peak as that of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Processor time in its own code.
    pub user_time: Duration,
    /// Processor time in the kernel on its behalf.
    pub system_time: Duration,
    /// Page faults served without reading from a disk.
    pub minor_faults: u64,
    /// Page faults that had to read.
    pub major_faults: u64,
    /// How often it gave up the processor because it had to wait.
    pub voluntary_switches: u64,
    /// How often it was preempted.
    pub involuntary_switches: u64,
}

/// How a process ended is unknown, or cannot be known to this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitError(pub(super) Cause);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The app ignores `SIGCHLD` now.
    Ignored,
    /// Another `wait` in the app reaped it first.
    ReapedByAnother,
    /// The caller is a forked copy of the app.
    NotTheParent,
    System(i32),
}

impl WaitError {
    /// For tests of what an exit means.
    #[cfg(test)]
    pub(crate) fn reaped_by_another() -> Self {
        Self(Cause::ReapedByAnother)
    }

    /// Whether other code in the app reaped the child, or had the kernel reap it by ignoring
    /// `SIGCHLD`.
    pub fn is_reaped_elsewhere(&self) -> bool {
        matches!(self.0, Cause::Ignored | Cause::ReapedByAnother)
    }

    /// The system's error number.
    pub fn errno(&self) -> i32 {
        match self.0 {
            Cause::System(errno) => errno,
            _ => libc::ECHILD,
        }
    }
}

impl WaitError {
    pub(crate) fn text(self) -> Text {
        match self.0 {
            Cause::Ignored => text!(
                "how the process ended is unknown: this program ignores SIGCHLD, so the system \
                 discarded its exit status"
            ),
            Cause::ReapedByAnother => text!(
                "how the process ended is unknown: other code in this program waited for it, for \
                 example by waitpid(-1), which waits for any child"
            ),
            Cause::NotTheParent => text!(
                "a forked copy of the program cannot wait for a process that the program itself \
                 has started"
            ),
            Cause::System(errno) => text!(
                "waiting for the process failed: {error}",
                error = nix::errno::Errno::from_raw(errno).desc()
            ),
        }
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

impl std::error::Error for WaitError {}

impl From<WaitError> for io::Error {
    fn from(error: WaitError) -> Self {
        io::Error::new(io::Error::from_raw_os_error(error.errno()).kind(), error)
    }
}
