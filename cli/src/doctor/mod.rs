//! `legwork doctor`: shows what a careless child of a process would inherit, and what that has done to other programs.
//!
//! It examines the process from outside and changes nothing: it reads `/proc` and the kernel's lists of sockets, and
//! duplicates a descriptor for a moment if its peer cannot be found otherwise. [`legwork_inspect`] examines the
//! descriptors; everything else is examined here.
//!
//! | file | |
//! |---|---|
//! | `arguments` | the command line |
//! | `proc`, `subject` | the process, or why it cannot be examined |
//! | `started` | a program that was started for this |
//! | `report` | everything that is known about the process, as data |
//! | `descriptors`, `variables`, `signals`, `children`, `watch` with `polled` | its parts |
//! | `finding` | what is worth a sentence, and what is a fault; determines the exit code |
//! | `sentence`, `answer` | the findings in English, one by one and in short |
//! | `table`, `json` | the two formats of the report |
//! | `explain` | the scenes |

mod answer;
mod arguments;
mod children;
mod descriptors;
mod explain;
mod finding;
mod json;
mod polled;
mod proc;
mod report;
mod sentence;
mod signals;
mod started;
mod subject;
mod table;
mod variables;
mod watch;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::time::Duration;

pub(crate) use arguments::Arguments;
use finding::{Conclusion, findings};

use report::Report;
use started::Started;
use subject::Subject;

use crate::failure::Failure;
use crate::paper::Paper;

/// Examines a process, prints the report, and returns the exit code.
pub(crate) fn main(arguments: Arguments) -> ExitCode {
    if let Some(scene) = arguments.explain {
        let width = Paper::of_standard_output().width.unwrap_or(80);
        print(&explain::explain(scene, width.min(100)));
        return ExitCode::SUCCESS;
    }
    let conclusion = check_proc().and_then(|()| match arguments.pid {
        Some(pid) => of_process(pid, &arguments),
        None => of_program(&arguments),
    });
    ExitCode::from(match conclusion {
        Ok(conclusion) => conclusion.code(),
        Err(failure) => {
            eprintln!("legwork: {failure}");
            failure.code()
        }
    })
}

fn check_proc() -> Result<(), Failure> {
    legwork_inspect::check_proc().map_err(|error| {
        let cure = match error.kind() {
            ErrorKind::Unsupported => ", where the same numbers belong to other processes; mount the right one, for example by `unshare --mount-proc`",
            _ => "",
        };
        Failure::Own(format!("{error}{cure}"))
    })
}

fn of_process(pid: u32, arguments: &Arguments) -> Result<Conclusion, Failure> {
    let subject = Subject::find(pid)?;
    look(&subject, arguments, &|time| subject.nap(time))
}

fn of_program(arguments: &Arguments) -> Result<Conclusion, Failure> {
    let mut started = Started::start(&arguments.program)?;
    started.settle(arguments.after)?;
    let subject = Subject::find(started.pid())?;
    let conclusion = look(&subject, arguments, &|time| started.nap(time));
    // Whatever was found, the program must not be left behind.
    started.see_out(arguments.end)?;
    conclusion
}

fn look(
    subject: &Subject,
    arguments: &Arguments,
    nap: &dyn Fn(Duration) -> bool,
) -> Result<Conclusion, Failure> {
    let report = Report::of(subject, arguments, nap);
    if subject.has_ended() {
        return Err(format!("{subject} ended while it was looked at").into());
    }
    let findings = findings(&report);
    let text = if arguments.json {
        format!("{:#}\n", json::of(&report, &findings))
    } else {
        table::of(&report, &findings, &Paper::of_standard_output())
    };
    print(&text);
    Ok(Conclusion::of(&findings))
}

/// It is not a failure if the reader has closed the pipe.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
