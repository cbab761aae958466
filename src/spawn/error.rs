//! Why a start failed: the step, the error number, the path, and the other steps that may be the
//! cause.
//!
//! The kernel reports one number for everything that happens in the child before the program runs.
//! Where a check in the parent, before or after the failure, proves the cause, the error names it.
//! Elsewhere the step is [`Step::Child`], and [`SpawnError::candidates`] lists what may have
//! failed, rather than guessing.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::{fmt, io};

use nix::errno::Errno;

use crate::text::{Text, text};

/// The steps of a start, in the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The app ignores `SIGCHLD` (or set `SA_NOCLDWAIT`): the kernel would discard how the child
    /// ends.
    ChildSignal,
    /// The argument list: an argument contains a NUL byte or is too long, or all together are too
    /// long.
    Arguments,
    /// The environment: a variable contains a NUL byte, or its name is empty or contains `=`.
    Environment,
    /// Finding the program and checking that it can be executed.
    Program,
    /// The interpreter of a script (`#!`), or the dynamic loader of a binary.
    Interpreter,
    /// Entering the working directory.
    WorkingDirectory,
    /// The descriptor map: a number that is negative, set twice or out of bounds, or a source that
    /// is closed.
    DescriptorMap,
    /// Passing the plan to the C library, which fails without memory.
    Prepare,
    /// Creating the process: the limit of processes, memory.
    Process,
    /// A step in the child before it executes its program; see [`SpawnError::candidates`].
    Child,
    /// What a helper changes before it executes the program: umask, nice value, limits, privileges.
    Helper,
    /// What has to be there before the program is executed, and does not depend on the program: a scope.
    Gate,
    /// Executing the program, after every other step succeeded.
    Execute,
    /// Opening a pidfd for the child. The child, if there was one, was killed and reaped.
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
            Self::Prepare => text!("the preparation of the start"),
            Self::Process => text!("the new process"),
            Self::Child => text!("a step in the new process"),
            Self::Helper => text!("the setup by the helper"),
            Self::Gate => text!("what the program needs around it"),
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

/// One of several steps that may have failed, where the system does not say which.
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

    /// The file or directory of that step, if it has one.
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

/// A child could not be started. No process of it is left.
///
/// `Display` is a sentence for a person; the rest is for programs. `Send + Sync`.
#[derive(Clone)]
pub struct SpawnError(Box<Inner>);

#[derive(Clone)]
struct Inner {
    step: Step,
    errno: Option<i32>,
    path: Option<PathBuf>,
    searched: Option<OsString>,
    sentence: Text,
    candidates: Vec<Candidate>,
}

impl SpawnError {
    /// Refused by a check of ours: no system call has failed.
    pub(crate) fn refused(step: Step, sentence: Text) -> Self {
        Self(Box::new(Inner {
            step,
            errno: None,
            path: None,
            searched: None,
            sentence,
            candidates: Vec::new(),
        }))
    }

    /// A failed system call; `sentence` says what was tried or what is wrong.
    pub(crate) fn failed(step: Step, errno: i32, sentence: Text) -> Self {
        let mut error = Self::refused(step, sentence);
        error.0.errno = Some(errno);
        error
    }

    /// The child, which exists if `killed` says so, could get no pidfd.
    pub(super) fn no_pidfd(errno: i32, killed: bool) -> Self {
        let error = match errno {
            libc::EMFILE => text!("the app has no descriptor left (RLIMIT_NOFILE)"),
            libc::ENFILE => text!("the system has no free file"),
            libc::ENOSYS => text!(
                "there are no pidfds; Linux 5.10 or newer is needed, and in valgrind one that knows \
                 pidfd_open(2)"
            ),
            libc::EPERM => text!("a sandbox forbids it"),
            other => describe(other),
        };
        let sentence = if killed {
            text!(
                "a pidfd of the new process could not be opened, and the process was killed: \
                 {error}",
                error = error
            )
        } else {
            text!(
                "a pidfd for the new process could not be opened: {error}",
                error = error
            )
        };
        Self::failed(Step::Pidfd, errno, sentence)
    }

    pub(crate) fn at(mut self, path: impl Into<PathBuf>) -> Self {
        self.0.path = Some(path.into());
        self
    }

    pub(super) fn searched_in(mut self, path: OsString) -> Self {
        self.0.searched = Some(path);
        self
    }

    pub(super) fn with_candidates(mut self, candidates: Vec<Candidate>) -> Self {
        self.0.candidates = candidates;
        self
    }

    /// The step that failed.
    pub fn step(&self) -> Step {
        self.0.step
    }

    /// The system's error number (see errno(3)), or `None` if the plan was refused before any call
    /// failed.
    pub fn errno(&self) -> Option<i32> {
        self.0.errno
    }

    /// The file or directory that the error is about: the program, its interpreter, the working
    /// directory.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Whether there is no such program. Most likely it is not installed.
    pub fn is_not_found(&self) -> bool {
        self.step() == Step::Program && matches!(self.errno(), Some(libc::ENOENT | libc::ENOTDIR))
    }

    /// The value of `PATH` in which the name of the program was searched for in vain.
    pub fn searched(&self) -> Option<&OsStr> {
        self.0.searched.as_deref()
    }

    /// What may have failed, where the system does not say ([`Step::Child`]); else empty.
    pub fn candidates(&self) -> &[Candidate] {
        &self.0.candidates
    }
}

/// What the system says of an error number.
pub(crate) fn describe(errno: i32) -> Text {
    Text::from(Errno::from_raw(errno).desc())
}

impl SpawnError {
    pub(crate) fn text(&self) -> Text {
        let sentence = self.0.sentence.clone();
        let [first, rest @ ..] = self.candidates() else {
            return sentence;
        };
        let candidates = rest.iter().fold(first.text(), |before, next| {
            text!("{before}, {next}", before = before, next = next.text())
        });
        text!(
            "{sentence}. The system does not say which of these failed: {candidates}",
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
            .field("searched", &self.0.searched)
            .field("candidates", &self.0.candidates)
            .field("sentence", &self.0.sentence)
            .finish()
    }
}

impl std::error::Error for SpawnError {}

impl From<SpawnError> for io::Error {
    /// Keeps the error number's kind, and the sentence.
    fn from(error: SpawnError) -> Self {
        let kind = match error.errno() {
            Some(errno) => io::Error::from_raw_os_error(errno).kind(),
            None => io::ErrorKind::InvalidInput,
        };
        io::Error::new(kind, error)
    }
}
