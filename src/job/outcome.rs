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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ended(status: ExitStatus) -> Facts {
        Facts {
            end: Some(Ok(Exit::of(status))),
            ..Facts::default()
        }
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
        Facts {
            end: Some(Err(WaitError::reaped_by_another())),
            ..Facts::default()
        }
    }

    fn ready(facts: Facts) -> Facts {
        Facts {
            ready: true,
            ..facts
        }
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
        Answer::Done(vec![1, 2], Unclaimed::default())
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
            frames: vec![0x10, 0x20],
        })
    }

    fn faulty(facts: Facts) -> Facts {
        let fault = Some(Fault("a frame of 3 bytes".to_owned()));
        Facts { fault, ..facts }
    }

    fn refused(refusal: Refusal) -> Facts {
        Facts {
            refusal: Some(refusal),
            ..code(1)
        }
    }

    fn hung_up(facts: Facts) -> Facts {
        let mut facts = facts;
        facts.lived_on();
        facts
    }

    const CANCELLED: StopReason = StopReason::Cancelled;
    const DEADLINE: StopReason = StopReason::Deadline(Duration::from_secs(2));

    /// Its name, the facts, and the kind and some words of the error, if it is one.
    type Row = (&'static str, Facts, Option<(ErrorKind, &'static str)>);

    fn outcome(facts: Facts) -> Result<(Vec<u8>, Vec<OwnedFd>), Error> {
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
        let context_gone = |facts| with(|facts| facts.context_gone = true, facts);
        let panicked = |facts| with(|facts| facts.panic = panic(), facts);
        let crashed = |facts| with(|facts| facts.crash = crash(true), facts);
        let silent = |facts| {
            with(
                |facts| facts.silent_for = Some(Duration::from_secs(9)),
                facts,
            )
        };
        let unwatched = |facts| {
            let error = || Some(std::io::Error::from_raw_os_error(libc::ENOSPC));
            Facts {
                unwatched: error(),
                ..facts
            }
        };
        #[rustfmt::skip]
        let rows: [Row; 46] = [
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
            ("unknown job", refused(Refusal::UnknownJob), Some((Start, "/the/worker does not know this job"))),
            ("input", refused(Refusal::Input("short".into())), Some((Start, "short"))),
            ("setup", refused(Refusal::Setup("no page".into())), Some((Start, "no page"))),
            ("refused when cancelled", stopped(CANCELLED, refused(Refusal::UnknownJob)), Some((Cancelled, "on request"))),
            ("no worker: it exits", code(2), Some((Start, "exit code 2"))),
            ("no worker: it dies", killed(Signal::SEGV), Some((Start, "SIGSEGV"))),
            ("no worker: its exit is lost", lost(), Some((Start, "lost"))),
            ("no worker: it is silent", silent(killed(Signal::KILL)), Some((Start, "within 9s"))),
            ("no worker: it hangs up", hung_up(killed(Signal::KILL)), Some((Start, "closed its control socket"))),
            ("no worker: nothing known", Facts::default(), Some((Start, "closed its control socket"))),
            ("no worker when its deadline passes", stopped(DEADLINE, code(2)), Some((Timeout, "deadline of 2s"))),
            ("not watched", unwatched(Facts::default()), Some((Start, "No space left on device"))),
            ("context gone", context_gone(ready(Facts::default())), Some((Cancelled, "context"))),
            ("context gone before it was watched", context_gone(unwatched(Facts::default())), Some((Cancelled, "context"))),
            ("cancelled", stopped(CANCELLED, ready(killed(Signal::KILL))), Some((Cancelled, "on request"))),
            ("deadline", stopped(DEADLINE, ready(killed(Signal::KILL))), Some((Timeout, "deadline of 2s"))),
            ("it hangs up and stays", hung_up(ready(killed(Signal::KILL))), Some((Protocol, "control socket"))),
            ("it hangs up when cancelled", hung_up(stopped(CANCELLED, ready(killed(Signal::KILL)))), Some((Cancelled, "on request"))),
            ("signal", ready(killed(Signal::SEGV)), Some((Killed, "SIGSEGV"))),
            ("exit without an answer", ready(code(0)), Some((Exit, "code 0"))),
            ("exit is lost", ready(lost()), Some((Exit, "cannot be known"))),
            ("nothing known", ready(Facts::default()), Some((Exit, "gave no answer"))),
        ];
        for (name, facts, expected) in rows {
            match (outcome(facts), expected) {
                (Ok((bytes, descriptors)), None) => {
                    assert_eq!((bytes, descriptors.len()), (vec![1, 2], 0), "{name}");
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
    fn each_signal_has_a_meaning_or_at_least_its_name() {
        for number in (1..=64).filter(|number| ![32, 33].contains(number)) {
            let signal = Signal::from_raw(number).unwrap();
            let text = outcome(ready(killed(signal))).unwrap_err().to_string();
            assert!(text.contains(&*signal.name()), "{text}");
        }
    }

    #[test]
    fn an_error_carries_what_is_known() {
        let facts = Facts {
            output_tail: "last".to_owned(),
            progress: (3, 9),
            ..ready(code(4))
        };
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
