//! `legwork jobs`: the jobs of every app in the session that shows them, through `org.legwork.Jobs1`.
//!
//! | file | |
//! |---|---|
//! | `arguments` | the command line |
//! | `address`, `bus` | a connection to the session bus |
//! | `session` | the jobs of all apps, as they come, change and go |
//! | `job` | one of them |
//! | `print` | a table, or lines of what happens |

mod address;
mod arguments;
mod bus;
mod job;
mod print;
mod session;

use std::process::ExitCode;

use serde_json::json;

pub(crate) use arguments::Arguments;
use arguments::{Listing, Task};
use session::{Event, Session};

use crate::failure::{Failure, tell};

/// An app has not answered, or has not done what it was asked for.
const NOT_DONE: u8 = 1;

/// Does what is asked for, and returns the exit code.
pub(crate) fn main(arguments: Arguments) -> ExitCode {
    let task = arguments.task.unwrap_or(Task::List(arguments.listing));
    let done = match task {
        Task::List(Listing { json }) => list(json),
        Task::Watch(Listing { json }) => watch(json),
        Task::Cancel { jobs } => call(&jobs, "Cancel", None),
        Task::Pause { jobs } => call(&jobs, "Pause", None),
        Task::Resume { jobs } => call(&jobs, "Resume", None),
        Task::Show { job } => call(&[job], "Show", Some(&activation_token())),
    };
    ExitCode::from(match done {
        Ok(true) => 0,
        Ok(false) => NOT_DONE,
        Err(why) => {
            tell(&why);
            Failure::Own(why).code()
        }
    })
}

/// Opens the session, and says which apps do not answer. Returns whether all do.
fn open(watch: bool) -> Result<(Session, bool), String> {
    let mut session = Session::open(watch)?;
    let silent = session.settle()?;
    for app in &silent {
        tell(&format!("{app} does not answer"));
    }
    Ok((session, silent.is_empty()))
}

fn list(as_json: bool) -> Result<bool, String> {
    let (session, all) = open(false)?;
    let jobs = session.jobs();
    print::text(&if as_json {
        let jobs: Vec<_> = jobs.iter().map(|job| job.to_json()).collect();
        format!("{:#}\n", json!({ "schema": 1, "jobs": jobs }))
    } else {
        print::table(&jobs)
    });
    Ok(all)
}

fn watch(as_json: bool) -> Result<bool, String> {
    let (mut session, _) = open(true)?;
    let mut lines = print::Lines::new(as_json);
    let now: Vec<_> = session.jobs().into_iter().cloned().collect();
    now.iter().for_each(|job| lines.tell(Event::Added, job));
    while lines.are_read() {
        session.follow(&mut |event, job| lines.tell(event, job))?;
    }
    Ok(true)
}

fn call(jobs: &[String], method: &str, argument: Option<&str>) -> Result<bool, String> {
    let (mut session, _) = open(false)?;
    let mut all = true;
    for job in jobs {
        if let Err(why) = session.call(job, method, argument) {
            tell(&why);
            all = false;
        }
    }
    Ok(all)
}

/// What whoever started this command has given it to raise a window by.
fn activation_token() -> String {
    let variable = |name| std::env::var(name).ok();
    let token = variable("XDG_ACTIVATION_TOKEN").or_else(|| variable("DESKTOP_STARTUP_ID"));
    token.unwrap_or_default()
}
