//! `legwork doctor`: what a process has that a careless child would inherit, and what that has done
//! to others.
//!
//! It looks from outside and changes nothing: it reads `/proc`, asks the kernel for its lists of
//! sockets, and duplicates a descriptor for an instant where only that tells who is at the other end.
//! What a descriptor is, [`legwork_inspect`] says; the rest of a process is looked at here.
//!
//! | file | |
//! |---|---|
//! | `arguments` | what the command line asks for |
//! | `proc`, `subject` | the process, or why it cannot be looked at |
//! | `started` | the program that is started to be looked at |
//! | `report` | all that was found out, as data |
//! | `descriptors`, `variables`, `signals`, `children`, `watch` with `polled` | its parts |
//! | `finding` | what of it is worth a sentence, and what is a fault; the exit code comes from here |
//! | `sentence`, `answer` | a finding in English, and what all of them come to |
//! | `table` on `paper`, `json` | the two ways to show it |
//! | `explain` | the scenes |

mod answer;
mod arguments;
mod children;
mod descriptors;
mod explain;
mod finding;
mod json;
mod paper;
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
use paper::Paper;
use report::Report;
use started::Started;
use subject::Subject;

use crate::failure::Failure;

/// Looks, shows what was seen, and tells by the exit code how bad that is.
pub(crate) fn main(arguments: Arguments) -> ExitCode {
    if let Some(scene) = arguments.explain {
        let width = Paper::of_standard_output().width.unwrap_or(80);
        print!("{}", explain::explain(scene, width.min(100)));
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
            ErrorKind::Unsupported => ", where other processes have these numbers; `unshare --mount-proc` mounts the right one",
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
    // Whatever was seen: the program is not left behind.
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
    // A reader who has seen enough is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(Conclusion::of(&findings))
}
