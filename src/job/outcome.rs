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
use crate::text::{Text, text};
use crate::wire::control::{Fault, Unclaimed};
use crate::wire::frame::{CrashReport, Failure, PROTOCOL, PanicReport, Refusal};

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
        let new = |kind, text: Text| Err(Error::new(kind, label, text));
        if self.process.context_gone {
            return Err(Error::context_gone(label));
        }
        if let Some(error) = self.process.unwatched.take() {
            let text = text!(
                "{program} was stopped, because it could not be watched: {error}",
                program = program.text(),
                error = Text::of(&error)
            );
            return Err(Error::new(ErrorKind::Start, label, text).because(error));
        }
        if let Some(fault) = &self.process.fault {
            let text = text!(
                "the worker broke the protocol: {fault}",
                fault = Text::of(fault)
            );
            return new(ErrorKind::Protocol, text);
        }
        match self.answer.take() {
            Some(Answer::Done(bytes, descriptors)) => return Ok((bytes, descriptors.claim())),
            Some(Answer::Failed(failure)) => return Err(self.failed(label, failure)),
            Some(Answer::Panicked) => return new(ErrorKind::Panic, self.panic_text()),
            Some(Answer::Refused(refusal)) if self.stop.is_none() => {
                return new(ErrorKind::Start, refusal_text(refusal, program));
            }
            Some(Answer::Refused(_)) | None => (),
        }
        if !self.process.ready && self.stop.is_none() {
            let text = match self.process.refusal.take() {
                Some(refusal) => refusal_text(refusal, program),
                None => self.no_handshake_text(program),
            };
            return new(ErrorKind::Start, text);
        }
        if self.process.outlived_socket {
            let text =
                text!("the worker closed its control socket, gave no answer and did not exit");
            return new(ErrorKind::Protocol, text);
        }
        match self.stop {
            Some(StopReason::Cancelled) => return Err(Error::stopped(label)),
            Some(StopReason::Deadline(after)) => return Err(Error::late(label, after)),
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
            })) => {
                let text = text!(
                    "the worker exited with code {code} and gave no answer",
                    code = code
                );
                new(ErrorKind::Exit, text)
            }
            Some(Err(error)) => {
                let text = text!("the worker ended, but how it ended is unknown");
                Err(Error::new(ErrorKind::Exit, label, text).because(error))
            }
            None => {
                let text = text!("the worker closed its control socket and gave no answer");
                new(ErrorKind::Exit, text)
            }
        }
    }

    fn failed(&self, label: &str, failure: Failure) -> Error {
        match self.stop {
            Some(StopReason::Cancelled) if failure.cancelled => Error::stopped(label),
            Some(StopReason::Deadline(after)) if failure.cancelled => Error::late(label, after),
            _ => {
                let mut chain = failure.chain.into_iter();
                let text = Text::Verbatim(chain.next().unwrap_or_default());
                let error = Error::new(ErrorKind::Failed, label, text);
                match Rendered::from_chain(chain.collect()) {
                    Some(cause) => error.because(cause),
                    None => error,
                }
            }
        }
    }

    fn panic_text(&self) -> Text {
        let Some(report) = &self.panic else {
            return text!("panicked");
        };
        let message = report.message.as_str();
        match report.location.as_deref() {
            Some(location) => {
                text!(
                    "panicked at {location}: {message}",
                    location = location,
                    message = message
                )
            }
            None => text!("panicked: {message}", message = message),
        }
    }

    /// It was started and proved to be no worker.
    fn no_handshake_text(&self, program: &Worker) -> Text {
        let program = program.text();
        let hint = text!("Does its main begin with run_if_worker() or run_worker()?");
        if let Some(time) = self.process.silent_for {
            return text!(
                "{program} was started, but did not answer within {time}. {hint}",
                program = program,
                time = time,
                hint = hint
            );
        }
        match &self.process.end {
            Some(Ok(exit)) if !self.process.outlived_socket => text!(
                "{program} was started, but ended with {status} before it answered. {hint}",
                program = program,
                status = exit.status.text(),
                hint = hint
            ),
            Some(Err(error)) if !self.process.outlived_socket => text!(
                "{program} was started, but did not answer: {error}",
                program = program,
                error = error.text()
            ),
            _ => text!(
                "{program} was started, but closed its control socket. {hint}",
                program = program,
                hint = hint
            ),
        }
    }
}

fn refusal_text(refusal: Refusal, program: &Worker) -> Text {
    let program = program.text();
    match refusal {
        Refusal::Protocol(theirs) => text!(
            "{program} was built with a version of Legwork that speaks protocol {theirs}; this app \
             speaks {ours}",
            program = program,
            theirs = theirs,
            ours = PROTOCOL
        ),
        Refusal::Build(theirs) => text!(
            "{program} was built from other sources than this app: its jobs have the build id {id}",
            program = program,
            id = format!("{theirs:016x}")
        ),
        Refusal::UnknownJob => text!(
            "{program} does not know this job: is it listed in the worker's jobs! table?",
            program = program
        ),
        Refusal::Input(why) => text!(
            "{program} could not decode the job: {why}",
            program = program,
            why = why
        ),
        Refusal::Setup(why) => text!(
            "{program} could not set itself up: {why}",
            program = program,
            why = why
        ),
    }
}

fn signal_text(signal: Signal) -> Text {
    let meaning = match signal.as_raw() {
        libc::SIGSEGV => text!("a memory fault"),
        libc::SIGABRT => text!("it aborted itself"),
        libc::SIGKILL => {
            text!("killed by another process, or by the system when memory ran out")
        }
        libc::SIGTERM | libc::SIGINT | libc::SIGHUP => text!("ended by another process"),
        libc::SIGPIPE => text!("nobody read what it wrote"),
        libc::SIGBUS => text!("a file or memory that it had mapped is gone"),
        libc::SIGILL => text!("an instruction that this processor does not have"),
        libc::SIGFPE => text!("an arithmetic error, such as a division by zero"),
        libc::SIGXCPU => text!("its limit of processor time was reached"),
        libc::SIGSYS => text!("a system call that it may not make"),
        _ => {
            return text!(
                "the worker was killed by {signal}",
                signal = Text::of(signal)
            );
        }
    };
    text!(
        "the worker was killed by {signal}: {meaning}",
        signal = Text::of(signal),
        meaning = meaning
    )
}
