//! The command `legwork`: Legwork for a terminal.
//!
//! Each subcommand has its own module. The command uses only the public interface of the library, and it is a separate
//! package, so that an app that depends on Legwork never builds an argument parser:
//!
//! ```sh
//! cargo install --git https://github.com/legwork-rs/legwork legwork-cli
//! ```
//!
//! Every process is started by [`legwork::spawn`]. Output for programs is JSON on standard output. Errors are sentences
//! on standard error, with exit codes that each subcommand's `--help` lists.

mod child;
mod doctor;
mod failure;
mod jobs;
mod paper;
mod run;
mod seconds;

use std::process::ExitCode;

use clap::error::{ContextKind, ErrorKind};
use clap::{Parser, Subcommand};

legwork::jobs! {
    // The command runs no jobs, but it is its own guardian.
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
    Jobs(jobs::Arguments),
    Run(Box<run::Arguments>),
}

fn main() -> ExitCode {
    JOBS.run_if_worker();
    let arguments = Legwork::try_parse().map_err(without_tip);
    match arguments.map(|legwork| legwork.task) {
        Ok(Task::Doctor(arguments)) => doctor::main(arguments),
        Ok(Task::Jobs(arguments)) => jobs::main(arguments),
        Ok(Task::Run(arguments)) => run::main(*arguments),
        // `run` passes on the codes of its program, and 2 is a common one.
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

/// Removes clap's tip for an unknown option, to write `--` before it: that would run a program of that name.
fn without_tip(mut error: clap::Error) -> clap::Error {
    if error.kind() == ErrorKind::UnknownArgument {
        error.remove(ContextKind::Suggested);
    }
    error
}
