//! What is printed: a table, or lines of what happens.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{Write, stdout};

use serde_json::json;
use textwrap::core::display_width;

use super::job::Job;
use super::session::Event;
use crate::paper::{Colour, Paper, plain};

const HEADINGS: [&str; 5] = ["JOB", "STATE", "DONE", "LABEL", "WHAT IT DOES"];
const GAP: &str = "  ";

/// Prints text. It is not a failure if the reader has closed the pipe.
pub(super) fn text(text: &str) {
    let _ = stdout().write_all(text.as_bytes());
}

/// Returns a line for each job, under headings; or a line that says that no job is listed.
pub(super) fn table(jobs: &[&Job]) -> String {
    if jobs.is_empty() {
        return "No app in this session shows a job.\n".to_owned();
    }
    let paper = Paper::of_standard_output();
    let rows: Vec<_> = jobs.iter().map(|job| cells(job)).collect();
    let widest = |column: usize| {
        let cells = rows.iter().map(|row| display_width(&row[column]));
        cells.max().unwrap_or(0).max(HEADINGS[column].len())
    };
    let widths = [widest(0), widest(1), widest(2), widest(3)];
    let headings = HEADINGS.map(str::to_owned);
    let heading = line(&headings, &widths, paper.width);
    let mut text = format!("{}\n", paper.paint(Colour::Bold, &heading));
    for row in &rows {
        let _ = writeln!(text, "{}", line(row, &widths, paper.width));
    }
    text
}

fn cells(job: &Job) -> [String; 5] {
    let [state, progress] = [job.state().to_owned(), job.progress()];
    [
        job.id(),
        state,
        progress,
        job.label.clone(),
        job.text.clone(),
    ]
    .map(|cell| plain(&cell))
}

fn line(cells: &[String; 5], widths: &[usize; 4], width: Option<usize>) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let space = " ".repeat(width - display_width(cell));
        let _ = write!(line, "{cell}{space}{GAP}");
    }
    line.push_str(&cells[4]);
    let line = line.trim_end();
    let mut columns = 0;
    let fits = |c: &char| {
        columns += display_width(c.encode_utf8(&mut [0; 4]));
        width.is_none_or(|width| columns <= width)
    };
    line.chars().take_while(fits).collect()
}

/// Lines of what happens to jobs.
pub(super) struct Lines {
    as_json: bool,
    /// What was printed of each job last.
    last: HashMap<String, [String; 3]>,
    are_read: bool,
}

impl Lines {
    pub(super) fn new(as_json: bool) -> Self {
        Lines {
            as_json,
            last: HashMap::new(),
            are_read: true,
        }
    }

    /// Whether the reader has not closed the pipe.
    pub(super) fn are_read(&self) -> bool {
        self.are_read
    }

    pub(super) fn tell(&mut self, event: Event, job: &Job) {
        let name = match event {
            Event::Added => "added",
            Event::Changed => "changed",
            Event::Removed => "removed",
        };
        let line = if self.as_json {
            json!({ "event": name, "job": job.to_json() }).to_string()
        } else {
            let [id, state, progress, label, _] = cells(job);
            let now = [state.clone(), progress.clone(), label.clone()];
            let words = match event {
                Event::Removed => {
                    self.last.remove(&id);
                    plain(&job.end())
                }
                // The next line says so.
                _ if job.has_ended() => return,
                _ => {
                    let words = format!("{state} {progress}");
                    if self.last.insert(id.clone(), now.clone()).as_ref() == Some(&now) {
                        return;
                    }
                    words
                }
            };
            format!("{id}{GAP}{label}{GAP}{}", words.trim_end())
        };
        let mut out = stdout().lock();
        self.are_read &= writeln!(out, "{line}").and_then(|()| out.flush()).is_ok();
    }
}
