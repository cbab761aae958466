//! Which outcome it is: everything that is known when the child has ended, and the one answer.
//!
//! The rules, first that fits:
//!
//! 1. What the child said cannot be right: a protocol fault. What it said before is not believed.
//! 2. It said nothing, and the app could not listen to it: the start failed.
//! 3. It said an answer (an output, its own error, a panic): that is the outcome, also when it was
//!    asked to stop meanwhile. Only an error that says "cancelled" becomes what asked for it:
//!    cancelled, or timed out.
//! 4. It never became a worker: the start failed, unless it was asked to stop.
//! 5. It was asked to stop: cancelled, or timed out.
//! 6. It died: of a panic, of a signal, or it just exited.

use std::io;
use std::time::Duration;

use super::taken::Arrived;
use crate::child::Worker;
use crate::child::error::{Error, ErrorKind, Panic, Rendered};
use crate::process::{Exit, ExitStatus, Signal, WaitError};
use crate::text::{Text, text};
use crate::wire::control::Fault;
use crate::wire::frame::{CrashReport, Failure, PROTOCOL, PanicReport, Refusal};

/// Who asked the job to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    Cancelled,
    Deadline(Duration),
    /// Nothing was heard of it for this time.
    Silent(Duration),
}

impl StopReason {
    fn error(self, label: &str) -> Error {
        match self {
            StopReason::Cancelled => Error::stopped(label),
            StopReason::Deadline(after) => Error::late(label, after),
            StopReason::Silent(time) => {
                let text = text!(
                    "stopped because nothing was heard of it for {time}",
                    time = time
                );
                Error::new(ErrorKind::Timeout, label, text)
            }
        }
    }
}

