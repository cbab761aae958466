//! Programs without a window: their output is printed to the streams of the same names.

use std::{
    io::{self, IsTerminal},
    pin::pin,
};

use futures_util::future::{Either, select, try_join};
use legwork::{
    CommandHandle, OutputStream, Stdio,
    gio::{self, prelude::*},
};
use serde_json::json;

use super::{
    exit,
    report::{self, Report, Stream},
};
use crate::{
    programs::{self, Conversion, Program},
    worker_program,
};

/// Runs a program to its end; returns the exit code.
pub(super) async fn run(program: Program, report: Report) -> io::Result<u8> {
    let stop = gio::Cancellable::new();
    let signal = exit::stop_on_signals(&stop, exit::now);
    let argv: Vec<_> = program.argv.iter().map(report::path).collect();
    report.start("run", "command", json!(argv))?;
    // The kernel stops a process group in the background that reads from a terminal.
    let stdin = if io::stdin().is_terminal() {
        Stdio::null()
    } else {
        Stdio::inherit()
    };
    let mut command = program.command().await;
    if !program.reports_progress() {
        command = command.stdin(stdin);
    }
    let mut handle = command
        .helper(&worker_program::worker())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .cancellable(&stop)
        .spawn();
    // Without known progress there is no bar.
    let report = if program.reports_progress() {
        report
    } else {
        report.without_bar()
    };
    let printed = report.follow(handle.status(), &stop);
    pass_on(&mut handle, &report).await?;
    let ended = handle.await;
    printed.replace(Ok(()))?;
    match ended {
        Ok(_) => report.program_completed().map(|()| 0),
        Err(error) => report.failed(&error, signal.get()),
    }
}

/// Converts a file; returns the exit code.
pub(super) async fn convert(conversion: Conversion, report: Report) -> io::Result<u8> {
    if programs::find("ffmpeg").is_none() {
        let hint = programs::install_hint("ffmpeg");
        let sentence = format!("ffmpeg is not installed. {hint}");
        report.ended("failed", &sentence, json!({"kind": "start"}))?;
        return Ok(exit::FAILED);
    }
    let file = match conversion.create() {
        Ok(file) => file,
        Err(error) => {
            eprintln!("legwork-demo: “{}”: {error}", conversion.output.display());
            return Ok(exit::USAGE);
        }
    };
    let (stop, kill) = (gio::Cancellable::new(), gio::Cancellable::new());
    // The temporary file must be removed, so the second signal does not exit yet.
    let signal = exit::stop_on_signals(&stop, {
        let kill = kill.clone();
        move |signal| {
            if kill.is_cancelled() {
                exit::now(signal);
            }
            kill.cancel();
        }
    });
    report.start("convert", "file", report::path(&conversion.input))?;
    // A run that is stopped does not need the duration.
    let length = unless_cancelled(&stop, programs::length(&conversion.input))
        .await
        .flatten();
    let mut handle = conversion
        .command(&file, length)
        .helper(&worker_program::worker())
        .cancellable(&stop)
        .spawn();
    let printed = report.follow(handle.status(), &stop);
    // Its standard output is the progress, which the bar shows.
    let errors = handle.stderr();
    let mut passed = pin!(pass_on_stream(errors, Stream::Stderr, &report));
    let passed = match unless_cancelled(&kill, passed.as_mut()).await {
        Some(passed) => passed,
        None => {
            // An error means that it has ended already.
            let _ = handle.control().kill();
            passed.await
        }
    };
    passed?;
    let ended = handle.await;
    printed.replace(Ok(()))?;
    match ended {
        Ok(_) => match file.persist(&conversion.output) {
            Ok(size) => report.converted(&conversion.output, size).map(|()| 0),
            Err(error) => {
                report.ended("failed", &error.to_string(), json!({"kind": "failed"}))?;
                Ok(exit::FAILED)
            }
        },
        // What ffmpeg has completed can be played, and is kept.
        Err(error) => {
            if error.is_cancelled() && error.exit_code() == Some(0) && error.progress().0 > 0 {
                let _ = file.persist(&conversion.output);
            }
            report.failed(&error, signal.get())
        }
    }
}

/// The result of `work`, or `None` if it is cancelled first.
async fn unless_cancelled<T>(
    cancellable: &gio::Cancellable,
    work: impl Future<Output = T>,
) -> Option<T> {
    match select(pin!(work), cancellable.future()).await {
        Either::Left((result, _)) => Some(result),
        Either::Right(_) => None,
    }
}

/// Prints both streams of a program until both have ended.
async fn pass_on(handle: &mut CommandHandle, report: &Report) -> io::Result<()> {
    let output = pass_on_stream(handle.stdout(), Stream::Stdout, report);
    let errors = pass_on_stream(handle.stderr(), Stream::Stderr, report);
    try_join(output, errors).await.map(drop)
}

async fn pass_on_stream(
    stream: Option<OutputStream>,
    name: Stream,
    report: &Report,
) -> io::Result<()> {
    let Some(mut stream) = stream else {
        return Ok(());
    };
    if !report.prints_lines() {
        while let Some(bytes) = stream.chunk().await {
            report.output(name, &bytes)?;
        }
        return Ok(());
    }
    let mut lines = stream.lines();
    while let Some(mut line) = lines.recv().await {
        line.text.push('\n');
        report.output(name, line.text.as_bytes())?;
    }
    Ok(())
}
