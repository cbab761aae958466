//! How the window speaks of programs: what happened, in the program's own last words where it had some.

use std::{path::Path, time::Duration};

use gtk::glib;
use legwork::{Error, ErrorKind, spawn::Step};

use super::{
    words::{Look, Told, duration},
    work,
};

/// What of a program's end decides the words.
#[derive(Clone, Debug)]
pub(crate) struct End<'a> {
    pub(crate) kind: ErrorKind,
    pub(crate) code: Option<i32>,
    /// The signal's name, `SIGSEGV`.
    pub(crate) signal: Option<String>,
    /// What failed of a start, and the system's number for it.
    pub(crate) start: (Option<Step>, Option<i32>),
    /// The last line that it wrote.
    pub(crate) last: &'a str,
}

impl<'a> End<'a> {
    pub(crate) fn new(error: &Error, last: &'a str) -> Self {
        Self {
            kind: error.kind(),
            code: error.exit_code(),
            signal: error.signal().map(|signal| signal.name().into_owned()),
            start: (error.step(), error.errno()),
            last,
        }
    }
}

/// See errno(3); `std::io` has no names for them by number.
const NO_ENTRY: i32 = 2;
const NO_ACCESS: i32 = 13;

/// The words for a program that ended well.
pub(crate) fn finished(took: Duration) -> Told {
    told(Look::Done, format!("Finished in {}", duration(took)), "")
}

/// The words for a program of this name that ended in any other way.
pub(crate) fn failed(name: &str, end: &End<'_>) -> Told {
    let (sentence, advice) = match (end.kind, end.start) {
        (ErrorKind::Cancelled, _) => return told(Look::Stopped, "Stopped".into(), ""),
        (ErrorKind::Start, (Some(Step::Program), Some(NO_ENTRY))) => (
            format!("There is no program “{name}”"),
            "Check the spelling, or install it. Then try again.",
        ),
        (ErrorKind::Start, (Some(Step::Program), Some(NO_ACCESS))) => (
            format!("“{name}” is not allowed to run"),
            "Perhaps it is a folder, or its file is not marked as a program.",
        ),
        (ErrorKind::Start, (Some(Step::WorkingDirectory), _)) => (
            "The folder could not be entered".into(),
            "Choose another folder.",
        ),
        (ErrorKind::Start, _) => ("Could not be started".into(), "The details say why."),
        (ErrorKind::Signal, _) => match end.signal.as_deref() {
            Some("SIGSEGV" | "SIGBUS") => (
                "Touched memory that is not its own; the system ended it".into(),
                FAULT,
            ),
            Some("SIGABRT" | "SIGILL" | "SIGFPE" | "SIGTRAP") => {
                ("Found a fault in itself and stopped".into(), FAULT)
            }
            Some("SIGKILL") => (
                "Was ended from outside".into(),
                "Perhaps the computer ran out of memory. Try again.",
            ),
            _ => ("Was ended from outside".into(), "Try again."),
        },
        _ => {
            let code = end.code.unwrap_or_default();
            let how = format!("Failed with exit code {code}");
            let sentence = match end.last {
                "" => how,
                last => format!("{how}: {last}"),
            };
            (
                sentence,
                "Its output may say more. Change the command, or try again.",
            )
        }
    };
    told(Look::Failed, sentence, advice)
}

const FAULT: &str =
    "The fault is the program’s. Try again; if it happens again, tell the program’s authors.";

/// The words for a file that was made.
pub(crate) fn converted(output: &Path, size: u64, took: Duration) -> Told {
    let (name, size) = (work::name(output), glib::format_size(size));
    let sentence = format!("{name}, {size} in {}", duration(took));
    told(Look::Done, sentence, "")
}

/// The words for a conversion that was stopped; what was done by then was kept, or not.
pub(crate) fn conversion_stopped(kept: Option<Duration>) -> Told {
    let sentence = match kept {
        Some(part) => format!("Stopped. The first {} can be played", duration(part)),
        None => "Stopped".into(),
    };
    told(Look::Stopped, sentence, "")
}

/// The words for a conversion of `input` that failed.
pub(crate) fn not_converted(input: &Path, end: &End<'_>) -> Told {
    match end.kind {
        ErrorKind::Start => Told {
            sentence: "ffmpeg is not installed, or could not be started".into(),
            ..failed("ffmpeg", end)
        },
        ErrorKind::Exit if !end.last.is_empty() => {
            // ffmpeg's words, with the file's name for its address.
            let url = format!("file:{}", input.display());
            let said = end.last.replace(&url, &work::name(input));
            told(
                Look::Failed,
                format!("Could not be converted. {said}"),
                "Check that the file can be played, or choose another format.",
            )
        }
        _ => failed("ffmpeg", end),
    }
}

/// The words for a file that has no place to be written to.
pub(crate) fn not_written(why: &std::io::Error) -> Told {
    told(
        Look::Failed,
        format!("The new file could not be written: {why}"),
        "Make room, or copy the file to a folder of your own. Then try again.",
    )
}

fn told(look: Look, sentence: String, advice: &'static str) -> Told {
    Told {
        look,
        sentence,
        advice: advice.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: End<'static> = End {
        kind: ErrorKind::Exit,
        code: None,
        signal: None,
        start: (None, None),
        last: "",
    };

    #[test]
    fn a_program_that_fails_says_so_in_its_own_last_words() {
        let end = End {
            code: Some(2),
            last: "ls: cannot access 'x'",
            ..END
        };
        let told = failed("ls", &end);
        assert_eq!(
            told.sentence,
            "Failed with exit code 2: ls: cannot access 'x'"
        );
        assert_eq!(told.look, Look::Failed);
        let silent = failed(
            "false",
            &End {
                code: Some(1),
                ..END
            },
        );
        assert_eq!(silent.sentence, "Failed with exit code 1");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let end = End {
            kind: ErrorKind::Start,
            start: (Some(Step::Program), Some(NO_ENTRY)),
            ..END
        };
        assert_eq!(failed("frob", &end).sentence, "There is no program “frob”");
    }

    #[test]
    fn signals_have_no_numbers_and_no_names() {
        for signal in ["SIGSEGV", "SIGABRT", "SIGKILL", "SIGHUP"] {
            let end = End {
                kind: ErrorKind::Signal,
                signal: Some(signal.into()),
                ..END
            };
            let told = failed("x", &end);
            assert!(!told.sentence.contains("SIG") && !told.advice.is_empty());
        }
    }

    #[test]
    fn a_conversion_that_fails_names_the_file_and_not_its_address() {
        let end = End {
            last: "file:/home/ada/notes.txt: Invalid data found when processing input",
            ..END
        };
        let told = not_converted(Path::new("/home/ada/notes.txt"), &end);
        assert_eq!(
            told.sentence,
            "Could not be converted. notes.txt: Invalid data found when processing input"
        );
    }

    #[test]
    fn being_stopped_is_no_failure() {
        let stopped = conversion_stopped(Some(Duration::from_secs(34)));
        assert_eq!(
            stopped.sentence,
            "Stopped. The first 34 seconds can be played"
        );
        let end = End {
            kind: ErrorKind::Cancelled,
            ..END
        };
        assert_eq!(failed("x", &end).look, Look::Stopped);
    }
}
