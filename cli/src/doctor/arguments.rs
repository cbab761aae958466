//! What the command line asks for.

use std::ffi::OsString;
use std::time::Duration;

use clap::{ArgGroup, Args};

/// Shows what a process has that a careless child would inherit, and what that has done to others.
///
/// It lists every descriptor: what it is, who is at its other end, and which careless child gets it. A
/// child that forks and closes nothing gets all of them; one that executes a program and closes nothing
/// gets those that are not close-on-exec. Then come the variables that name a descriptor, the signals
/// that a child would not get, and how the process waits for its children. S1 to S13 are the scenes at
/// the end of docs/gotchas.md: what went wrong in real programs. Nothing about the process is changed.
///
/// A program that is named after -- is started as `legwork run` starts it, with the standard input and
/// error of this command; its standard output goes to standard error, so that the report stands alone.
/// It is looked at when it sleeps and its descriptors have been the same for a second (after ten
/// seconds at the latest), and then runs on until it ends by itself or is asked to.
///
/// Exit codes: 0 nothing found; 1 something found: what even a child that executes a program would
/// inherit, children that nobody waits for, or a main loop that spins; 2 the command line makes no
/// sense; 125 the process could not be looked at, or parts of it could not and nothing was found in the
/// others; 126 the program cannot be executed; 127 there is no such program.
#[derive(Args, Debug)]
#[command(
    override_usage = "legwork doctor [OPTIONS] PID\n       legwork doctor [OPTIONS] -- PROGRAM...",
    group(ArgGroup::new("subject").required(true).args(["pid", "program"]))
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
    /// Watch for this time (2 seconds if none is given) whether a main loop spins, and what keeps it
    /// spinning
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

fn window(text: &str) -> Result<Duration, String> {
    let window = crate::seconds::seconds(text)?;
    if (0.1..=3600.0).contains(&window.as_secs_f64()) {
        Ok(window)
    } else {
        Err("from 0.1 to 3600 seconds".into())
    }
}
