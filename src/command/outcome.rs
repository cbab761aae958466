//! The one outcome of a program: everything that is known when it has ended, and the one answer.
//!
//! The rules, of which the first that fits applies:
//!
//! 1. Its main context went away: cancelled.
//! 2. It was asked to stop: cancelled, or timed out; or it could not be stopped.
//! 3. Only the wait was cancelled, and it still runs: cancelled.
//! 4. It was never executed, or its end cannot be watched: the start failed.
//! 5. It has ended: the output if that is a success, else its exit code or signal.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::child::{Error, ErrorKind};
use crate::process::{Exit, ExitStatus, Signal, Usage, WaitError};
use crate::spawn::SpawnError;
use crate::text::{Text, text};

/// What a program left behind that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// The resources that it used. All zero if other code in the app has reaped it.
    pub usage: Usage,
    /// What it wrote to standard output, if that was collected.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, if that was collected.
    pub stderr: Vec<u8>,
    /// A grandchild held a pipe open when the program had ended, and what it may still have
    /// written was not waited for.
    pub incomplete: bool,
    /// The program wrote more than the limit allowed to be kept.
    pub truncated: bool,
}

/// The outcome of [`CommandHandle`](super::CommandHandle).
pub type Ended = Result<Output, Error>;

impl Output {
    /// Standard output as text.
    ///
    /// # Errors
    ///
    /// It is not UTF-8; the error says at which byte.
    pub fn stdout_utf8(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(&self.stdout)
    }

    /// Standard error as text.
    ///
    /// # Errors
    ///
    /// It is not UTF-8; the error says at which byte.
    pub fn stderr_utf8(&self) -> Result<&str, std::str::Utf8Error> {
        std::str::from_utf8(&self.stderr)
    }
}

/// Which exits are a success.
pub(super) type Success = Rc<dyn Fn(ExitStatus) -> bool>;

/// Why a program was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StopReason {
    Cancelled,
    Deadline(Duration),
    Stalled(Duration),
    /// This signal had stopped it, because it tried to use the app's terminal.
    Terminal(Signal),
}

/// What was read of one of its outputs.
#[derive(Debug, Default)]
pub(super) struct Captured {
    /// All of it, up to the limit, if it was to be collected.
    pub(super) bytes: Vec<u8>,
    pub(super) truncated: bool,
    /// The end of it, for an error.
    pub(super) tail: String,
    /// The first line of the tail lacks its beginning.
    pub(super) is_tail_cut: bool,
}

/// All that is known of a program's life.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) context_gone: bool,
    pub(super) stop: Option<StopReason>,
    /// What had stopped it in the sense of job control when it was asked to end.
    pub(super) stopped_by: Option<Signal>,
    /// Why it could not be stopped, or something that it has left in its group.
    pub(super) unstoppable: Option<io::Error>,
    pub(super) wait_cancelled: bool,
    /// Why it was not executed.
    pub(super) not_started: Option<SpawnError>,
    /// Why its end could not be watched.
    pub(super) unwatched: Option<io::Error>,
    pub(super) end: Option<Result<Exit, WaitError>>,
    /// Its exit is a success by the rule of its command.
    pub(super) success: bool,
    /// The last thing that it said to people.
    pub(super) last_words: Option<String>,
    pub(super) stdout: Captured,
    pub(super) stderr: Captured,
    /// An output was given up while another process held it open.
    pub(super) incomplete: bool,
    /// The kernel has killed a process of its scope for want of memory.
    pub(super) out_of_memory: bool,
    pub(super) progress: (u64, u64),
}

impl Facts {
    /// The exit, when nothing else decides on the outcome: it is to be looked at whether it is a
    /// [`success`](Self::success).
    pub(super) fn deciding_exit(&self) -> Option<ExitStatus> {
        let other = self.context_gone || self.stop.is_some() || self.not_started.is_some();
        match self.end {
            Some(Ok(exit)) if !other => Some(exit.status),
            _ => None,
        }
    }

