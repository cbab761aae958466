//! How the window speaks: sentences for people, with what to do next; the technical part stands apart.
//!
//! Everything that a job's end is called is called so here, once, so that a row, a notification and a
//! page say the same.

use std::{borrow::Cow, time::Duration};

use gtk::glib;
use legwork::ErrorKind;
use legwork_demo::jobs::{Tally, grouped};

use super::work::Work;

/// How a job stands, as an icon and a colour beside the words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "LegworkDemoLook")]
pub(crate) enum Look {
    #[default]
    Running,
    Done,
    Partly,
    Stopped,
    Failed,
}

impl Look {
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

/// A job's end in words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) look: Look,
    pub(crate) sentence: String,
    /// What to do next; empty if there is nothing to do.
    pub(crate) advice: Cow<'static, str>,
}

/// What of a failure decides the words.
#[derive(Clone, Debug)]
pub(crate) struct Failure<'a> {
    pub(crate) kind: ErrorKind,
    /// The signal's name, `SIGSEGV`.
    pub(crate) signal: Option<&'a str>,
    /// The last lines that it printed.
    pub(crate) printed: &'a str,
    /// What the library says.
    pub(crate) said: &'a str,
}

/// The words for a job that gave its result.
pub(crate) fn done(work: &Work, tally: Option<Tally>, took: Duration) -> Told {
    let Some(tally) = tally else {
        return Told {
            look: Look::Done,
            sentence: "Behaved well after all".into(),
            advice: "".into(),
        };
    };
    let fine = tally.entries.saturating_sub(tally.failed);
    let took = duration(took);
    let (look, sentence, advice) = match (work, tally.entries, tally.failed) {
        (Work::Thumbnails(_), 0, _) => (
            Look::Done,
            "There are no pictures in this folder".into(),
            "",
        ),
        (_, 0, _) => (Look::Done, "There are no files in this folder".into(), ""),
        (Work::Checksum(_), _, 0) => {
            let size = glib::format_size(tally.bytes);
            (
                Look::Done,
                format!("{}, {size} in {took}", count(fine, work)),
                "",
            )
        }
        (_, _, 0) => (Look::Done, format!("{} in {took}", count(fine, work)), ""),
        (_, _, failed) => (
            Look::Partly,
            format!(
                "{}, {} could not be read",
                count(fine, work),
                grouped(failed)
            ),
            "The result says why for each.",
        ),
    };
    Told {
        look,
        sentence,
        advice: advice.into(),
    }
}

/// The words for a job that ended in any other way, after it had sent `kept` results.
pub(crate) fn failed(work: &Work, kept: u64, failure: &Failure<'_>) -> Told {
    let signal = failure.signal.unwrap_or_default();
    let hungry = failure.printed.contains("memory allocation of");
    let (what, advice) = match failure.kind {
        ErrorKind::Cancelled => ("Stopped".to_owned(), ""),
        ErrorKind::Failed => (failure.said.to_owned(), "Check the folder, then try again."),
        ErrorKind::Panic => ("Found a fault in itself and stopped".into(), REPORT),
        ErrorKind::Signal if hungry => (
            "Asked for more memory than it may have".into(),
            "Close other apps or take a smaller folder, then try again.",
        ),
        ErrorKind::Signal => match signal {
            "SIGSEGV" | "SIGBUS" => (
                "Touched memory that is not its own; the system ended it".into(),
                REPORT,
            ),
            "SIGABRT" => ("Gave up and ended itself at once".into(), REPORT),
            "SIGKILL" => (
                "Was ended from outside".into(),
                "Perhaps the computer ran out of memory. Try again.",
            ),
            _ => ("Was ended from outside".into(), "Try again."),
        },
        ErrorKind::Exit => ("Left without giving a result".into(), REPORT),
        ErrorKind::Timeout => {
            let time = work.deadline().map_or("its time".into(), duration);
            (
                format!("Did not finish; it was ended after {time}"),
                "Try again.",
            )
        }
        ErrorKind::Start => (
            "Could not be started".into(),
            "The details say why. Perhaps the app is not installed completely.",
        ),
        _ => ("Answered with something that makes no sense".into(), REPORT),
    };
    let sentence = match kept {
        0 => what,
        1 => format!("{what}. {} was kept", count(1, work)),
        _ => format!("{what}. {} were kept", count(kept, work)),
    };
    let look = if failure.kind == ErrorKind::Cancelled {
        Look::Stopped
    } else {
        Look::Failed
    };
    Told {
        look,
        sentence,
        advice: advice.into(),
    }
}

const REPORT: &str = "Only this job is affected. Try again; if it happens again, send the details to the app’s authors.";

