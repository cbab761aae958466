//! Failures of the command itself, and their exit codes.

use std::fmt;
use std::io::{self, Write};

use legwork::spawn::{SpawnError, Step};

/// The time limit was reached; the same as in timeout(1).
pub(crate) const TIMED_OUT: u8 = 124;
/// A wrong command line, unless the codes of a program are passed on.
const USAGE: u8 = 2;
/// The command itself failed; the same as in timeout(1) and env(1).
pub(crate) const OWN_FAILURE: u8 = 125;
/// The program cannot be executed; the same as in shells.
const NOT_EXECUTABLE: u8 = 126;
/// The program does not exist; the same as in shells.
const NOT_FOUND: u8 = 127;

/// Why the command failed.
pub(crate) enum Failure {
    /// The program did not start.
    Spawn(SpawnError),
    /// The command line is wrong.
    Usage(String),
    /// Anything else.
    Own(String),
}

impl Failure {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Spawn(error) => match error.step() {
                _ if error.is_not_found() => NOT_FOUND,
                Step::Program | Step::Interpreter | Step::Execute => NOT_EXECUTABLE,
                _ => OWN_FAILURE,
            },
            Self::Usage(_) => USAGE,
            Self::Own(_) => OWN_FAILURE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn(error) => error.fmt(f),
            Self::Usage(sentence) | Self::Own(sentence) => f.write_str(sentence),
        }
    }
}

impl From<SpawnError> for Failure {
    fn from(error: SpawnError) -> Self {
        Self::Spawn(error)
    }
}

impl From<String> for Failure {
    fn from(sentence: String) -> Self {
        Self::Own(sentence)
    }
}

/// Returns a function that turns an error into a failure: "this cannot be done: why".
pub(crate) fn cannot<E: fmt::Display>(what: &str) -> impl Fn(E) -> Failure {
    move |error| Failure::Own(format!("{what}: {error}"))
}

/// Writes a sentence to standard error, which may be closed.
pub(crate) fn tell(sentence: &str) {
    let _ = writeln!(io::stderr(), "legwork: {sentence}");
}