/// What the worker answered.
#[derive(Debug)]
pub(super) enum Answer {
    Done(Arrived),
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
    /// Why its job was not sent to it when it was ready.
    pub(super) barred: Option<Text>,
    /// It did not say hello in this time.
    pub(super) silent_for: Option<Duration>,
    /// It closed its control socket and did not end.
    pub(super) outlived_socket: bool,
    pub(super) context_gone: bool,
    /// Why nothing could be heard of it.
    pub(super) unwatched: Option<io::Error>,
    pub(super) end: Option<Result<Exit, WaitError>>,
    /// The kernel has killed a process of its scope for want of memory.
    pub(super) out_of_memory: bool,
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
    /// The one outcome: the output, as it has arrived, or the error.
    pub(super) fn outcome(mut self, label: &str, program: &Worker) -> Result<Arrived, Error> {
        // It had its input, and may have been quicker.
        let unwatched = self.process.unwatched.is_some();
        let mut error = match self.decide(label, program) {
            Ok(output) => return Ok(output),
            Err(error) => error,
        };
        let inner = error.inner_mut();
        inner.ran = self.started || unwatched;
        inner.out_of_memory = self.process.out_of_memory;
        inner.output_tail = self.process.output_tail;
        inner.progress = self.progress;
        if let Some(Ok(exit)) = self.process.end {
            inner.status = Some(exit.status);
            inner.usage = exit.known_usage();
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

    fn decide(&mut self, label: &str, program: &Worker) -> Result<Arrived, Error> {
        let new = |kind, text: Text| Err(Error::new(kind, label, text));
        if self.process.context_gone {
            return Err(Error::context_gone(label));
        }
        // An answer that was there before is one.
        if self.answer.is_none()
            && let Some(error) = self.process.unwatched.take()
        {
            let text = text!(
                "{program} was stopped, because it could not be watched: {error}",
                program = program.text(),
                error = Text::of(&error)
            );
            return Err(Error::new(ErrorKind::Start, label, text).because(error));
        }
        if let Some(fault) = &self.process.fault {
            return Err(broke_protocol(label, fault));
        }
        match self.answer.take() {
            Some(Answer::Done(output)) => return Ok(output),
            Some(Answer::Failed(failure)) => return Err(self.failed(label, failure)),
            Some(Answer::Panicked) => return new(ErrorKind::Panic, self.panic_text()),
            Some(Answer::Refused(refusal)) if self.stop.is_none() => {
                return new(ErrorKind::Start, refusal_text(refusal, program));
            }
            Some(Answer::Refused(_)) | None => (),
        }
        if let Some(why) = self.process.barred.take()
            && self.stop.is_none()
        {
            return Err(Error::not_started(label, why));
        }
        if !self.process.ready && self.stop.is_none() {
            let text = match self.process.refusal.take() {
                Some(refusal) => refusal_text(refusal, program),
                None => self.no_handshake_text(program),
            };
            return new(ErrorKind::Start, text);
        }
        if self.process.outlived_socket && self.stop.is_none() {
            let text =
                text!("the worker closed its control socket, gave no answer and did not exit");
            return new(ErrorKind::Protocol, text);
        }
        if let Some(reason) = self.stop {
            return Err(reason.error(label));
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
                    let overflow = self
                        .crash
                        .as_ref()
                        .is_some_and(|crash| crash.stack_overflow);
                    let out_of_memory = self.process.out_of_memory;
                    new(
                        ErrorKind::Signal,
                        signal_text(signal, overflow, out_of_memory),
                    )
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
            Some(reason) if failure.cancelled => reason.error(label),
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

/// What it said cannot be right.
pub(super) fn broke_protocol(label: &str, fault: &Fault) -> Error {
    let text = text!(
        "the worker broke the protocol: {fault}",
        fault = Text::of(fault)
    );
    Error::new(ErrorKind::Protocol, label, text)
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

fn signal_text(signal: Signal, stack_overflow: bool, out_of_memory: bool) -> Text {
    let meaning = match signal.as_raw() {
        libc::SIGKILL if out_of_memory => text!("the memory limit of its scope was reached"),
        libc::SIGSEGV if stack_overflow => text!("its stack overflowed"),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::control::{Payload, Unclaimed};

    fn ended_as(end: Result<Exit, WaitError>) -> Facts {
        let mut facts = Facts::default();
        facts.process.end = Some(end);
        facts
    }

    fn ended(status: ExitStatus) -> Facts {
        ended_as(Ok(Exit::of(status)))
    }

    fn code(code: i32) -> Facts {
        ended(ExitStatus::Code(code))
    }

    fn killed(signal: Signal) -> Facts {
        ended(ExitStatus::Signal {
            signal,
            core_dumped: false,
        })
    }

    fn lost() -> Facts {
        ended_as(Err(WaitError::reaped_by_another()))
    }

    fn ready(mut facts: Facts) -> Facts {
        facts.process.ready = true;
        facts.started = true;
        facts
    }

    fn stopped(reason: StopReason, facts: Facts) -> Facts {
        Facts {
            stop: Some(reason),
            ..facts
        }
    }

    fn answered(answer: Answer, facts: Facts) -> Facts {
        Facts {
            answer: Some(answer),
            ..ready(facts)
        }
    }

    fn done() -> Answer {
        Answer::Done(Arrived::new(Payload::Inline(&[1, 2]), Unclaimed::default()))
    }

    fn failed(cancelled: bool) -> Answer {
        let chain = vec!["no space".to_owned(), "the cause".to_owned()];
        Answer::Failed(Failure { chain, cancelled })
    }

    fn panic() -> Option<PanicReport> {
        Some(PanicReport {
            message: "oh no".to_owned(),
            location: Some("a.rs:1:2".to_owned()),
            thread: None,
            backtrace: "frames".to_owned(),
        })
    }

    fn crash(panicking: bool) -> Option<CrashReport> {
        Some(CrashReport {
            signal: libc::SIGABRT,
            code: 0,
            address: 0,
            panicking,
            stack_overflow: false,
            frames: vec![0x10, 0x20],
        })
    }

    fn faulty(mut facts: Facts) -> Facts {
        facts.process.fault = Some(Fault("a frame of 3 bytes".to_owned()));
        facts
    }

    /// By a worker that cannot serve at all.
    fn refused(refusal: Refusal) -> Facts {
        let mut facts = code(1);
        facts.process.refusal = Some(refusal);
        facts
    }

    /// By a worker that cannot run this job.
    fn job_refused(refusal: Refusal) -> Facts {
        let facts = answered(Answer::Refused(refusal), code(1));
        Facts {
            started: false,
            ..facts
        }
    }

    fn outlived_socket(mut facts: Facts) -> Facts {
        facts.process.outlived_socket = true;
        facts
    }

    const CANCELLED: StopReason = StopReason::Cancelled;
    const DEADLINE: StopReason = StopReason::Deadline(Duration::from_secs(2));
    const SILENT: StopReason = StopReason::Silent(Duration::from_secs(2));

    /// Its name, the facts, and the kind and some words of the error, if it is one.
    type Row = (&'static str, Facts, Option<(ErrorKind, &'static str)>);

    fn outcome(facts: Facts) -> Result<Arrived, Error> {
        facts.outcome("Job", &Worker::program("/the/worker"))
    }

    /// Every kind of end: the facts, and the outcome that they make.
    #[test]
    fn each_end_has_its_outcome() {
        use ErrorKind::{
            Cancelled, Exit, Failed, Panic, Protocol, Signal as Killed, Start, Timeout,
        };
        let with = |change: fn(&mut Facts), mut facts: Facts| {
            change(&mut facts);
            facts
        };
        let context_gone = |facts| with(|facts| facts.process.context_gone = true, facts);
        let panicked = |facts| with(|facts| facts.panic = panic(), facts);
        let crashed = |facts| with(|facts| facts.crash = crash(true), facts);
        let silent = |facts| {
            with(
                |facts| facts.process.silent_for = Some(Duration::from_secs(9)),
                facts,
            )
        };
        let unwatched = |mut facts: Facts| {
            facts.process.unwatched = Some(io::Error::from_raw_os_error(libc::ENOSPC));
            facts
        };
        #[rustfmt::skip]
        let rows: [Row; 49] = [
            ("output", answered(done(), code(0)), None),
            ("output, then a bad exit", answered(done(), code(3)), None),
            ("output, then a signal", answered(done(), killed(Signal::SEGV)), None),
            ("output, exit lost", answered(done(), lost()), None),
            ("output though it was cancelled", stopped(CANCELLED, answered(done(), code(0))), None),
            ("output after the deadline", stopped(DEADLINE, answered(done(), killed(Signal::KILL))), None),
            ("output, then nonsense", faulty(answered(done(), code(0))), Some((Protocol, "a frame of 3 bytes"))),
            ("output, context gone", context_gone(answered(done(), code(0))), Some((Cancelled, "context"))),
            ("its own error", answered(failed(false), code(0)), Some((Failed, "Job: no space"))),
            ("its own error though it was cancelled", stopped(CANCELLED, answered(failed(false), code(0))), Some((Failed, "no space"))),
            ("it says cancelled unasked", answered(failed(true), code(0)), Some((Failed, "no space"))),
            ("it says cancelled when asked", stopped(CANCELLED, answered(failed(true), code(0))), Some((Cancelled, "on request"))),
            ("it says cancelled at its deadline", stopped(DEADLINE, answered(failed(true), code(0))), Some((Timeout, "deadline of 2s"))),
            ("panic", panicked(answered(Answer::Panicked, code(0))), Some((Panic, "panicked at a.rs:1:2: oh no"))),
            ("panic without a report", answered(Answer::Panicked, code(0)), Some((Panic, "panicked"))),
            ("panic though it was cancelled", stopped(CANCELLED, panicked(answered(Answer::Panicked, code(0)))), Some((Panic, "oh no"))),
            ("panic that aborts", crashed(panicked(ready(killed(Signal::ABRT)))), Some((Panic, "oh no"))),
            ("a panic elsewhere, then an abort", panicked(ready(killed(Signal::ABRT))), Some((Killed, "SIGABRT"))),
            ("a panic, then a memory fault", crashed(panicked(ready(killed(Signal::SEGV)))), Some((Killed, "SIGSEGV"))),
            ("nonsense", faulty(ready(code(0))), Some((Protocol, "a frame of 3 bytes"))),
            ("nonsense in place of a handshake", faulty(code(0)), Some((Protocol, "a frame of 3 bytes"))),
            ("nonsense when cancelled", faulty(stopped(CANCELLED, ready(code(0)))), Some((Protocol, "a frame of 3 bytes"))),
            ("another protocol", refused(Refusal::Protocol(7)), Some((Start, "protocol 7"))),
            ("another build", refused(Refusal::Build(0xab)), Some((Start, "00000000000000ab"))),
            ("unknown job", job_refused(Refusal::UnknownJob), Some((Start, "/the/worker does not know this job"))),
            ("input", job_refused(Refusal::Input("short".into())), Some((Start, "short"))),
            ("setup", refused(Refusal::Setup("no page".into())), Some((Start, "no page"))),
            ("refused when cancelled", stopped(CANCELLED, job_refused(Refusal::UnknownJob)), Some((Cancelled, "on request"))),
            ("no worker: it exits", code(2), Some((Start, "exit code 2"))),
            ("no worker: it dies", killed(Signal::SEGV), Some((Start, "SIGSEGV"))),
            ("no worker: its exit is lost", lost(), Some((Start, "is unknown"))),
            ("no worker: it is silent", silent(killed(Signal::KILL)), Some((Start, "within 9s"))),
            ("no worker: it hangs up", outlived_socket(killed(Signal::KILL)), Some((Start, "closed its control socket"))),
            ("no worker: nothing known", Facts::default(), Some((Start, "closed its control socket"))),
            ("no worker when its deadline passes", stopped(DEADLINE, code(2)), Some((Timeout, "deadline of 2s"))),
            ("not watched", unwatched(Facts::default()), Some((Start, "No space left on device"))),
            ("an output, and then not heard", unwatched(answered(done(), code(0))), None),
            ("context gone", context_gone(ready(Facts::default())), Some((Cancelled, "context"))),
            ("context gone before it was watched", context_gone(unwatched(Facts::default())), Some((Cancelled, "context"))),
            ("cancelled", stopped(CANCELLED, ready(killed(Signal::KILL))), Some((Cancelled, "on request"))),
            ("deadline", stopped(DEADLINE, ready(killed(Signal::KILL))), Some((Timeout, "deadline of 2s"))),
            ("silence", stopped(SILENT, ready(killed(Signal::KILL))), Some((Timeout, "nothing was heard of it for 2s"))),
            ("it says cancelled when it was silent", stopped(SILENT, answered(failed(true), code(0))), Some((Timeout, "nothing was heard"))),
            ("it hangs up and stays", outlived_socket(ready(killed(Signal::KILL))), Some((Protocol, "control socket"))),
            ("it hangs up when cancelled", outlived_socket(stopped(CANCELLED, ready(killed(Signal::KILL)))), Some((Cancelled, "on request"))),
            ("signal", ready(killed(Signal::SEGV)), Some((Killed, "SIGSEGV"))),
            ("exit without an answer", ready(code(0)), Some((Exit, "code 0"))),
            ("exit is lost", ready(lost()), Some((Exit, "is unknown"))),
            ("nothing known", ready(Facts::default()), Some((Exit, "gave no answer"))),
        ];
        for (name, facts, expected) in rows {
            match (outcome(facts), expected) {
                (Ok(output), None) => {
                    assert_eq!(output.decode::<(u8, u8)>().unwrap(), (1, 2), "{name}");
                }
                (Err(error), Some((kind, words))) => {
                    assert_eq!(error.kind(), kind, "{name}: {error}");
                    assert!(error.to_string().contains(words), "{name}: {error}");
                }
                (outcome, _) => panic!("{name}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn an_error_says_that_the_memory_of_its_scope_was_used_up() {
        let mut facts = ready(killed(Signal::KILL));
        facts.process.out_of_memory = true;
        let mut error = outcome(facts).unwrap_err();
        assert!(error.inner_mut().out_of_memory);
        let words = "SIGKILL: the memory limit of its scope was reached";
        assert!(error.to_string().ends_with(words), "{error}");
    }

    #[test]
    fn each_signal_has_a_meaning_or_at_least_its_name() {
        for number in (1..=64).filter(|number| ![32, 33].contains(number)) {
            let signal = Signal::from_raw(number).unwrap();
            let text = outcome(ready(killed(signal))).unwrap_err().to_string();
            assert!(text.contains(&*signal.name()), "{text}");
        }
    }

    #[test]
    fn an_error_carries_what_is_known() {
        let mut facts = ready(code(4));
        facts.process.output_tail = "last".to_owned();
        facts.progress = (3, 9);
        let error = outcome(facts).unwrap_err();
        assert!(error.has_run() && error.usage().is_some());
        assert_eq!((error.exit_code(), error.progress()), (Some(4), (3, 9)));
        assert_eq!((error.output_tail(), error.backtrace()), ("last", None));
        assert!(!outcome(code(4)).unwrap_err().has_run());

        let error = outcome(answered(failed(false), code(0))).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap();
        assert_eq!(cause.to_string(), "the cause");

        let panicked = Facts {
            panic: panic(),
            ..answered(Answer::Panicked, code(0))
        };
        let error = outcome(panicked).unwrap_err();
        assert_eq!(error.panic().unwrap().message, "oh no");
        assert_eq!(error.backtrace(), Some("frames"));

        for (frames, backtrace) in [(None, "0x10\n0x20"), (Some("main"), "main")] {
            let facts = Facts {
                crash: crash(false),
                crash_frames: frames.map(str::to_owned),
                ..ready(killed(Signal::ABRT))
            };
            let error = outcome(facts).unwrap_err();
            assert_eq!(
                (error.backtrace(), error.signal()),
                (Some(backtrace), Some(Signal::ABRT))
            );
        }
    }
}
