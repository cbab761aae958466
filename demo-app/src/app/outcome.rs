//! The outcome of a job in words: a sentence for people and what to do next. The technical details are apart.
//!
//! A row, a notification and a page show the same sentence, which is made here.

use std::{borrow::Cow, time::Duration};

use gtk::glib;
use legwork::{Error, ErrorKind, spawn::Step};
use legwork_demo::jobs::{Summary, grouped};

use super::{format::duration, work::Work};

/// The state of a job, shown by an icon and a colour beside the words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "LegworkDemoState")]
pub(crate) enum State {
    #[default]
    Running,
    Done,
    Partly,
    Stopped,
    Failed,
}

impl State {
    /// The icon; `None` for that of the kind of work.
    pub(crate) fn icon(self) -> Option<&'static str> {
        match self {
            Self::Running => None,
            Self::Done => Some("object-select-symbolic"),
            Self::Partly => Some("dialog-warning-symbolic"),
            Self::Stopped => Some("media-playback-stop-symbolic"),
            Self::Failed => Some("dialog-error-symbolic"),
        }
    }

    /// The style class that colours the icon.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Running => "accent",
            Self::Done => "success",
            Self::Partly => "warning",
            Self::Stopped => "dim-label",
            Self::Failed => "error",
        }
    }
}

/// How a job ended, in words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) state: State,
    pub(crate) sentence: String,
    /// What to do next; empty if there is nothing to do.
    pub(crate) advice: Cow<'static, str>,
}

impl Outcome {
    pub(super) fn new(state: State, sentence: impl Into<String>, advice: &'static str) -> Self {
        Self {
            state,
            sentence: sentence.into(),
            advice: advice.into(),
        }
    }
}

/// What the words for a failure depend on.
#[derive(Clone, Debug)]
pub(crate) struct Failure<'a> {
    pub(crate) kind: ErrorKind,
    pub(crate) exit_code: Option<i32>,
    /// The signal's name, `SIGSEGV`.
    pub(crate) signal: Option<String>,
    /// The step of a start that failed, and its errno.
    pub(crate) step: Option<Step>,
    pub(crate) errno: Option<i32>,
    /// What was printed last.
    pub(crate) printed: &'a str,
    /// What the library says.
    pub(crate) message: String,
}

impl<'a> From<&'a Error> for Failure<'a> {
    fn from(error: &'a Error) -> Self {
        Self {
            kind: error.kind(),
            exit_code: error.exit_code(),
            signal: error.signal().map(|signal| signal.name().into_owned()),
            step: error.step(),
            errno: error.errno(),
            printed: error.output_tail(),
            message: error.message(),
        }
    }
}

#[cfg(test)]
impl Failure<'static> {
    pub(super) fn of_kind(kind: ErrorKind) -> Self {
        Self {
            kind,
            exit_code: None,
            signal: None,
            step: None,
            errno: None,
            printed: "",
            message: String::new(),
        }
    }
}

/// The outcome of a job that gave its result.
pub(crate) fn completed(work: &Work, summary: Option<Summary>, elapsed: Duration) -> Outcome {
    let Some(summary) = summary else {
        return Outcome::new(State::Done, "Finished without misbehaving", "");
    };
    let complete = results(summary.entries.saturating_sub(summary.failed), work);
    let elapsed = duration(elapsed);
    match (work, summary.entries, summary.failed) {
        (Work::Thumbnails(_), 0, _) => {
            Outcome::new(State::Done, "There are no pictures in this folder", "")
        }
        (_, 0, _) => Outcome::new(State::Done, "There are no files in this folder", ""),
        (Work::Checksum(_), _, 0) => {
            let size = glib::format_size(summary.bytes);
            Outcome::new(State::Done, format!("{complete}, {size} in {elapsed}"), "")
        }
        (_, _, 0) => Outcome::new(State::Done, format!("{complete} in {elapsed}"), ""),
        (_, _, failed) => {
            let sentence = format!("{complete}, {} could not be read", grouped(failed));
            Outcome::new(
                State::Partly,
                sentence,
                "The result gives the reason for each.",
            )
        }
    }
}

/// The outcome of a job that failed or was stopped after it had sent `kept` results.
pub(crate) fn failed(work: &Work, kept: u64, failure: &Failure<'_>) -> Outcome {
    let out_of_memory = failure.printed.contains("memory allocation of");
    let (sentence, advice): (Cow<'_, str>, _) = match failure.kind {
        ErrorKind::Cancelled => ("Stopped".into(), ""),
        ErrorKind::Failed => (
            (&*failure.message).into(),
            "Check the folder, then try again.",
        ),
        ErrorKind::Panic => (INTERNAL_ERROR.into(), REPORT),
        ErrorKind::Signal if out_of_memory => (
            "Asked for more memory than it is allowed".into(),
            "Close other apps or choose a smaller folder, then try again.",
        ),
        ErrorKind::Signal => match failure.signal.as_deref() {
            Some("SIGSEGV" | "SIGBUS") => (MEMORY_FAULT.into(), REPORT),
            Some("SIGABRT") => ("Aborted itself at once".into(), REPORT),
            signal => (KILLED.into(), killed_advice(signal)),
        },
        ErrorKind::Exit => ("Ended without giving a result".into(), REPORT),
        ErrorKind::Timeout => {
            let limit = work.deadline().map_or("its time limit".into(), duration);
            (
                format!("Did not finish; it was ended after {limit}").into(),
                "Try again.",
            )
        }
        ErrorKind::Start => (
            "Could not be started".into(),
            "The details give the reason. The app may not be installed completely.",
        ),
        _ => ("Sent an answer that could not be understood".into(), REPORT),
    };
    let sentence = match kept {
        0 => sentence.into_owned(),
        1 => format!("{sentence}. {} was kept", results(1, work)),
        _ => format!("{sentence}. {} were kept", results(kept, work)),
    };
    let state = match failure.kind {
        ErrorKind::Cancelled => State::Stopped,
        _ => State::Failed,
    };
    Outcome::new(state, sentence, advice)
}

