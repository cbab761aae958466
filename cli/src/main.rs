//! The command `legwork`: Legwork for a terminal.
//!
//! One room per subcommand; this file only tells them apart. The command uses the library as anybody
//! does, by what is public, and lies in a package of its own, so that an app that depends on Legwork
//! never builds a parser of arguments:
//!
//! ```sh
//! cargo install --git https://github.com/legwork-rs/legwork legwork-cli
//! ```
//!
//! Nothing in here starts a process but by [`legwork::spawn`]. Output for programs is JSON on standard output; what
//! goes wrong is a sentence on standard error, with an exit code that each subcommand's `--help` lists.

mod child;
mod doctor;
mod failure;
mod run;
mod seconds;

use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use clap::{Parser, Subcommand};

legwork::jobs! {
    // It runs no job, but it is its own guardian.
    static JOBS = [];
}

/// Work in child processes, without fork.
#[derive(Parser)]
#[command(name = "legwork", version)]
struct Legwork {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Doctor(doctor::Arguments),
    Run(Box<run::Arguments>),
}

fn main() -> ExitCode {
    JOBS.run_if_worker();
    let arguments = Legwork::try_parse().map_err(without_tip);
    match arguments.map(|legwork| legwork.task) {
        Ok(Task::Doctor(arguments)) => doctor::main(arguments),
        Ok(Task::Run(arguments)) => run::main(*arguments),
        // `run` has its program's codes, among which 2 is a common one.
        Err(error)
            if error.use_stderr()
                && std::env::args_os().nth(1).is_some_and(|task| task == "run") =>
        {
            let _ = error.print();
            ExitCode::from(failure::OWN_FAILURE)
        }
        Err(error) => error.exit(),
    }
}

/// Without clap's tip for an unknown option, which is to write `--` before it: that would run a program of its name.
fn without_tip(mut error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::UnknownArgument {
        error.remove(ContextKind::Suggested);
    }
    error
}
