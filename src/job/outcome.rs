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

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::child::Worker;
use crate::child::error::{Error, ErrorKind, Panic, Rendered};
use crate::process::{Exit, ExitStatus, Signal, WaitError};
use crate::wire::control::{Fault, Unclaimed};
use crate::wire::frame::{CrashReport, Failure, PanicReport, Refusal};

/// Who asked the job to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    Cancelled,
    Deadline(Duration),
}

/// What the worker answered.
#[derive(Debug)]
pub(super) enum Answer {
    Done(Vec<u8>, Unclaimed),
    Failed(Failure),
    Panicked,
    /// The worker could not run it.
    Refused(Refusal),
}

/// All that is known of the end of a worker process.
#[derive(Debug, Default)]
pub(super) struct ProcessFacts {
    /// The handshake was completed.
    pub(super) ready: bool,
    pub(super) fault: Option<Fault>,
    pub(super) refusal: Option<Refusal>,
    /// It did not say hello in this time.
    pub(super) silent_for: Option<Duration>,
    /// It closed its control socket and did not end.
    pub(super) outlived_socket: bool,
    pub(super) context_gone: bool,
    /// Why nothing could be heard of it.
    pub(super) unwatched: Option<io::Error>,
    pub(super) end: Option<Result<Exit, WaitError>>,
    pub(super) output_tail: String,
}

/// All that is known of a job's life.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The worker had begun to run it.
    pub(super) started: bool,
    pub(super) stop: Option<StopReason>,
    pub(super) answer: Option<Answer>,
    pub(super) panic: Option<PanicReport>,
    pub(super) crash: Option<CrashReport>,
    pub(super) crash_frames: Option<String>,
    pub(super) progress: (u64, u64),
    /// Of its worker's end, if it ended with that.
    pub(super) process: ProcessFacts,
}

impl Facts {
    /// The one outcome: the output's bytes and descriptors, or the error.
    pub(super) fn outcome(
        mut self,
        label: &str,
        program: &Worker,
    ) -> Result<(Vec<u8>, Vec<OwnedFd>), Error> {
        // It had its input, and may have been quicker.
        let unwatched = self.process.unwatched.is_some();
        let mut error = match self.decide(label, program) {
            Ok(output) => return Ok(output),
            Err(error) => error,
        };
        let inner = error.inner_mut();
        inner.ran = self.started || unwatched;
        inner.output_tail = self.process.output_tail;
        inner.progress = self.progress;
        if let Some(Ok(exit)) = self.process.end {
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
        if self.process.context_gone {
            return Err(Error::context_gone(label));
        }
        if let Some(error) = self.process.unwatched.take() {
            let text = format!("{program} could not be watched, and was stopped: {error}");
            return Err(Error::new(ErrorKind::Start, label, text).because(error));
        }
        if let Some(fault) = &self.process.fault {
            return new(
                ErrorKind::Protocol,
                format!("the worker said something that cannot be right: {fault}"),
            );
        }
        match self.answer.take() {
            Some(Answer::Done(bytes, descriptors)) => return Ok((bytes, descriptors.claim())),
            Some(Answer::Failed(failure)) => return Err(self.failed(label, failure)),
            Some(Answer::Panicked) => return new(ErrorKind::Panic, self.panic_text()),
            Some(Answer::Refused(refusal)) if self.stop.is_none() => {
                return new(ErrorKind::Start, refusal_text(&refusal, program));
            }
            Some(Answer::Refused(_)) | None => (),
        }
        if !self.process.ready && self.stop.is_none() {
            return new(ErrorKind::Start, self.start_text(program));
        }
        if self.process.outlived_socket {
            return new(
                ErrorKind::Protocol,
                "the worker closed its control socket, gave no answer and did not end".to_owned(),
            );
        }
        match self.stop {
            Some(StopReason::Cancelled) => return Err(Error::stopped(label)),
            Some(StopReason::Deadline(after)) => return new(ErrorKind::Timeout, timeout(after)),
            None => (),
        }
        match self.process.end {
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
            Some(StopReason::Cancelled) if failure.cancelled => Error::stopped(label),
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
        match &self.process.refusal {
            Some(refusal) => refusal_text(refusal, program),
            None => self.no_hello_text(program),
        }
    }

    fn no_hello_text(&self, program: &Worker) -> String {
        const HINT: &str = "Does its main begin with run_if_worker() or run_worker()?";
        if let Some(silent_for) = self.process.silent_for {
            return format!(
                "{program} was started, and did not answer within {silent_for:?}. {HINT}"
            );
        }
        match &self.process.end {
            _ if self.process.outlived_socket => {
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

fn refusal_text(refusal: &Refusal, program: &Worker) -> String {
    match refusal {
        Refusal::Protocol(theirs) => format!(
            "{program} was built with a version of Legwork that speaks protocol {theirs}; \
             this app speaks {}",
            crate::wire::frame::PROTOCOL
        ),
        Refusal::Build(theirs) => format!(
            "{program} was built from other sources than this app: its jobs have the build \
             id {theirs:016x}"
        ),
        Refusal::UnknownJob => {
            format!("{program} does not know this job: is it in the worker's table?")
        }
        Refusal::Input(why) => format!("{program} could not decode the job: {why}"),
        Refusal::Setup(why) => format!("{program} could not set itself up: {why}"),
    }
}

fn timeout(after: Duration) -> String {
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