pub(super) const INTERNAL_ERROR: &str = "Detected an internal error and stopped";
pub(super) const MEMORY_FAULT: &str = "Accessed memory that is not its own; the system ended it";
pub(super) const KILLED: &str = "Was ended by another program or the system";

/// What to do after an end by a signal that says nothing about the cause.
pub(super) fn killed_advice(signal: Option<&str>) -> &'static str {
    match signal {
        Some("SIGKILL") => "The computer may have run out of memory. Try again.",
        _ => "Try again.",
    }
}

const REPORT: &str = "Only this job is affected. Try again; if it happens again, send the details to the app’s authors.";

/// A number of results: `211 sums`.
fn results(n: u64, work: &Work) -> String {
    let (one, many) = work.kind().results;
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use legwork_demo::jobs::Misdeed;

    use super::*;
    use crate::app::work::{HANG_DEADLINE, misdeed_story};

    fn failure(kind: ErrorKind, signal: Option<&str>) -> Failure<'static> {
        Failure {
            signal: signal.map(str::to_owned),
            ..Failure::of_kind(kind)
        }
    }

    #[test]
    fn a_result_is_shown_with_what_it_lacks() {
        let work = Work::thumbnails(Path::new("Holiday"));
        let summary = Summary {
            entries: 320,
            failed: 2,
            ..Summary::default()
        };
        let outcome = completed(&work, Some(summary), Duration::from_secs(3));
        assert_eq!(outcome.sentence, "318 pictures, 2 could not be read");
        assert_eq!(outcome.state, State::Partly);
    }

    #[test]
    fn an_empty_folder_is_not_a_failure() {
        let work = Work::checksum(Path::new("Empty"));
        let outcome = completed(&work, Some(Summary::default()), Duration::ZERO);
        assert_eq!(outcome.sentence, "There are no files in this folder");
        assert_eq!(outcome.state, State::Done);
    }

    #[test]
    fn a_crash_is_shown_with_the_number_of_results_before_it() {
        let work = Work::checksum(Path::new("Disk"));
        let outcome = failed(&work, 211, &failure(ErrorKind::Signal, Some("SIGSEGV")));
        assert_eq!(
            outcome.sentence,
            format!("{MEMORY_FAULT}. 211 sums were kept")
        );
    }

    #[test]
    fn a_stopped_job_has_not_failed() {
        let work = Work::checksum(Path::new("Disk"));
        let outcome = failed(&work, 1, &failure(ErrorKind::Cancelled, None));
        assert_eq!(
            (outcome.state, &*outcome.sentence),
            (State::Stopped, "Stopped. 1 sum was kept")
        );
    }

    /// The dialog and the outcome differ in their tense alone.
    #[test]
    fn a_misdeed_has_the_same_words_before_and_after() {
        let out_of_memory = Failure {
            printed: "memory allocation of 16777216 bytes failed",
            ..failure(ErrorKind::Signal, Some("SIGABRT"))
        };
        let ends = [
            (Misdeed::Panic, failure(ErrorKind::Panic, None)),
            (Misdeed::Abort, failure(ErrorKind::Signal, Some("SIGABRT"))),
            (
                Misdeed::MemoryFault,
                failure(ErrorKind::Signal, Some("SIGSEGV")),
            ),
            (Misdeed::Exit, failure(ErrorKind::Exit, None)),
            (Misdeed::Hang, failure(ErrorKind::Timeout, None)),
            (Misdeed::OutOfMemory, out_of_memory),
        ];
        let tenses = [
            ("Detects", "Detected"),
            ("stops", "stopped"),
            ("Aborts", "Aborted"),
            ("Accesses", "Accessed"),
            ("system ends", "system ended"),
            ("Ends", "Ended"),
            ("Never finishes", "Did not finish"),
            ("it is ended", "it was ended"),
            ("Asks", "Asked"),
        ];
        for (misdeed, failure) in ends {
            let story = misdeed_story(misdeed).to_owned();
            let past = tenses
                .iter()
                .fold(story, |story, (present, past)| story.replace(present, past));
            let outcome = failed(&Work::misbehave(misdeed), 0, &failure);
            assert_eq!(outcome.sentence, past);
        }
    }

    #[test]
    fn the_stated_deadline_is_the_real_one() {
        assert!(misdeed_story(Misdeed::Hang).contains(&duration(HANG_DEADLINE)));
    }
}
