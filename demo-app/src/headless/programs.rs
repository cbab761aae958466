//! Programs without a window: what they write goes on to where it would have gone.

use std::{
    future::poll_fn,
    io::{self, IsTerminal},
    pin::pin,
    task::Poll,
};

use legwork::{
    CommandHandle, OutputStream, Stdio,
    gio::{self, prelude::*},
};
use serde_json::json;

use super::{
    FAILED, USAGE, exit_at_once,
    report::{self, Lane, Report},
    stop_on_signals, tell_failure, tell_progress,
};
use crate::{
    programs::{self, Convert, Program},
    workplace,
};

/// Runs a program to its end; returns the exit code.
pub(super) async fn run(program: Program, report: Report) -> io::Result<u8> {
    let stop = gio::Cancellable::new();
    let signal = stop_on_signals(&stop, exit_at_once);
    let words: Vec<_> = program.words.iter().map(report::path).collect();
    report.start("run", "command", json!(words))?;
    // A group in the background that reads from a terminal is stopped by the kernel.
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
        .helper(&workplace::worker())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .cancellable(&stop)
        .spawn();
    // No bar beside a program of which nobody knows how far it is.
    let report = if program.reports_progress() {
        report
    } else {
        report.without_bar()
    };
    let told = tell_progress(handle.status(), &report, &stop);
    pass_on(&mut handle, &report).await?;
    let ended = handle.await;
    told.replace(Ok(()))?;
    match ended {
        Ok(_) => report.program_done().map(|()| 0),
        Err(error) => tell_failure(&report, &error, signal.get()),
    }
}

/// Makes a file of another kind; returns the exit code.
pub(super) async fn convert(convert: Convert, report: Report) -> io::Result<u8> {
    if programs::find("ffmpeg").is_none() {
        let how = programs::how_to_get("ffmpeg");
        let sentence = format!("ffmpeg is not installed. {how}");
        report.ended("failed", &sentence, json!({"kind": "start"}))?;
        return Ok(FAILED);
    }
    let unfinished = match convert.begin() {
        Ok(unfinished) => unfinished,
        Err(error) => {
            eprintln!("legwork-demo: “{}”: {error}", convert.output.display());
            return Ok(USAGE);
        }
    };
    let (stop, kill) = (gio::Cancellable::new(), gio::Cancellable::new());
    // The unfinished file goes with whoever gives up, so the second one is no exit yet.
    let signal = stop_on_signals(&stop, {
        let kill = kill.clone();
        move |signal| {
            if kill.is_cancelled() {
                exit_at_once(signal);
            }
            kill.cancel();
        }
    });
    report.start("convert", "file", report::path(&convert.input))?;
    // Nobody waits for a length that is not needed any more.
    let length = or_when(&stop, programs::length(&convert.input))
        .await
        .flatten();
    let mut handle = convert
        .command(&unfinished, length)
        .helper(&workplace::worker())
        .cancellable(&stop)
        .spawn();
    let told = tell_progress(handle.status(), &report, &stop);
    // Its standard output is progress, which the bar shows.
    let errors = handle.stderr();
    let mut passed = pin!(pass_on_lane(errors, Lane::Errors, &report));
    let passed = match or_when(&kill, passed.as_mut()).await {
        Some(passed) => passed,
        None => {
            // Unless it has ended already.
            let _ = handle.kill();
            passed.await
        }
    };
    passed?;
    let ended = handle.await;
    told.replace(Ok(()))?;
    match ended {
        Ok(_) => match unfinished.finish(&convert.output) {
            Ok(size) => report.made(&convert.output, size).map(|()| 0),
            Err(error) => {
                report.ended("failed", &error.to_string(), json!({"kind": "failed"}))?;
                Ok(FAILED)
            }
        },
        // What was done can be played, and is kept.
        Err(error) => {
            if error.is_cancelled() && error.exit_code() == Some(0) && error.progress().0 > 0 {
                let _ = unfinished.finish(&convert.output);
            }
            tell_failure(&report, &error, signal.get())
        }
    }
}

/// What comes of `work`, or nothing when it is cancelled before.
async fn or_when<T>(cancelled: &gio::Cancellable, work: impl Future<Output = T>) -> Option<T> {
    let (mut cancelled, mut work) = (cancelled.future(), pin!(work));
    poll_fn(|cx| match work.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => cancelled.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// Passes on what a program writes to both of its outputs, until both have ended.
async fn pass_on(handle: &mut CommandHandle, report: &Report) -> io::Result<()> {
    let mut output = pin!(pass_on_lane(handle.stdout(), Lane::Output, report));
    let mut errors = pin!(pass_on_lane(handle.stderr(), Lane::Errors, report));
    let mut ends = [None, None];
    poll_fn(|cx| {
        if ends[0].is_none()
            && let Poll::Ready(end) = output.as_mut().poll(cx)
        {
            ends[0] = Some(end);
        }
        if ends[1].is_none()
            && let Poll::Ready(end) = errors.as_mut().poll(cx)
        {
            ends[1] = Some(end);
        }
        // Who cannot be written to any more is not written to.
        match &mut ends {
            [Some(Err(_)), _] => Poll::Ready(ends[0].take().expect("it is there")),
            [_, Some(Err(_))] => Poll::Ready(ends[1].take().expect("it is there")),
            [Some(_), Some(_)] => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    })
    .await
}

async fn pass_on_lane(stream: Option<OutputStream>, lane: Lane, report: &Report) -> io::Result<()> {
    let Some(mut stream) = stream else {
        return Ok(());
    };
    if !report.wants_lines() {
        while let Some(bytes) = stream.chunk().await {
            report.output(lane, &bytes)?;
        }
        return Ok(());
    }
    let mut lines = stream.lines();
    while let Some(mut line) = lines.recv().await {
        line.text.push('\n');
        report.output(lane, line.text.as_bytes())?;
    }
    Ok(())
}
