//! The command line.

use std::ffi::OsString;
use std::time::Duration;

use clap::{ArgGroup, Args};

use super::explain::SCENES;

/// Shows what a careless child of a process would inherit, and what that has done to other programs.
///
/// The first and the last lines say what is wrong and what to do about it. In between, every descriptor is listed: what
/// it is, who holds its other end, and which careless child inherits it. A child that forks and closes nothing inherits
/// all of them; one that executes a program and closes nothing inherits those that are not close-on-exec. Then come
/// forked copies of the process, how it waits for its children, the signals that a child would not receive, and the
/// variables that name a descriptor. S1 to S13 are cases from real programs; --explain describes them. The process is
/// not changed in any way.
///
/// A program after -- is started as by `legwork run`, with the standard input and error of this command. Its standard
/// output goes to standard error, so that standard output has only the report. It is examined when it sleeps and its
/// descriptors have not changed for a second (after ten seconds at the latest), and keeps running until it ends or is
/// asked to end.
///
/// Exit codes: 0 nothing is wrong; 1 something is wrong: even a child that executes a program would inherit something
/// harmful, there is a forked copy, nobody waits for the children, or a main loop spins; 2 the command line is wrong;
/// 125 the process could not be examined, or only in part and nothing was found in that part; 126 the program cannot be
/// executed; 127 it does not exist.
#[derive(Args, Debug)]
#[command(
    override_usage = "legwork doctor [OPTIONS] PID\n       legwork doctor [OPTIONS] -- PROGRAM...\n       legwork doctor --explain SCENE",
    group(ArgGroup::new("subject").required(true).args(["pid", "program", "explain"]))
)]
pub(crate) struct Arguments {
    /// The process to examine
    #[arg(value_parser = pid, allow_negative_numbers = true)]
    pub(super) pid: Option<u32>,
    /// Start this program and examine it
    #[arg(last = true, value_name = "PROGRAM")]
    pub(super) program: Vec<OsString>,
    /// Examine the program after this time, even if its descriptors still change
    #[arg(long, value_name = "SECONDS", value_parser = crate::seconds::seconds, conflicts_with = "pid")]
    pub(super) after: Option<Duration>,
    /// End the program when it has been examined: SIGTERM, then SIGKILL two seconds later
    #[arg(long, conflicts_with = "pid")]
    pub(super) end: bool,
    /// Explain a scene, S1 to S13
    #[arg(long, value_name = "SCENE", value_parser = scene)]
    pub(super) explain: Option<u8>,
    /// Watch for this time (2 seconds by default) whether a main loop spins, and what keeps it spinning. Only this is
    /// shown, between the first and the last lines
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = window,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2"
    )]
    pub(super) watch: Option<Duration>,
    /// Count also what a child inherits only by a fork without an exec
    #[arg(long)]
    pub(super) fork: bool,
    /// Print the report as JSON; docs/doctor.md describes it
    #[arg(long)]
    pub(super) json: bool,
}

fn pid(text: &str) -> Result<u32, String> {
    match text.parse::<i64>() {
        Ok(number @ 1..=0x7fff_ffff) => Ok(number as u32),
        Ok(..=0) => Err("processes are numbered from 1 on".into()),
        Ok(_) => Err("no process has a number as high as that".into()),
        Err(_) => Err("not the number of a process; put -- before a program to start".into()),
    }
}

fn scene(text: &str) -> Result<u8, String> {
    let number = text.strip_prefix(['S', 's']).unwrap_or(text).parse();
    let known = number.ok().filter(|number| (1..=SCENES).contains(number));
    known.ok_or_else(|| format!("the scenes are S1 to S{SCENES}"))
}

fn window(text: &str) -> Result<Duration, String> {
    let window = crate::seconds::seconds(text)?;
    if (0.1..=3600.0).contains(&window.as_secs_f64()) {
        Ok(window)
    } else {
        Err("from 0.1 to 3600 seconds".into())
    }
}
