//! What the command line asks for.

use std::ffi::OsString;
use std::time::Duration;

use clap::{ArgGroup, Args};

use super::explain::SCENES;

/// Shows what a process has that a careless child would inherit, and what that has done to others.
///
/// The answer comes first, and again at the end: what is wrong, and what to do about it. Between them every
/// descriptor is listed: what it is, who is at its other end, and which careless child gets it. A child that
/// forks and closes nothing gets all of them; one that executes a program and closes nothing gets those that
/// are not close-on-exec. Then come forked copies of the process, the variables that name a descriptor, the
/// signals that a child would not get, and how the process waits for its children. S1 to S13 are scenes from
/// real programs, in which the like has gone wrong: --explain tells them. Nothing about the process is changed.
///
/// A program that is named after -- is started as `legwork run` starts it, with the standard input and
/// error of this command; its standard output goes to standard error, so that the report stands alone.
/// It is looked at when it sleeps and its descriptors have been the same for a second (after ten
/// seconds at the latest), and then runs on until it ends by itself or is asked to.
///
/// Exit codes: 0 nothing found; 1 something found: what even a child that executes a program would
/// inherit, a forked copy, children that nobody waits for, or a main loop that spins; 2 the command line makes no
/// sense; 125 the process could not be looked at, or parts of it could not and nothing was found in the
/// others; 126 the program cannot be executed; 127 there is no such program.
#[derive(Args, Debug)]
#[command(
    override_usage = "legwork doctor [OPTIONS] PID\n       legwork doctor [OPTIONS] -- PROGRAM...\n       legwork doctor --explain SCENE",
    group(ArgGroup::new("subject").required(true).args(["pid", "program", "explain"]))
)]
pub(crate) struct Arguments {
    /// The process to look at
    #[arg(value_parser = pid, allow_negative_numbers = true)]
    pub(super) pid: Option<u32>,
    /// Start this program and look at it
    #[arg(last = true, value_name = "PROGRAM")]
    pub(super) program: Vec<OsString>,
    /// Look at the program after this time, whether it has settled or not
    #[arg(long, value_name = "SECONDS", value_parser = crate::seconds::seconds, conflicts_with = "pid")]
    pub(super) after: Option<Duration>,
    /// End the program when it has been looked at: SIGTERM, then SIGKILL two seconds later
    #[arg(long, conflicts_with = "pid")]
    pub(super) end: bool,
    /// Explain a scene, S1 to S13
    #[arg(long, value_name = "SCENE", value_parser = scene)]
    pub(super) explain: Option<u8>,
    /// Watch for this time, by default 2 seconds, whether a main loop spins, and what keeps it spinning.
    /// Besides the answer, only that is shown
    #[arg(
        long,
        value_name = "SECONDS",
        value_parser = window,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2"
    )]
    pub(super) watch: Option<Duration>,
    /// Count as found also what only a fork without an exec passes on
    #[arg(long)]
    pub(super) fork: bool,
    /// Print the report as JSON; docs/doctor.md has the schema
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
