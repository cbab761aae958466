//! The outcome of a program in words, with the last line that it wrote where there is one.

use std::{path::Path, time::Duration};

use gtk::glib;
use legwork::{ErrorKind, spawn::Step};

use super::{
    format::duration,
    outcome::{Failure, INTERNAL_ERROR, KILLED, MEMORY_FAULT, Outcome, State, killed_advice},
    work,
};

/// See errno(3); `std::io` has no names for them by number.
const ENOENT: i32 = 2;
const EACCES: i32 = 13;

/// The outcome of a program that succeeded.
pub(crate) fn finished(elapsed: Duration) -> Outcome {
    Outcome::new(
        State::Done,
        format!("Finished in {}", duration(elapsed)),
        "",
    )
}

/// The outcome of the program `name` that failed or was stopped.
pub(crate) fn failed(name: &str, failure: &Failure<'_>) -> Outcome {
    let (sentence, advice) = match (failure.kind, failure.step, failure.errno) {
        (ErrorKind::Cancelled, ..) => return Outcome::new(State::Stopped, "Stopped", ""),
        (ErrorKind::Start, Some(Step::Program), Some(ENOENT)) => (
            format!("There is no program “{name}”"),
            "Check the spelling, or install it. Then try again.",
        ),
        (ErrorKind::Start, Some(Step::Program), Some(EACCES)) => (
            format!("“{name}” is not allowed to run"),
            "It may be a folder, or its file may not be marked as a program.",
        ),
        (ErrorKind::Start, Some(Step::WorkingDirectory), _) => (
            "The folder could not be entered".into(),
            "Choose another folder.",
        ),
        (ErrorKind::Start, ..) => (
            "Could not be started".into(),
            "The details give the reason.",
        ),
        (ErrorKind::NotStopped, ..) => (
            "Could not be stopped, and runs on".into(),
            "It belongs to another user by now, who may end it.",
        ),
        (ErrorKind::Signal, ..) => match failure.signal.as_deref() {
            Some("SIGSEGV" | "SIGBUS") => (MEMORY_FAULT.into(), REPORT),
            Some("SIGABRT" | "SIGILL" | "SIGFPE" | "SIGTRAP") => (INTERNAL_ERROR.into(), REPORT),
            signal => (KILLED.into(), killed_advice(signal)),
        },
        _ => {
            let code = failure.exit_code.unwrap_or_default();
            let mut sentence = format!("Failed with exit code {code}");
            if !failure.printed.is_empty() {
                sentence = format!("{sentence}: {}", failure.printed);
            }
            (
                sentence,
                "Its output may say more. Change the command, or try again.",
            )
        }
    };
    Outcome::new(State::Failed, sentence, advice)
}

const REPORT: &str = "This is a fault of the program. Try again; if it happens again, report it to the program’s authors.";

/// The outcome of a conversion that succeeded.
pub(crate) fn converted(output: &Path, size: u64, elapsed: Duration) -> Outcome {
    let (name, size) = (work::name(output), glib::format_size(size));
    let sentence = format!("{name}, {size} in {}", duration(elapsed));
    Outcome::new(State::Done, sentence, "")
}

/// The outcome of a conversion that was stopped, and kept this much of the recording.
pub(crate) fn conversion_stopped(kept: Option<Duration>) -> Outcome {
    let sentence = match kept {
        Some(part) => format!("Stopped. The first {} can be played", duration(part)),
        None => "Stopped".into(),
    };
    Outcome::new(State::Stopped, sentence, "")
}

/// The outcome of a conversion of `input` that failed.
pub(crate) fn not_converted(input: &Path, failure: &Failure<'_>) -> Outcome {
    match failure.kind {
        ErrorKind::Start => Outcome {
            sentence: "ffmpeg is not installed, or could not be started".into(),
            ..failed("ffmpeg", failure)
        },
        ErrorKind::Exit if !failure.printed.is_empty() => {
            // ffmpeg's words, with the file's name instead of its address.
            let url = format!("file:{}", input.display());
            let printed = failure.printed.replace(&url, &work::name(input));
            Outcome::new(
                State::Failed,
                format!("Could not be converted. {printed}"),
                "Check that the file can be played, or choose another format.",
            )
        }
        _ => failed("ffmpeg", failure),
    }
}

/// The outcome of a conversion whose output could not be written.
pub(crate) fn not_written(error: &std::io::Error) -> Outcome {
    Outcome::new(
        State::Failed,
        format!("The new file could not be written: {error}"),
        "Free some space, or copy the file to a folder of your own. Then try again.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_shown_with_the_last_line_that_it_wrote() {
        let mut exit = Failure::of_kind(ErrorKind::Exit);
        exit.exit_code = Some(2);
        assert_eq!(failed("ls", &exit).sentence, "Failed with exit code 2");
        exit.printed = "ls: cannot access 'x'";
        let outcome = failed("ls", &exit);
        assert_eq!(
            outcome.sentence,
            "Failed with exit code 2: ls: cannot access 'x'"
        );
        assert_eq!(outcome.state, State::Failed);
    }

    #[test]
    fn a_program_that_is_not_installed_is_named() {
        let start = Failure {
            step: Some(Step::Program),
            errno: Some(ENOENT),
            ..Failure::of_kind(ErrorKind::Start)
        };
        assert_eq!(
            failed("frob", &start).sentence,
            "There is no program “frob”"
        );
    }

    #[test]
    fn a_signal_is_explained_and_not_named() {
        for signal in ["SIGSEGV", "SIGABRT", "SIGKILL", "SIGHUP"] {
            let killed = Failure {
                signal: Some(signal.into()),
                ..Failure::of_kind(ErrorKind::Signal)
            };
            let outcome = failed("x", &killed);
            assert!(!outcome.sentence.contains("SIG") && !outcome.advice.is_empty());
        }
    }

    #[test]
    fn a_conversion_that_fails_names_the_file_and_not_its_address() {
        let exit = Failure {
            printed: "file:/home/ada/notes.txt: Invalid data found when processing input",
            ..Failure::of_kind(ErrorKind::Exit)
        };
        assert_eq!(
            not_converted(Path::new("/home/ada/notes.txt"), &exit).sentence,
            "Could not be converted. notes.txt: Invalid data found when processing input"
        );
    }

    #[test]
    fn a_stopped_program_has_not_failed() {
        let stopped = conversion_stopped(Some(Duration::from_secs(34)));
        assert_eq!(
            stopped.sentence,
            "Stopped. The first 34 seconds can be played"
        );
        assert_eq!(
            failed("x", &Failure::of_kind(ErrorKind::Cancelled)).state,
            State::Stopped
        );
    }
}
