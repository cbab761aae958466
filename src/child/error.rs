//! What went wrong, with questions to ask it.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use crate::process::{ExitStatus, Signal, Usage};
use crate::spawn::{SpawnError, Step};
use crate::text::{Text, text};

/// Why a job gave no output, or a program did not succeed: the other half of the outcome of [a
/// job](crate::JobHandle) or [a program](crate::CommandHandle).
///
/// `Display` is a sentence for a person: the label, and what happened (for a job's own error, its text;
/// for a program that failed, the last thing it wrote). The sentence can be
/// [translated](crate::translate_with). `source()` is the cause: that of the job's own error, or the
/// system's error. `Debug` is a report for the developer, with everything that is known.
///
/// `Send` and `Sync`.
///
/// ```
/// fn tell(error: &legwork::Error) -> Option<String> {
///     if error.is_cancelled() {
///         return None; // somebody wanted it so
///     }
///     if let Some(panic) = error.panic() {
///         eprintln!("please report this: {} at {:?}", panic.message, panic.location);
///     }
///     if error.is_crash() {
///         eprintln!("{error:?}"); // backtrace, last output, progress, usage
///     }
///     Some(error.to_string())
/// }
/// ```
pub struct Error(Box<Inner>);

#[derive(Clone)]
pub(crate) struct Inner {
    pub(crate) kind: ErrorKind,
    pub(crate) label: String,
    pub(crate) text: Text,
    pub(crate) source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    pub(crate) spawn: Option<SpawnError>,
    pub(crate) status: Option<ExitStatus>,
    pub(crate) panic: Option<Panic>,
    pub(crate) backtrace: Option<String>,
    pub(crate) output_tail: String,
    pub(crate) progress: (u64, u64),
    pub(crate) usage: Option<Usage>,
    pub(crate) ran: bool,
}

/// The kinds of an end that is not a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The job returned an error. Jobs only.
    Failed,
    /// The child could not be started or watched, did not become the right worker, or its helper could
    /// not execute the program. [`Error::has_run`] says whether any of the work may have been done.
    Start,
    /// The job panicked. Jobs only.
    Panic,
    /// The child was killed by a signal, or the program was suspended by SIGTTIN or SIGTTOU and
    /// would have waited for the app's terminal for ever.
    Signal,
    /// The worker exited without an answer, or the program exited with a code that is not a
    /// [success](crate::Command::success).
    Exit,
    /// The deadline passed, or nothing was heard of it for too long: of a
    /// [job](crate::JobBuilder::stall_deadline) or a [program](crate::Command::stall_deadline).
    Timeout,
    /// It was asked to stop: by its handle, a cancellable, or a dropped handle.
    Cancelled,
    /// It was to be stopped, for whatever reason, and could not be, because it has become another
    /// user's process (as `sudo` and `pkexec` do): it runs on, or something that it has started
    /// does. Programs only.
    NotStopped,
    /// The worker broke the protocol. Jobs only.
    Protocol,
}