    /// The output with the last words, which is standard error if it wrote anything there.
    pub(super) fn last_output(&self) -> &Captured {
        match &*self.stderr.tail {
            "" => &self.stdout,
            _ => &self.stderr,
        }
    }

    /// The one outcome.
    pub(super) fn outcome(mut self, label: &str) -> Ended {
        if self.success
            && self.deciding_exit().is_some()
            && let Some(Ok(Exit { status, usage, .. })) = self.end
        {
            return Ok(Output {
                status,
                usage,
                truncated: self.stdout.truncated || self.stderr.truncated,
                stdout: self.stdout.bytes,
                stderr: self.stderr.bytes,
                incomplete: self.incomplete,
            });
        }
        let ran = self.not_started.is_none();
        let mut error = self.error(label);
        let inner = error.inner_mut();
        inner.ran = ran;
        inner.out_of_memory = self.out_of_memory;
        inner.output_tail = self.last_output().tail.clone();
        inner.progress = self.progress;
        if let Some(Ok(exit)) = self.end {
            inner.status = Some(exit.status);
            inner.usage = exit.known_usage();
        }
        Err(error)
    }

    fn error(&mut self, label: &str) -> Error {
        if self.context_gone {
            return Error::context_gone(label);
        }
        if let Some(why) = self.unstoppable.take() {
            return self.not_stopped(label, why);
        }
        if let Some(reason) = self.stop {
            return self.stopped(label, reason);
        }
        if self.wait_cancelled && self.end.is_none() {
            let text = text!("the wait for it was cancelled; the program runs on");
            return Error::new(ErrorKind::Cancelled, label, text);
        }
        if let Some(why) = self.not_started.take() {
            return Error::start(label, why);
        }
        let status = match (self.end, self.unwatched.take()) {
            (Some(Ok(exit)), _) => exit.status,
            (None, Some(error)) => {
                let text = text!(
                    "killed, because its end could not be watched: {error}",
                    error = Text::of(&error)
                );
                return Error::new(ErrorKind::Start, label, text).because(error);
            }
            (end, _) => {
                let text = text!("ended, but how it ended is unknown");
                let error = Error::new(ErrorKind::Exit, label, text);
                return match end {
                    Some(Err(why)) => error.because(why),
                    _ => error,
                };
            }
        };
        let (kind, text) = match status {
            ExitStatus::Code(code) => (
                ErrorKind::Exit,
                text!("exited with code {code}", code = code),
            ),
            ExitStatus::Signal { signal, .. } => {
                let signal = Text::of(signal);
                (
                    ErrorKind::Signal,
                    text!("killed by {signal}", signal = signal),
                )
            }
        };
        let text = match self.out_of_memory {
            true => text!(
                "{end}, as the memory limit of its scope was reached",
                end = text
            ),
            false => text,
        };
        let text = match &self.last_words {
            Some(words) => text!("{end}: {words}", end = text, words = words.as_str()),
            None => text,
        };
        Error::new(kind, label, text)
    }

    /// It was to be stopped, and that was refused.
    fn not_stopped(&self, label: &str, why: io::Error) -> Error {
        let what = match self.end {
            None => text!("it could not be stopped, and runs on"),
            Some(_) => text!(
                "it ended, but a process that it had started could not be stopped, and runs on"
            ),
        };
        let text = text!(
            "{what}: {error}. Most likely that process belongs to another user by now, as with sudo or \
             pkexec",
            what = what,
            error = Text::of(&why)
        );
        Error::new(ErrorKind::NotStopped, label, text).because(why)
    }

