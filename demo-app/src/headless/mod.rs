//! The same jobs without a window: for scripts, pipes and terminals.
//!
//! GTK is not started and no display is needed; the library, the main context and the workers are the same as with the
//! window.

mod args;
mod exit;
mod jobs;
mod programs;
mod report;

use std::{ffi::OsString, io, iter, process::ExitCode};

use legwork::glib;
use rustix::process::Signal;

use self::{
    args::{Arguments, Task},
    report::Report,
};
use crate::programs::{Conversion, Program};

/// Runs what the arguments, without `--headless`, ask for.
pub(crate) fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let result = match args::parse(args) {
        Ok(arguments) => glib::MainContext::default().block_on(run_task(arguments)),
        Err(message) => {
            let code = if message.use_stderr() { exit::USAGE } else { 0 };
            message.print().map(|()| code)
        }
    };
    match result {
        Ok(code) => code.into(),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => exit::by(Signal::PIPE).into(),
        Err(error) => {
            eprintln!("legwork-demo: the output could not be written: {error}");
            exit::FAILED.into()
        }
    }
}

/// Runs a task to its end; returns the exit code. The error is that of the output.
async fn run_task(arguments: Arguments) -> io::Result<u8> {
    let report = Report::new(arguments.json);
    match arguments.task {
        Task::Checksum(folder) => jobs::checksum(folder.into(), &report).await,
        Task::Thumbnails { folder, out, side } => {
            jobs::thumbnails(folder.into(), side, &out, &report).await
        }
        Task::Run { program, arguments } => {
            let argv = iter::once(program.into()).chain(arguments).collect();
            programs::run(Program::from_argv(argv), report).await
        }
        Task::Convert { input, output } => {
            programs::convert(Conversion { input, output }, report).await
        }
    }
}
