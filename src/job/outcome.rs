//! Which outcome it is: everything that is known when the child has ended, and the one answer.
//!
//! The rules, first that fits:
//!
//! 1. What the child said cannot be right: a protocol fault. What it said before is not believed.
//! 2. It said an answer (an output, its own error, a panic): that is the outcome, also when it was
//!    asked to stop meanwhile. Only an error that says "cancelled" becomes what asked for it:
//!    cancelled, or timed out.
//! 3. It never became a worker: the start failed, unless it was asked to stop.
//! 4. It was asked to stop: cancelled, or timed out.
//! 5. It died: of a panic, of a signal, or it just exited.

use std::os::fd::OwnedFd;

use crate::child::Worker;
use crate::child::error::{Error, ErrorKind, Panic, Rendered};
use crate::process::{Exit, ExitStatus, Signal, WaitError};
use crate::wire::control::{Fault, Unclaimed};
use crate::wire::frame::{CrashReport, Failure, PanicReport, Refusal};

/// Who asked the job to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    Cancelled,
    Deadline(std::time::Duration),
}

/// What the worker answered.
#[derive(Debug)]
pub(super) enum Answer {
    Done(Vec<u8>, Unclaimed),
    Failed(Failure),
    Panicked,
}

/// All that is known of a child's life.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The handshake was completed.
    pub(super) ready: bool,
    pub(super) stop: Option<StopReason>,
    pub(super) fault: Option<Fault>,
    pub(super) answer: Option<Answer>,
    pub(super) refusal: Option<Refusal>,
    pub(super) panic: Option<PanicReport>,
    pub(super) crash: Option<CrashReport>,
    pub(super) crash_frames: Option<String>,
    /// It did not say hello in this time.
    pub(super) silent_for: Option<std::time::Duration>,
    /// It closed its control socket and did not end.
    pub(super) hung_up: bool,
    pub(super) context_gone: bool,
    /// Why nothing could be heard of it.
    pub(super) unwatched: Option<std::io::Error>,
    pub(super) end: Option<Result<Exit, WaitError>>,
    pub(super) output_tail: String,
    pub(super) progress: (u64, u64),
}

impl Facts {
    /// It closed its control socket long ago, and is killed for that it has not ended.
    pub(super) fn lived_on(&mut self) {
        self.hung_up = self.stop.is_none()
            && self.answer.is_none()
            && self.refusal.is_none()
            && self.silent_for.is_none();
    }

    /// The one outcome: the output's bytes and descriptors, or the error.
    pub(super) fn outcome(
        mut self,
        label: &str,
        program: &Worker,
    ) -> Result<(Vec<u8>, Vec<OwnedFd>), Error> {
        // It had its input, and may have been quicker.
        let unwatched = self.unwatched.is_some();
        let mut error = match self.decide(label, program) {
            Ok(output) => return Ok(output),
            Err(error) => error,
        };
        let inner = error.inner_mut();
        inner.ran = self.ready || unwatched;
        inner.output_tail = self.output_tail;
        inner.progress = self.progress;
        if let Some(Ok(exit)) = self.end {
            inner.status = Some(exit.status);
            inner.usage = Some(exit.usage);
        }
        if matches!(inner.kind, ErrorKind::Panic) {
            inner.panic = self.panic.map(|report| Panic {
                message: report.message,
                location: report.location,
                thread: report.thread,
                backtrace: report.backtrace,
            });
        }
        if matches!(inner.kind, ErrorKind::Signal) {
            inner.backtrace = self.crash_frames.or_else(|| {
                self.crash.map(|crash| {
                    let lines: Vec<_> = crash.frames.iter().map(|a| format!("{a:#x}")).collect();
                    lines.join("\n")
                })
            });
        }
        Err(error)
    }