    /// It was asked to end.
    fn stopped(&self, label: &str, reason: StopReason) -> Error {
        let mut error = match reason {
            StopReason::Cancelled => Error::stopped(label),
            StopReason::Deadline(after) => Error::late(label, after),
            StopReason::Stalled(after) => {
                let text = text!("stopped because it wrote nothing for {time}", time = after);
                Error::new(ErrorKind::Timeout, label, text)
            }
            StopReason::Terminal(signal) => {
                let text = text!(
                    "suspended by {signal}, because it tried to use the terminal in which this app was \
                     started, and therefore ended. Let it keep its own session, which is the default, \
                     or give it a terminal with terminal() or inherit_terminal()",
                    signal = Text::of(signal)
                );
                Error::new(ErrorKind::Signal, label, text)
            }
        };
        if let Some(signal) = self.stopped_by
            && !matches!(reason, StopReason::Terminal(_))
        {
            let (end, by) = (error.inner_mut().text.clone(), Text::of(signal));
            error.inner_mut().text = match signal {
                Signal::TTIN | Signal::TTOU => text!(
                    "{end}; it was suspended by {signal}, because it tried to use the terminal in \
                     which this app was started",
                    end = end,
                    signal = by
                ),
                _ => text!(
                    "{end}; it was suspended by {signal}",
                    end = end,
                    signal = by
                ),
            };
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Signal;
    use crate::spawn::Step;

    fn exit(status: ExitStatus) -> Option<Result<Exit, WaitError>> {
        Some(Ok(Exit::of(status)))
    }

    fn code(code: i32) -> Facts {
        Facts {
            end: exit(ExitStatus::Code(code)),
            success: code == 0,
            ..Facts::default()
        }
    }

    fn signal(signal: Signal) -> Facts {
        Facts {
            end: exit(ExitStatus::Signal {
                signal,
                core_dumped: false,
            }),
            ..Facts::default()
        }
    }

    fn stopped(reason: StopReason, facts: Facts) -> Facts {
        Facts {
            stop: Some(reason),
            ..facts
        }
    }

    fn suspended(by: Signal, facts: Facts) -> Facts {
        Facts {
            stopped_by: Some(by),
            ..facts
        }
    }

    fn refused(facts: Facts) -> Facts {
        Facts {
            unstoppable: Some(io::Error::from_raw_os_error(libc::EPERM)),
            ..facts
        }
    }

    fn not_started() -> Option<SpawnError> {
        Some(SpawnError::refused(
            Step::Helper,
            text!("the helper gave up"),
        ))
    }

    fn no_watches() -> Option<io::Error> {
        Some(io::Error::from_raw_os_error(libc::ENOSPC))
    }

    fn gone(facts: Facts) -> Facts {
        Facts {
            context_gone: true,
            ..facts
        }
    }

    fn unwaited(facts: Facts) -> Facts {
        Facts {
            wait_cancelled: true,
            ..facts
        }
    }

    const DEADLINE: StopReason = StopReason::Deadline(Duration::from_secs(2));
    const STALLED: StopReason = StopReason::Stalled(Duration::from_millis(300));
    const TERMINAL: &str = "suspended by SIGTTIN, because it tried to use the terminal in which this app was started, \
                            and therefore ended. Let it keep its own session, which is the default, or give it a \
                            terminal with terminal() or inherit_terminal()";
    const CONTEXT_GONE: &str = "stopped, because its main context is gone";

    /// Its name, the facts, and the kind and sentence of the error, if it is one.
    type Row = (&'static str, Facts, Option<(ErrorKind, &'static str)>);

    /// Every kind of end: the facts, and the outcome that they make.
    #[test]
    fn each_end_has_its_outcome() {
        use ErrorKind::{Cancelled, Exit, NotStopped, Signal as Killed, Start, Timeout};
        use StopReason::Cancelled as Asked;
        let lost = || Facts {
            end: Some(Err(WaitError::reaped_by_another())),
            ..Facts::default()
        };
        let spoke = |words: &str, facts| Facts {
            last_words: Some(words.to_owned()),
            ..facts
        };
        let failed_start = |facts| Facts {
            not_started: not_started(),
            ..facts
        };
        let unwatched = || Facts {
            unwatched: no_watches(),
            ..Facts::default()
        };
        #[rustfmt::skip]
        let rows: [Row; 32] = [
            ("success", code(0), None),
            ("success by its rule", Facts { success: true, ..code(3) }, None),
            ("success by a signal", Facts { success: true, ..signal(Signal::PIPE) }, None),
            ("success after the wait was cancelled", unwaited(code(0)), None),
            ("exit code", code(3), Some((Exit, "exited with code 3"))),
            ("exit code 0 is no success by its rule", Facts { success: false, ..code(0) }, Some((Exit, "exited with code 0"))),
            ("exit code and last words", spoke("disk full", code(3)), Some((Exit, "exited with code 3: disk full"))),
            ("signal", signal(Signal::SEGV), Some((Killed, "killed by SIGSEGV"))),
            ("signal and last words", spoke("oh", signal(Signal::TERM)), Some((Killed, "killed by SIGTERM: oh"))),
            ("failure after the wait was cancelled", unwaited(code(3)), Some((Exit, "exited with code 3"))),
            ("reaped by other code", lost(), Some((Exit, "ended, but how it ended is unknown"))),
            ("nothing known", Facts::default(), Some((Exit, "ended, but how it ended is unknown"))),
            ("cancelled, killed", stopped(Asked, signal(Signal::KILL)), Some((Cancelled, "stopped on request"))),
            ("cancelled, ended well", stopped(Asked, code(0)), Some((Cancelled, "stopped on request"))),
            ("cancelled, last words", spoke("bye", stopped(Asked, code(1))), Some((Cancelled, "stopped on request"))),
            ("cancelled, reaped by other code", stopped(Asked, lost()), Some((Cancelled, "stopped on request"))),
            ("cancelled while the helper failed", failed_start(stopped(Asked, code(1))), Some((Cancelled, "stopped on request"))),
            ("deadline", stopped(DEADLINE, signal(Signal::TERM)), Some((Timeout, "not finished within its deadline of 2s"))),
            ("deadline, ended well", stopped(DEADLINE, code(0)), Some((Timeout, "not finished within its deadline of 2s"))),
            ("stalled", stopped(STALLED, signal(Signal::TERM)), Some((Timeout, "stopped because it wrote nothing for 300ms"))),
            ("cancelled while suspended", suspended(Signal::TTOU, stopped(Asked, signal(Signal::TERM))), Some((Cancelled, "stopped on request; it was suspended by SIGTTOU, because it tried to use the terminal in which this app was started"))),
            ("deadline while suspended", suspended(Signal::STOP, stopped(DEADLINE, code(0))), Some((Timeout, "not finished within its deadline of 2s; it was suspended by SIGSTOP"))),
            ("suspended by the terminal", suspended(Signal::TTIN, stopped(StopReason::Terminal(Signal::TTIN), signal(Signal::TERM))), Some((Killed, TERMINAL))),
            ("cannot be stopped", refused(stopped(Asked, Facts::default())), Some((NotStopped, "it could not be stopped, and runs on: Operation not permitted (os error 1). Most likely that process belongs to another user by now, as with sudo or pkexec"))),
            ("left something that cannot be stopped", refused(stopped(DEADLINE, code(0))), Some((NotStopped, "it ended, but a process that it had started could not be stopped, and runs on: Operation not permitted (os error 1). Most likely that process belongs to another user by now, as with sudo or pkexec"))),
            ("wait cancelled", unwaited(Facts::default()), Some((Cancelled, "the wait for it was cancelled; the program runs on"))),
            ("not executed", failed_start(code(1)), Some((Start, "the helper gave up"))),
            ("not executed, success by its rule", failed_start(code(0)), Some((Start, "the helper gave up"))),
            ("not executed, killed", failed_start(signal(Signal::KILL)), Some((Start, "the helper gave up"))),
            ("not watched", unwatched(), Some((Start, "killed, because its end could not be watched: No space left on device (os error 28)"))),
            ("context gone", gone(Facts::default()), Some((Cancelled, CONTEXT_GONE))),
            ("context gone after a deadline", gone(stopped(DEADLINE, code(0))), Some((Cancelled, CONTEXT_GONE))),
        ];
        for (name, facts, expected) in rows {
            match (facts.outcome("program"), expected) {
                (Ok(_), None) => (),
                (Err(error), Some((kind, text))) => {
                    assert_eq!(error.kind(), kind, "{name}: {error}");
                    assert_eq!(error.to_string(), format!("program: {text}"), "{name}");
                }
                (outcome, _) => panic!("{name}: {outcome:?}"),
            }
        }
    }

    #[test]
    fn an_error_carries_what_is_known() {
        let error = Facts {
            progress: (3, 9),
            ..code(4)
        };
        let error = error.outcome("program").unwrap_err();
        assert!(error.has_run() && error.usage().is_some());
        assert_eq!((error.exit_code(), error.progress()), (Some(4), (3, 9)));

        let error = stopped(StopReason::Cancelled, signal(Signal::KILL)).outcome("program");
        assert_eq!(error.unwrap_err().signal(), Some(Signal::KILL));

        let error = Facts {
            not_started: not_started(),
            ..code(1)
        };
        let error = error.outcome("program").unwrap_err();
        assert_eq!((error.has_run(), error.step()), (false, Some(Step::Helper)));

        let error = Facts {
            unwatched: no_watches(),
            ..Facts::default()
        };
        let error = error.outcome("program").unwrap_err();
        assert!(error.has_run() && std::error::Error::source(&error).is_some());

        // A program that nobody waits for any more runs.
        assert!(
            unwaited(Facts::default())
                .outcome("program")
                .unwrap_err()
                .has_run()
        );
    }

    #[test]
    fn an_error_says_that_the_memory_of_its_scope_was_used_up() {
        for facts in [code(137), signal(Signal::KILL)] {
            let facts = Facts {
                out_of_memory: true,
                ..facts
            };
            let mut error = facts.outcome("program").unwrap_err();
            assert!(error.inner_mut().out_of_memory);
            let words = "as the memory limit of its scope was reached";
            assert!(error.to_string().ends_with(words), "{error}");
        }
    }

    #[test]
    fn an_error_has_the_end_of_standard_error_or_else_of_standard_output() {
        for (stdout, stderr, tail) in [("", "", ""), ("out", "", "out"), ("out", "err", "err")] {
            let captured = |tail: &str| Captured {
                tail: tail.to_owned(),
                ..Captured::default()
            };
            let facts = Facts {
                stdout: captured(stdout),
                stderr: captured(stderr),
                ..code(1)
            };
            assert_eq!(facts.outcome("program").unwrap_err().output_tail(), tail);
        }
    }

    #[test]
    fn an_output_has_what_was_collected_and_says_what_is_missing() {
        for truncated in [[false, false], [true, false], [false, true]] {
            for incomplete in [false, true] {
                let captured = |text: &str, truncated| Captured {
                    bytes: text.into(),
                    truncated,
                    ..Captured::default()
                };
                let facts = Facts {
                    stdout: captured("out", truncated[0]),
                    stderr: captured("err", truncated[1]),
                    incomplete,
                    ..code(0)
                };
                let output = facts.outcome("program").unwrap();
                assert_eq!(output.stdout_utf8(), Ok("out"));
                assert_eq!(output.stderr_utf8(), Ok("err"));
                assert_eq!(output.truncated, truncated.contains(&true));
                assert_eq!(
                    (output.incomplete, output.status.code()),
                    (incomplete, Some(0))
                );
            }
        }
    }

    #[test]
    fn an_exit_is_judged_only_where_nothing_else_decides() {
        assert_eq!(code(3).deciding_exit(), Some(ExitStatus::Code(3)));
        assert_eq!(unwaited(code(3)).deciding_exit(), Some(ExitStatus::Code(3)));
        for facts in [
            Facts::default(),
            gone(code(0)),
            stopped(STALLED, code(0)),
            Facts {
                not_started: not_started(),
                ..code(0)
            },
        ] {
            assert_eq!(facts.deciding_exit(), None, "{facts:?}");
        }
    }
}
