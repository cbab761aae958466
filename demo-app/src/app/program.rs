//! Runs programs: a command line on a terminal of its own, and the conversion of a file.

use std::{io, time::Duration};

use gtk::{gio, glib, glib::clone};
use legwork::{Command, CommandHandle, Ended, Error, Input, OutputStream};

use super::{
    error,
    job::Job,
    outcome::{Failure, Outcome},
    program_control::terminal_size,
    program_outcome as outcome, session,
};
use crate::{
    programs::{self, Conversion, PartialFile, Program},
    worker_program,
};

/// Runs a program on a terminal of its own, so that it behaves as it does in front of a person.
pub(super) fn run(job: &Job, program: Program) {
    let job = job.clone();
    glib::spawn_future_local(async move {
        let (columns, rows) = terminal_size();
        let mut handle = set_up(&job, program.command().await)
            .terminal(columns, rows)
            .env("TERM", "xterm-256color")
            // A pager would wait for keys that cannot be pressed here.
            .env("PAGER", "cat")
            .env("GIT_PAGER", "cat")
            .spawn();
        let (input, output) = (handle.stdin(), handle.stdout());
        job.set_accepts_input(input.is_some());
        match follow(&job, handle, input, output).await {
            Ok(_) => job.end(outcome::finished(job.elapsed()), ""),
            Err(error) => end_failed(&job, &error, |failure| {
                outcome::failed(&program.name(), failure)
            }),
        }
    });
}

/// Converts a file.
pub(super) fn convert(job: &Job, conversion: Conversion) {
    let job = job.clone();
    glib::spawn_future_local(async move {
        if let Err(error) = run_conversion(&job, conversion).await {
            job.end(outcome::not_written(&error), "");
        }
    });
}

/// The error is that of the file system; every other end is shown by the job already.
async fn run_conversion(job: &Job, mut conversion: Conversion) -> io::Result<()> {
    let length = programs::length(&conversion.input).await;
    let (conversion, file) = off_main_thread(move || {
        // No file is replaced.
        conversion.output = programs::free_name(&conversion.output);
        let file = conversion.create()?;
        Ok((conversion, file))
    })
    .await?;
    let mut handle = set_up(job, conversion.command(&file, length)).spawn();
    let status = handle.status().clone();
    let output = handle.stderr();
    let ended = follow(job, handle, None, output).await;
    let converted = Duration::from_millis(status.done());
    match ended {
        Ok(_) => {
            let size = persist(job, file, &conversion).await?;
            job.end(
                outcome::converted(&conversion.output, size, job.elapsed()),
                "",
            );
        }
        // ffmpeg ended by itself when it was asked to stop, so the file can be played up to there.
        Err(error) if error.is_cancelled() => {
            let complete = error.exit_code() == Some(0) && !converted.is_zero();
            let kept = complete && persist(job, file, &conversion).await.is_ok();
            job.end(outcome::conversion_stopped(kept.then_some(converted)), "");
        }
        Err(error) => end_failed(job, &error, |failure| {
            outcome::not_converted(&conversion.input, failure)
        }),
    }
    Ok(())
}

async fn persist(job: &Job, file: PartialFile, conversion: &Conversion) -> io::Result<u64> {
    let name = conversion.output.clone();
    let size = off_main_thread(move || file.persist(&name)).await?;
    job.set_output_file(Some(gio::File::for_path(&conversion.output)));
    Ok(size)
}

fn set_up(job: &Job, command: Command) -> Command {
    command
        .label(job.title())
        .helper(&worker_program::worker())
        .cancellable(job.cancellable())
        .show_in(&session::jobs())
}

/// Follows the program to its end.
async fn follow(
    job: &Job,
    handle: CommandHandle,
    input: Option<Input>,
    output: Option<OutputStream>,
) -> Ended {
    let status = handle.status().clone();
    job.follow(&status);
    job.program().set(handle.control(), input);
    job.set_can_pause(true);
    // A program may write nothing for long; then the line shows the time.
    glib::timeout_add_seconds_local(
        1,
        clone!(
            #[weak]
            job,
            #[weak]
            status,
            #[upgrade_or]
            glib::ControlFlow::Break,
            move || {
                job.progress(&status);
                match job.running() {
                    true => glib::ControlFlow::Continue,
                    false => glib::ControlFlow::Break,
                }
            }
        ),
    );
    if let Some(mut output) = output {
        while let Some(bytes) = output.chunk().await {
            job.output().write(&bytes);
            job.progress(&status);
        }
    }
    job.output().finish();
    job.set_can_pause(false);
    let ended = handle.await;
    job.program().clear();
    ended
}

fn end_failed(job: &Job, error: &Error, outcome: impl FnOnce(&Failure<'_>) -> Outcome) {
    let last = job.output().last_line();
    let failure = Failure {
        printed: &last,
        ..error.into()
    };
    job.end(outcome(&failure), &error::details(error));
}

/// Runs what waits for the file system on another thread.
async fn off_main_thread<T: Send + 'static>(
    act: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    gio::spawn_blocking(act)
        .await
        .unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
}