/// A panic in the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Panic {
    /// The panic message.
    pub message: String,
    /// File, line and column.
    pub location: Option<String>,
    /// The name of the thread that panicked.
    pub thread: Option<String>,
    /// The stack, with symbols if the program has them.
    pub backtrace: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, label: &str, text: impl Into<Text>) -> Self {
        Error(Box::new(Inner {
            kind,
            label: label.to_owned(),
            text: text.into(),
            source: None,
            spawn: None,
            status: None,
            panic: None,
            backtrace: None,
            output_tail: String::new(),
            progress: (0, 0),
            usage: None,
            ran: false,
        }))
    }

    pub(crate) fn because(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// The system did not start it.
    pub(crate) fn start(label: &str, source: SpawnError) -> Self {
        let mut error = Error::new(ErrorKind::Start, label, source.text());
        error.0.spawn = Some(source);
        error
    }

    /// It was not started, for a reason of ours.
    pub(crate) fn not_started(label: &str, why: Text) -> Self {
        let text = text!("it could not be started: {why}", why = why);
        Error::new(ErrorKind::Start, label, text)
    }

    /// It was not started, as something that it needs could not be had from the system.
    pub(crate) fn lacking(label: &str, what: Text, error: io::Error) -> Self {
        let why = text!("{what}: {error}", what = what, error = Text::of(&error));
        Error::not_started(label, why).because(error)
    }

    /// It was to be started on a thread that would not hear of its end.
    pub(crate) fn other_context(label: &str) -> Self {
        let why = text!(
            "another thread runs this one's main context. Start it there, or give this thread a \
             context of its own"
        );
        Error::not_started(label, why)
    }

    /// It was stopped, as nobody could hear of it any more.
    pub(crate) fn context_gone(label: &str) -> Self {
        let text = text!("stopped, because its main context is gone");
        Error::new(ErrorKind::Cancelled, label, text)
    }

    /// Its handle, a cancellable or a dropped handle wanted it so.
    pub(crate) fn stopped(label: &str) -> Self {
        Error::new(ErrorKind::Cancelled, label, text!("stopped on request"))
    }

    /// It was stopped, as it took too long.
    pub(crate) fn late(label: &str, deadline: Duration) -> Self {
        let text = text!(
            "not finished within its deadline of {time}",
            time = deadline
        );
        Error::new(ErrorKind::Timeout, label, text)
    }

    pub(crate) fn inner_mut(&mut self) -> &mut Inner {
        &mut self.0
    }

    /// The same error once more, for somebody else who waits for the same child.
    pub(crate) fn copy(&self) -> Self {
        Error(self.0.clone())
    }

    /// Returns the kind of end.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether it was asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.0.kind == ErrorKind::Cancelled
    }

    /// Whether it was stopped because its deadline passed, or because it wrote nothing for too long.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }

    /// Whether it panicked.
    pub fn is_panic(&self) -> bool {
        self.0.kind == ErrorKind::Panic
    }

    /// Whether the child could not be started.
    pub fn is_start(&self) -> bool {
        self.0.kind == ErrorKind::Start
    }

    /// Whether there is no such program: most likely it is not installed. Of a job, its worker program.
    pub fn is_not_found(&self) -> bool {
        self.spawn_error().is_some_and(SpawnError::is_not_found)
    }

    /// Whether the child itself is at fault: a panic, a signal, an exit without an answer or with a code
    /// that is not a success, or a broken protocol.
    pub fn is_crash(&self) -> bool {
        matches!(
            self.0.kind,
            ErrorKind::Panic | ErrorKind::Signal | ErrorKind::Exit | ErrorKind::Protocol
        )
    }

    /// Returns the signal that killed the child, whatever the kind: a child that was stopped by force has
    /// one as well.
    pub fn signal(&self) -> Option<Signal> {
        self.0.status.and_then(ExitStatus::signal)
    }

    /// Returns the child's exit code, if it exited by itself.
    pub fn exit_code(&self) -> Option<i32> {
        self.0.status.and_then(ExitStatus::code)
    }

    /// Returns the panic, if there was one.
    pub fn panic(&self) -> Option<&Panic> {
        self.0.panic.as_ref()
    }

    /// Returns the stack at the panic or the fatal signal.
    pub fn backtrace(&self) -> Option<&str> {
        self.0
            .backtrace
            .as_deref()
            .or_else(|| self.0.panic.as_ref().map(|panic| &*panic.backtrace))
    }

    /// Returns what failed, if the system could not start the child.
    pub fn spawn_error(&self) -> Option<&SpawnError> {
        self.0.spawn.as_ref()
    }

    /// Returns the step that failed, if the system could not start the child.
    pub fn step(&self) -> Option<Step> {
        self.0.spawn.as_ref().map(SpawnError::step)
    }

    /// Returns the system's error number, if the system could not start the child.
    pub fn errno(&self) -> Option<i32> {
        self.0.spawn.as_ref().and_then(SpawnError::errno)
    }

    /// Returns the end of what the child printed, at most 8 KiB; invalid UTF-8 is replaced.
    pub fn output_tail(&self) -> &str {
        &self.0.output_tail
    }

    /// Returns the last progress: steps done, and steps in all (0 if unknown).
    pub fn progress(&self) -> (u64, u64) {
        self.0.progress
    }

    /// Returns the resources that the child used, if known.
    pub fn usage(&self) -> Option<&Usage> {
        self.0.usage.as_ref()
    }

    /// Returns the processor time that the child used, if known.
    pub fn processor_time(&self) -> Option<Duration> {
        self.usage()
            .map(|usage| usage.user_time + usage.system_time)
    }

    /// Whether the job or the program had begun to run, or may have: if not, none of its work was done.
    pub fn has_run(&self) -> bool {
        self.0.ran
    }

    /// Returns the sentence without the label, for places that show the label already.
    pub fn message(&self) -> String {
        self.0.text.to_string()
    }

    /// Returns the label of the job or program.
    pub fn label(&self) -> &str {
        &self.0.label
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.label, self.0.text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{self}")?;
        writeln!(f, "kind: {:?}", self.0.kind)?;
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            writeln!(f, "caused by: {cause}")?;
            source = cause.source();
        }
        if let Some(path) = self.spawn_error().and_then(SpawnError::searched) {
            writeln!(f, "searched in: {}", path.display())?;
        }
        if let Some(status) = self.0.status {
            writeln!(f, "the process ended with {status}")?;
        }
        let (done, total) = self.0.progress;
        if done > 0 || total > 0 {
            writeln!(f, "progress: {done} of {total}")?;
        }
        if let Some(usage) = &self.0.usage {
            writeln!(f, "{usage:?}")?;
        }
        if !self.0.output_tail.is_empty() {
            writeln!(f, "last output:\n{}", self.0.output_tail)?;
        }
        if let Some(backtrace) = self.backtrace() {
            writeln!(f, "backtrace:\n{backtrace}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
            // Its sentence is ours already: what follows is its cause.
            .or_else(|| self.0.spawn.as_ref().and_then(std::error::Error::source))
    }
}

/// The job's own error as it arrived: text, and the text of its causes.
#[derive(Debug)]
pub(crate) struct Rendered {
    text: String,
    cause: Option<Box<Rendered>>,
}

impl Rendered {
    pub(crate) fn from_chain(chain: Vec<String>) -> Option<Rendered> {
        chain.into_iter().rev().fold(None, |cause, text| {
            Some(Rendered {
                text,
                cause: cause.map(Box::new),
            })
        })
    }
}

impl fmt::Display for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Rendered {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

const _: fn() = || {
    fn both<T: Send + Sync>() {}
    both::<Error>();
};
