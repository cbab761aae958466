//! `legwork doctor`: what a process has that a careless child would inherit, and what that has done to others.
//!
//! It looks from outside and changes nothing: it reads `/proc`, asks the kernel for its lists of sockets, and duplicates
//! a descriptor for an instant where only that tells who is at the other end. What a descriptor is, is the library's to
//! say ([`legwork_inspect`]); the rest of a process is looked at here:
//!
//! | file | |
//! |---|---|
//! | `arguments` | what the command line asks for |
//! | `subject` | the process, or why there is none to look at |
//! | `program` | the program that is started to be looked at |
//! | `report` | all that was found, and whether it is worth an exit code |
//! | `variables`, `signals`, `children` | the parts of it that are not descriptors |
//! | `watch`, `verdict` | a main loop that spins |
//! | `table`, `json`, `words` | its faces |

mod arguments;
mod children;
mod json;
mod program;
mod report;
mod signals;
mod subject;
mod table;
mod variables;
mod verdict;
mod watch;
mod words;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

pub(crate) use arguments::Arguments;
use program::Started;
use report::Report;
use subject::Subject;

/// There is something that a child would inherit and should not.
const FOUND: u8 = 1;
/// The command line makes no sense.
const USAGE: u8 = 2;
/// What `legwork run` says, too, when it failed itself.
const OWN_FAILURE: u8 = 125;

/// Why there is no report.
struct Failure {
    code: u8,
    words: String,
}

impl Failure {
    fn new(code: u8, words: impl Into<String>) -> Self {
        let words = words.into();
        Self { code, words }
    }
}

impl From<String> for Failure {
    fn from(words: String) -> Self {
        Self::new(OWN_FAILURE, words)
    }
}

/// Looks, says what it saw, and how bad that is as an exit code.
pub(crate) fn main(arguments: Arguments) -> ExitCode {
    let code = match arguments.pid {
        Some(pid) => of_process(pid, &arguments),
        None => of_program(&arguments),
    };
    ExitCode::from(code.unwrap_or_else(|failure| {
        eprintln!("legwork: {}", failure.words);
        failure.code
    }))
}

fn of_process(pid: u32, arguments: &Arguments) -> Result<u8, Failure> {
    let subject = Subject::find(pid)?;
    look(&subject, arguments, &|time| subject.nap(time))
}

fn of_program(arguments: &Arguments) -> Result<u8, Failure> {
    let mut started = Started::start(&arguments.program)?;
    started.settle(arguments.after)?;
    let subject = Subject::find(started.pid())?;
    let code = look(&subject, arguments, &|time| started.nap(time));
    // Whatever was seen: the program is not to be left behind.
    started.see_out(arguments.end)?;
    code
}

fn look(
    subject: &Subject,
    arguments: &Arguments,
    nap: &dyn Fn(Duration) -> bool,
) -> Result<u8, Failure> {
    let report = Report::of(subject, arguments.watch, nap)?;
    if subject.has_ended() {
        let words = format!("{} ended while it was looked at", subject.title());
        return Err(words.into());
    }
    let found = report.found(arguments.fork);
    let text = if arguments.json {
        format!("{:#}\n", json::of(&report, found))
    } else {
        table::of(&report, &table::Paper::of_standard_output())
    };
    // A reader who has seen enough is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(if found {
        FOUND
    } else if !report.unreadable.is_empty() {
        OWN_FAILURE
    } else {
        0
    })
}