    fn decide(&mut self, label: &str, program: &Worker) -> Result<(Vec<u8>, Vec<OwnedFd>), Error> {
        let new = |kind, text: String| Err(Error::new(kind, label, text));
        if self.context_gone {
            return new(
                ErrorKind::Cancelled,
                "its main context went away, and it was stopped".to_owned(),
            );
        }
        if let Some(error) = self.unwatched.take() {
            let text = format!("{program} could not be watched, and was stopped: {error}");
            return Err(Error::new(ErrorKind::Start, label, text).because(error));
        }
        if let Some(fault) = &self.fault {
            return new(
                ErrorKind::Protocol,
                format!("the worker said something that cannot be right: {fault}"),
            );
        }
        match self.answer.take() {
            Some(Answer::Done(bytes, descriptors)) => return Ok((bytes, descriptors.claim())),
            Some(Answer::Failed(failure)) => return Err(self.failed(label, failure)),
            Some(Answer::Panicked) => return new(ErrorKind::Panic, self.panic_text()),
            None => (),
        }
        if !self.ready && self.stop.is_none() {
            return new(ErrorKind::Start, self.start_text(program));
        }
        if self.hung_up {
            return new(
                ErrorKind::Protocol,
                "the worker closed its control socket, gave no answer and did not end".to_owned(),
            );
        }
        match self.stop {
            Some(StopReason::Cancelled) => {
                return new(ErrorKind::Cancelled, "stopped on request".to_owned());
            }
            Some(StopReason::Deadline(after)) => return new(ErrorKind::Timeout, timeout(after)),
            None => (),
        }
        match self.end {
            Some(Ok(Exit {
                status: ExitStatus::Signal { signal, .. },
                ..
            })) => {
                let panicked = self.crash.as_ref().is_some_and(|crash| crash.panicking)
                    && self.panic.is_some()
                    && signal == Signal::ABRT;
                if panicked {
                    new(ErrorKind::Panic, self.panic_text())
                } else {
                    new(ErrorKind::Signal, signal_text(signal))
                }
            }
            Some(Ok(Exit {
                status: ExitStatus::Code(code),
                ..
            })) => new(
                ErrorKind::Exit,
                format!("the worker exited with code {code} and gave no answer"),
            ),
            Some(Err(error)) => Err(Error::new(
                ErrorKind::Exit,
                label,
                "the worker ended, and how cannot be known",
            )
            .because(error)),
            None => new(
                ErrorKind::Exit,
                "the worker let go of its control socket and gave no answer".to_owned(),
            ),
        }
    }

    fn failed(&self, label: &str, failure: Failure) -> Error {
        match self.stop {
            Some(StopReason::Cancelled) if failure.cancelled => {
                Error::new(ErrorKind::Cancelled, label, "stopped on request")
            }
            Some(StopReason::Deadline(after)) if failure.cancelled => {
                Error::new(ErrorKind::Timeout, label, timeout(after))
            }
            _ => {
                let mut chain = failure.chain.into_iter();
                let text = chain.next().unwrap_or_default();
                let error = Error::new(ErrorKind::Failed, label, text);
                match Rendered::from_chain(chain.collect()) {
                    Some(cause) => error.because(cause),
                    None => error,
                }
            }
        }
    }

    fn panic_text(&self) -> String {
        match &self.panic {
            Some(PanicReport {
                message,
                location: Some(location),
                ..
            }) => format!("panicked at {location}: {message}"),
            Some(PanicReport { message, .. }) => format!("panicked: {message}"),
            None => "panicked".to_owned(),
        }
    }

    fn start_text(&self, program: &Worker) -> String {
        match &self.refusal {
            Some(Refusal::Protocol(theirs)) => format!(
                "{program} was built with a version of Legwork that speaks protocol {theirs}; \
                 this app speaks {}",
                crate::wire::frame::PROTOCOL
            ),
            Some(Refusal::Build(theirs)) => format!(
                "{program} was built from other sources than this app: its jobs have the build \
                 id {theirs:016x}"
            ),
            Some(Refusal::UnknownJob) => {
                format!("{program} does not know this job: is it in the worker's table?")
            }
            Some(Refusal::Input(why)) => format!("{program} could not decode the job: {why}"),
            Some(Refusal::Setup(why)) => format!("{program} could not set itself up: {why}"),
            None => self.no_hello_text(program),
        }
    }

    fn no_hello_text(&self, program: &Worker) -> String {
        const HINT: &str = "Does its main begin with run_if_worker() or run_worker()?";
        if let Some(silent_for) = self.silent_for {
            return format!(
                "{program} was started, and did not answer within {silent_for:?}. {HINT}"
            );
        }
        match &self.end {
            _ if self.hung_up => {
                format!("{program} was started, and closed its control socket. {HINT}")
            }
            Some(Ok(exit)) => format!(
                "{program} was started, and ended with {} before it answered. {HINT}",
                exit.status
            ),
            Some(Err(error)) => format!("{program} was started, and did not answer: {error}"),
            None => format!("{program} was started, and closed its control socket. {HINT}"),
        }
    }
}

fn timeout(after: std::time::Duration) -> String {
    format!("not finished within its deadline of {after:?}")
}

fn signal_text(signal: Signal) -> String {
    let meaning = match signal {
        Signal::SEGV => "a memory fault",
        Signal::ABRT => "it gave up by itself",
        Signal::KILL => "killed from outside, or by the system for lack of memory",
        Signal::TERM | Signal::INT | Signal::HUP => "ended from outside",
        Signal::PIPE => "nobody read what it wrote",
        other => match other.as_raw() {
            libc::SIGBUS => "a file or memory that it had mapped went away",
            libc::SIGILL => "an instruction that this processor does not have",
            libc::SIGFPE => "an impossible calculation",
            libc::SIGXCPU => "its processor time was used up",
            libc::SIGSYS => "a system call that it may not make",
            _ => return format!("the worker was ended by {signal}"),
        },
    };
    format!("the worker was ended by {signal}: {meaning}")
}
