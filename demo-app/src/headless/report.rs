//! What a run without a window prints: a progress bar on a terminal, lines in a pipe, or JSON.
//!
//! Results are printed to standard output and everything else to standard error, so that a list of sums in a file
//! contains nothing else. With JSON, everything is an event on standard output.

use std::{
    cell::Cell,
    io::{self, IsTerminal, Write},
    path::Path,
    rc::Rc,
};

use indicatif::{ProgressBar, ProgressStyle};
use legwork::{
    Error, Status,
    gio::{self, prelude::*},
};
use legwork_demo::jobs::{EntryError, FileSum, Summary, grouped};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::exit;

/// Prints the events of a run.
#[derive(Clone)]
pub(super) enum Report {
    Bar(ProgressBar),
    Lines,
    Json,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        if json {
            return Self::Json;
        }
        if !io::stderr().is_terminal() {
            return Self::Lines;
        }
        let bar = ProgressBar::no_length();
        bar.set_style(counting());
        Self::Bar(bar)
    }

    /// The same without a progress bar.
    pub(super) fn without_bar(self) -> Self {
        match self {
            Self::Bar(_) => Self::Lines,
            other => other,
        }
    }

    /// The start of a task, and its input.
    pub(super) fn start(&self, job: &str, what: &str, on: Value) -> io::Result<()> {
        match self {
            Self::Json => event(json!({"event": "start", "job": job, what: on})),
            _ => Ok(()),
        }
    }

    /// Prints every change of `status`. An error of the output is left in the cell, and cancels `stop`.
    pub(super) fn follow(
        &self,
        status: &Status,
        stop: &gio::Cancellable,
    ) -> Rc<Cell<io::Result<()>>> {
        let printed = Rc::new(Cell::new(Ok(())));
        let last = Cell::new(None);
        status.connect_notify_local(None, {
            let (printed, report, stop) = (printed.clone(), self.clone(), stop.clone());
            move |status, _| {
                let (done, total, text) = (status.done(), status.total(), status.text());
                // Several properties change at once: that is one event.
                let progress = Some((done, total, text.clone()));
                if last.replace(progress.clone()) == progress {
                    return;
                }
                if let Err(error) = report.progress(done, total, &text) {
                    printed.set(Err(error));
                    stop.cancel();
                }
            }
        });
        printed
    }

    fn progress(&self, done: u64, total: u64, text: &str) -> io::Result<()> {
        match self {
            Self::Bar(bar) => {
                if total > 0 && bar.length() != Some(total) {
                    bar.set_length(total);
                    bar.set_style(measuring());
                }
                bar.set_position(done);
                bar.set_message(text.to_owned());
                bar.tick();
                Ok(())
            }
            Self::Lines => Ok(()),
            Self::Json => {
                let total = Some(total).filter(|total| *total > 0);
                event(json!({"event": "progress", "done": done, "total": total, "text": text}))
            }
        }
    }

    pub(super) fn sum(&self, file: &FileSum) -> io::Result<()> {
        match (&file.sum, self) {
            (Err(error), _) => self.unread(&file.path, error),
            (Ok(sum), Self::Json) => event(json!({
                "event": "sum", "path": path(&file.path), "sha256": sum.hex(), "size": sum.size,
            })),
            (Ok(sum), _) => self.line(&sum.line(&file.path)),
        }
    }

    pub(super) fn picture(&self, from: &Path, to: &Path, size: (u32, u32)) -> io::Result<()> {
        match self {
            Self::Json => event(json!({
                "event": "thumbnail", "path": path(from), "file": path(to),
                "width": size.0, "height": size.1,
            })),
            _ => self.line(to.as_os_str().as_encoded_bytes()),
        }
    }

    pub(super) fn unread(&self, file: &Path, error: &EntryError) -> io::Result<()> {
        self.entry_error(file, error.code(), &error.to_string())
    }

    pub(super) fn unwritten(&self, file: &Path, error: &io::Error) -> io::Result<()> {
        let message = format!("It could not be written: {error}");
        self.entry_error(file, "unwritten", &message)
    }

    fn entry_error(&self, file: &Path, code: &str, message: &str) -> io::Result<()> {
        match self {
            Self::Json => event(json!({
                "event": "trouble", "path": path(file), "code": code, "message": message,
            })),
            _ => self.note(&format!("{}: {message}", file.display())),
        }
    }

    /// The output of a program, printed to the stream of the same name.
    pub(super) fn output(&self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Json => {
                let text = String::from_utf8_lossy(bytes);
                event(json!({"event": "output", "stream": stream.name(), "text": text}))
            }
            _ => self.print(stream, bytes),
        }
    }

    /// Whether the output of a program is printed line by line, and not as it arrives.
    pub(super) fn prints_lines(&self) -> bool {
        !matches!(self, Self::Lines)
    }

    /// The end of a program that succeeded.
    pub(super) fn program_completed(&self) -> io::Result<()> {
        self.clear();
        match self {
            Self::Json => event(json!({"event": "end", "outcome": "ok", "exit_code": 0})),
            _ => Ok(()),
        }
    }

    /// The end of a conversion that succeeded.
    pub(super) fn converted(&self, file: &Path, size: u64) -> io::Result<()> {
        self.clear();
        match self {
            Self::Json => event(json!({
                "event": "end", "outcome": "ok", "file": path(file), "bytes": size,
            })),
            _ => self.line(file.as_os_str().as_encoded_bytes()),
        }
    }

    /// The end of a job that gave its result.
    pub(super) fn completed(&self, unit: &str, summary: &Summary) -> io::Result<()> {
        self.clear();
        match self {
            Self::Json => event(json!({
                "event": "end", "outcome": if summary.failed == 0 { "ok" } else { "partly" },
                "entries": summary.entries, "failed": summary.failed, "skipped": summary.skipped,
                "bytes": summary.bytes,
            })),
            _ => {
                let complete = grouped(summary.entries - summary.failed);
                let failed = match summary.failed {
                    0 => String::new(),
                    failed => format!(", {} failed", grouped(failed)),
                };
                self.note(&format!("{complete} {unit}{failed}"))
            }
        }
    }

    /// The end by an error or, if it was cancelled, by a signal; returns the exit code.
    pub(super) fn failed(&self, error: &Error, signal: Option<Signal>) -> io::Result<u8> {
        if let Some(signal) = signal.filter(|_| error.is_cancelled()) {
            self.ended("cancelled", "Stopped", json!(null))?;
            return Ok(exit::by(signal));
        }
        let details = json!({
            "kind": format!("{:?}", error.kind()).to_lowercase(),
            "signal": error.signal().map(|signal| signal.name()),
            "exit_code": error.exit_code(),
        });
        self.ended("failed", &error.message(), details)?;
        Ok(exit::FAILED)
    }

    /// The end of anything that did not succeed. `details` is for JSON.
    pub(super) fn ended(&self, outcome: &str, sentence: &str, details: Value) -> io::Result<()> {
        self.clear();
        match self {
            Self::Json => event(json!({
                "event": "end", "outcome": outcome, "message": sentence, "error": details,
            })),
            _ => self.note(sentence),
        }
    }

    fn line(&self, line: &[u8]) -> io::Result<()> {
        self.print(Stream::Stdout, &[line, b"\n"].concat())
    }

    fn note(&self, note: &str) -> io::Result<()> {
        self.print(Stream::Stderr, format!("{note}\n").as_bytes())
    }

    /// Prints to a stream, without the bar if that is on the same terminal.
    fn print(&self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let print = || match stream {
            Stream::Stdout => write_and_flush(io::stdout().lock(), bytes),
            Stream::Stderr => write_and_flush(io::stderr().lock(), bytes),
        };
        let shared = matches!(stream, Stream::Stderr) || io::stdout().is_terminal();
        match self {
            Self::Bar(bar) if shared => bar.suspend(print),
            _ => print(),
        }
    }

    fn clear(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// A stream of a program's output.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

fn write_and_flush(mut to: impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(bytes)?;
    to.flush()
}

fn counting() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {wide_msg}").expect("a constant template")
}

fn measuring() -> ProgressStyle {
    ProgressStyle::with_template("{bar:24} {percent:>3} %  {wide_msg}  {eta}")
        .expect("a constant template")
}

fn event(event: Value) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{event}")
}

/// A path in JSON: one that is not UTF-8 is an object with its text and its bytes in hexadecimal.
pub(super) fn path(path: impl AsRef<Path>) -> Value {
    let path = path.as_ref();
    match path.to_str() {
        Some(text) => json!(text),
        None => {
            let bytes = path.as_os_str().as_encoded_bytes();
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"text": path.to_string_lossy(), "hex": hex})
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    use super::*;

    #[test]
    fn a_path_that_is_not_utf8_keeps_its_bytes_in_json() {
        assert_eq!(path("é"), json!("é"));
        let invalid = Path::new(OsStr::from_bytes(b"caf\xe9"));
        assert_eq!(
            path(invalid),
            json!({"text": "caf\u{fffd}", "hex": "636166e9"})
        );
    }
}
