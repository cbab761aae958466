//! What went wrong at a start: the step, the error number, the path, and who else may be to blame.
//!
//! The kernel reports one number for everything that happens in the child before the program runs. Where a
//! check in the parent, or a look after the failure, proves the cause, the error names it. Where it does not,
//! [`Step::Child`] says so and [`SpawnError::candidates`] lists what fits, rather than guessing.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use nix::errno::Errno;

use crate::text::{Text, text};

/// The steps of a start, in the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The app ignores `SIGCHLD` (or set `SA_NOCLDWAIT`): the kernel would throw away how the child ends.
    ChildSignal,
    /// The argument list: a NUL byte inside, one too long, or all together too long.
    Arguments,
    /// The environment: a NUL byte, or a name that is empty or holds `=`.
    Environment,
    /// Finding the program and checking that it can be executed.
    Program,
    /// The interpreter of a script (`#!`), or the dynamic loader of a binary.
    Interpreter,
    /// Entering the working directory.
    WorkingDirectory,
    /// The descriptor map: a number that is negative, taken twice, out of bounds, or a source that is closed.
    DescriptorMap,
    /// Handing the plan to the C library; short of memory it can fail.
    Prepare,
    /// Making the new process: the limit of processes, memory.
    Process,
    /// Something in the child between its birth and its program; see [`SpawnError::candidates`].
    Child,
    /// What a helper does before the program is executed: the umask, the nice value, limits, privileges.
    Helper,
    /// Executing the program, after everything else succeeded.
    Execute,
    /// Getting a pidfd for the child. The child, if there was one, was killed and reaped.
    Pidfd,
}

impl Step {
    fn text(self) -> Text {
        match self {
            Self::ChildSignal => text!("the disposition of SIGCHLD"),
            Self::Arguments => text!("the arguments"),
            Self::Environment => text!("the environment"),
            Self::Program => text!("the program"),
            Self::Interpreter => text!("the interpreter"),
            Self::WorkingDirectory => text!("the working directory"),
            Self::DescriptorMap => text!("the descriptor map"),
            Self::Prepare => text!("the preparation"),
            Self::Process => text!("the new process"),
            Self::Child => text!("a step in the new process"),
            Self::Helper => text!("the helper's part"),
            Self::Execute => text!("the execution of the program"),
            Self::Pidfd => text!("the pidfd of the new process"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

/// One of several things that may have failed, where the system cannot tell which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub(super) step: Step,
    pub(super) path: Option<PathBuf>,
}

impl Candidate {
    /// The step that may have failed.
    pub fn step(&self) -> Step {
        self.step
    }

    /// The file or directory that it would be about.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl Candidate {
    fn text(&self) -> Text {
        match &self.path {
            Some(path) => text!(
                "{step} {path}",
                step = self.step.text(),
                path = Text::quoted(path)
            ),
            None => self.step.text(),
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

/// A child could not be started. Nothing is left of it.
///
/// `Display` is a sentence for a person; the rest is for programs. `Send + Sync`.
#[derive(Clone)]
pub struct SpawnError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    step: Step,
    errno: Option<i32>,
    path: Option<PathBuf>,
    sentence: Text,
    candidates: Vec<Candidate>,
}

impl SpawnError {
    /// A refusal by a check of ours: no system call has failed.
    pub(crate) fn refused(step: Step, sentence: impl Into<Text>) -> Self {
        Self(Box::new(Inner {
            step,
            errno: None,
            path: None,
            sentence: sentence.into(),
            candidates: Vec::new(),
        }))
    }

    /// A failed system call; `sentence` says what was tried or what is wrong.
    pub(super) fn failed(step: Step, errno: i32, sentence: impl Into<Text>) -> Self {
        let mut error = Self::refused(step, sentence);
        error.0.errno = Some(errno);
        error
    }

    pub(super) fn at(mut self, path: impl Into<PathBuf>) -> Self {
        self.0.path = Some(path.into());
        self
    }

    pub(super) fn or_any_of(mut self, candidates: Vec<Candidate>) -> Self {
        self.0.candidates = candidates;
        self
    }

    /// The step that failed.
    pub fn step(&self) -> Step {
        self.0.step
    }

    /// The system's error number (see errno(3)), or `None` where the plan was refused before any call failed.
    pub fn errno(&self) -> Option<i32> {
        self.0.errno
    }

    /// The file or directory that the error is about: the program, its interpreter, the working directory.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// What may have failed, where the system cannot tell ([`Step::Child`]); else empty.
    pub fn candidates(&self) -> &[Candidate] {
        &self.0.candidates
    }
}

/// The words of an error number.
pub(super) fn describe(errno: i32) -> &'static str {
    Errno::from_raw(errno).desc()
}

impl SpawnError {
    pub(crate) fn text(&self) -> Text {
        let sentence = self.0.sentence.clone();
        let [first, rest @ ..] = self.candidates() else {
            return sentence;
        };
        let candidates = rest.iter().fold(first.text(), |before, next| {
            text!("{before}, or {next}", before = before, next = next.text())
        });
        text!(
            "{sentence}; the system does not tell whether it was {candidates}",
            sentence = sentence,
            candidates = candidates
        )
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

impl fmt::Debug for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnError")
            .field("step", &self.0.step)
            .field("errno", &self.0.errno.map(Errno::from_raw))
            .field("path", &self.0.path)
            .field("candidates", &self.0.candidates)
            .field("sentence", &self.0.sentence)
            .finish()
    }
}

impl std::error::Error for SpawnError {}

impl From<SpawnError> for io::Error {
    /// Keeps the kind that the error number stands for, and the sentence.
    fn from(error: SpawnError) -> Self {
        let kind = match error.errno() {
            Some(errno) => io::Error::from_raw_os_error(errno).kind(),
            None => io::ErrorKind::InvalidInput,
        };
        io::Error::new(kind, error)
    }
}