fn count(n: u64, work: &Work) -> String {
    let (one, many) = work.results();
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

/// A time as people say it.
pub(crate) fn duration(time: Duration) -> String {
    let plural = |n: u64, unit: &str| format!("{n} {unit}{}", if n == 1 { "" } else { "s" });
    match time.as_secs_f64().round() as u64 {
        0 if time < Duration::from_millis(500) => "less than a second".into(),
        seconds @ 0..60 => plural(seconds.max(1), "second"),
        seconds @ 60..3600 => plural((seconds + 30) / 60, "minute"),
        seconds => plural((seconds + 1800) / 3600, "hour"),
    }
}

/// How much of a recording is done: `0:34 of 2:10`.
pub(crate) fn played(done: u64, total: u64) -> String {
    let clock = |milliseconds: u64| {
        let seconds = milliseconds / 1000;
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        match hours {
            0 => format!("{minutes}:{seconds:02}"),
            _ => format!("{hours}:{minutes:02}:{seconds:02}"),
        }
    };
    format!("{} of {}", clock(done), clock(total))
}

/// The line under a running job: `1,204 of 5,310 files · 312 MB/s · About 12 seconds`.
pub(crate) fn progress(
    work: &Work,
    text: &str,
    rate: Option<f64>,
    remaining: Option<Duration>,
) -> String {
    let mut line = if text.is_empty() {
        "Starting…".to_owned()
    } else {
        text.to_owned()
    };
    if let (Work::Checksum(_), Some(rate)) = (work, rate) {
        line = format!("{line} · {}/s", glib::format_size(rate as u64));
    }
    if let (false, Some(time)) = (matches!(work, Work::Misbehave(_)), remaining) {
        line = format!("{line} · About {}", duration(time));
    }
    line
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use legwork_demo::jobs::Misdeed;

    use super::*;
    use crate::app::work::{HANG_DEADLINE, misdeed_story};

    fn failure(kind: ErrorKind, signal: Option<&'static str>) -> Failure<'static> {
        Failure {
            kind,
            signal,
            printed: "",
            said: "",
        }
    }

    #[test]
    fn a_result_is_told_with_what_it_left_out() {
        let work = Work::thumbnails(Path::new("Holiday"));
        let tally = Tally {
            entries: 320,
            failed: 2,
            ..Tally::default()
        };
        let told = done(&work, Some(tally), Duration::from_secs(3));
        assert_eq!(told.sentence, "318 pictures, 2 could not be read");
        assert_eq!(told.look, Look::Partly);
    }

    #[test]
    fn an_empty_folder_is_no_failure() {
        let work = Work::checksum(Path::new("Empty"));
        let told = done(&work, Some(Tally::default()), Duration::ZERO);
        assert_eq!(told.sentence, "There are no files in this folder");
        assert_eq!(told.look, Look::Done);
    }

    #[test]
    fn what_was_finished_before_a_crash_is_told() {
        let work = Work::checksum(Path::new("Disk"));
        let told = failed(&work, 211, &failure(ErrorKind::Signal, Some("SIGSEGV")));
        assert_eq!(
            told.sentence,
            "Touched memory that is not its own; the system ended it. 211 sums were kept"
        );
    }

    #[test]
    fn being_stopped_is_no_failure() {
        let work = Work::checksum(Path::new("Disk"));
        let told = failed(&work, 1, &failure(ErrorKind::Cancelled, None));
        assert_eq!(
            (told.look, &*told.sentence),
            (Look::Stopped, "Stopped. 1 sum was kept")
        );
    }

    /// The words before and after differ in their tense alone.
    #[test]
    fn a_misdeed_is_told_in_the_words_that_announced_it() {
        let hungry = Failure {
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
            (Misdeed::MemoryHunger, hungry),
        ];
        let tenses = [
            ("Finds", "Found"),
            ("stops", "stopped"),
            ("Gives", "Gave"),
            ("ends", "ended"),
            ("Touches", "Touched"),
            ("Leaves", "Left"),
            ("Never finishes", "Did not finish"),
            ("is ended", "was ended"),
            ("Asks", "Asked"),
        ];
        for (misdeed, failure) in ends {
            let story = misdeed_story(misdeed);
            let past = tenses.iter().fold(story.to_owned(), |story, (now, then)| {
                story.replace(now, then)
            });
            assert_eq!(
                failed(&Work::misbehave(misdeed), 0, &failure).sentence,
                past
            );
        }
    }

    #[test]
    fn the_stated_deadline_is_the_true_one() {
        assert!(misdeed_story(Misdeed::Hang).contains(&duration(HANG_DEADLINE)));
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        let said = [0.1, 0.9, 1.4, 59.0, 61.0, 100.0, 7200.0]
            .map(Duration::from_secs_f64)
            .map(duration);
        assert_eq!(
            said,
            [
                "less than a second",
                "1 second",
                "1 second",
                "59 seconds",
                "1 minute",
                "2 minutes",
                "2 hours"
            ]
        );
    }

    #[test]
    fn a_recording_is_told_by_the_clock() {
        assert_eq!(played(34_999, 130_000), "0:34 of 2:10");
        assert_eq!(played(0, 36_061_000), "0:00 of 10:01:01");
    }

    #[test]
    fn a_running_job_says_how_far_and_how_fast() {
        let work = Work::checksum(Path::new("Pictures"));
        let line = progress(
            &work,
            "1 of 2 files",
            Some(312e6),
            Some(Duration::from_secs(12)),
        );
        assert_eq!(
            line.replace('\u{a0}', " "),
            "1 of 2 files · 312.0 MB/s · About 12 seconds"
        );
        assert_eq!(progress(&work, "", None, None), "Starting…");
    }
}
