//! What a run without a window prints: for a person at a terminal, for a pipe, or for a machine.
//!
//! Results go to standard output and everything else to standard error, so that a list of sums in a
//! file is a list of sums. With JSON everything is an event on standard output.

use std::{
    io::{self, IsTerminal, Write},
    path::Path,
};

use indicatif::{ProgressBar, ProgressStyle};
use legwork_demo::jobs::{FileSum, Tally, Trouble, grouped};
use serde_json::{Value, json};

/// One run's printer.
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

    /// The same without a bar.
    pub(super) fn without_bar(self) -> Self {
        match self {
            Self::Bar(_) => Self::Lines,
            other => other,
        }
    }

    /// What begins, and on what.
    pub(super) fn start(&self, job: &str, what: &str, on: Value) -> io::Result<()> {
        match self {
            Self::Json => event(json!({"event": "start", "job": job, what: on})),
            _ => Ok(()),
        }
    }

    /// Progress, as often as the job's status changes.
    pub(super) fn progress(&self, done: u64, total: u64, text: &str) -> io::Result<()> {
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
            (Err(trouble), _) => self.unread(&file.path, trouble),
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

    pub(super) fn unread(&self, at: &Path, trouble: &Trouble) -> io::Result<()> {
        self.trouble(at, trouble.code(), &trouble.to_string())
    }

    pub(super) fn unwritten(&self, at: &Path, error: &io::Error) -> io::Result<()> {
        self.trouble(
            at,
            "unwritten",
            &format!("It could not be written: {error}"),
        )
    }

    fn trouble(&self, at: &Path, code: &str, message: &str) -> io::Result<()> {
        match self {
            Self::Json => event(json!({
                "event": "trouble", "path": path(at), "code": code, "message": message,
            })),
            _ => self.note(&format!("{}: {message}", at.display())),
        }
    }

    /// Something that a program wrote, to the same place; the bar makes way.
    pub(super) fn output(&self, lane: Lane, bytes: &[u8]) -> io::Result<()> {
        let print = || match lane {
            Lane::Output => write_at_once(io::stdout().lock(), bytes),
            Lane::Errors => write_at_once(io::stderr().lock(), bytes),
        };
        match self {
            Self::Json => {
                let text = String::from_utf8_lossy(bytes);
                let stream = lane.name();
                event(json!({"event": "output", "stream": stream, "text": text}))
            }
            Self::Bar(bar) => bar.suspend(print),
            Self::Lines => print(),
        }
    }

    /// Whether whole lines are wanted of a program, and not what comes when it comes.
    pub(super) fn wants_lines(&self) -> bool {
        !matches!(self, Self::Lines)
    }

    /// A program's end.
    pub(super) fn program_done(&self) -> io::Result<()> {
        self.clear();
        match self {
            Self::Json => event(json!({"event": "end", "outcome": "ok", "exit_code": 0})),
            _ => Ok(()),
        }
    }

    /// A file that was made, the last thing printed.
    pub(super) fn made(&self, file: &Path, size: u64) -> io::Result<()> {
        self.clear();
        match self {
            Self::Json => event(json!({
                "event": "end", "outcome": "ok", "file": path(file), "bytes": size,
            })),
            _ => self.line(file.as_os_str().as_encoded_bytes()),
        }
    }

    /// The job's end, the last thing printed.
    pub(super) fn done(&self, unit: &str, tally: &Tally) -> io::Result<()> {
        self.clear();
        match self {
            Self::Json => event(json!({
                "event": "end", "outcome": if tally.failed == 0 { "ok" } else { "partly" },
                "entries": tally.entries, "failed": tally.failed, "skipped": tally.skipped,
                "bytes": tally.bytes,
            })),
            _ => {
                let fine = grouped(tally.entries - tally.failed);
                let trouble = match tally.failed {
                    0 => String::new(),
                    failed => format!(", {} had trouble", grouped(failed)),
                };
                self.note(&format!("{fine} {unit}{trouble}"))
            }
        }
    }

    /// The job's end when there is no tally. `details` is for machines.
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
        let print = || {
            let mut out = io::stdout().lock();
            out.write_all(line)?;
            out.write_all(b"\n")
        };
        match self {
            // The bar makes way where both are on one terminal.
            Self::Bar(bar) if io::stdout().is_terminal() => bar.suspend(print),
            _ => print(),
        }
    }

    fn note(&self, note: &str) -> io::Result<()> {
        let print = || writeln!(io::stderr(), "{note}");
        match self {
            Self::Bar(bar) => bar.suspend(print),
            _ => print(),
        }
    }

    fn clear(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// Which of a program's two outputs.
#[derive(Clone, Copy)]
pub(super) enum Lane {
    Output,
    Errors,
}

impl Lane {
    fn name(self) -> &'static str {
        match self {
            Self::Output => "stdout",
            Self::Errors => "stderr",
        }
    }
}

fn write_at_once(mut to: impl Write, bytes: &[u8]) -> io::Result<()> {
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

/// A path for JSON, which has no bytes: what is not UTF-8 stands beside it in digits.
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
        let odd = Path::new(OsStr::from_bytes(b"caf\xe9"));
        assert_eq!(path(odd), json!({"text": "caf\u{fffd}", "hex": "636166e9"}));
    }
}
