//! The face for a person: a table, as wide as the terminal, in colour where colours are shown.

use std::fmt::Write;

use legwork_inspect::Scene;
use rustix::stdio::stdout;
use rustix::termios::{isatty, tcgetwinsize};

use super::report::{Entry, PassedOn, Report};
use super::words;

/// What the table is written on.
pub(super) struct Paper {
    /// `None`: a line may be of any length.
    width: Option<usize>,
    colour: bool,
}

impl Paper {
    /// In a pipe or a file there are neither colours nor an edge; <https://no-color.org> says when a terminal has none.
    pub(super) fn of_standard_output() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let is_terminal = isatty(stdout());
        let columns = tcgetwinsize(stdout()).map_or(0, |size| usize::from(size.ws_col));
        Self {
            width: (is_terminal && columns > 0).then_some(columns.max(NARROWEST)),
            colour: is_terminal && !is_set("NO_COLOR") && !is_dumb,
        }
    }

    fn paint(&self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Plain => return text.to_owned(),
            Colour::Bold => "1",
            Colour::Dim => "2",
            Colour::Bad => "1;31",
            Colour::Risky => "33",
        };
        if self.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Below this the columns would be of one word each.
const NARROWEST: usize = 60;

#[derive(Clone, Copy)]
enum Colour {
    Plain,
    Bold,
    Dim,
    Bad,
    Risky,
}

/// The whole report.
pub(super) fn of(report: &Report<'_>, paper: &Paper) -> String {
    let mut text = String::new();
    let subject = report.subject;
    let program = match &subject.program {
        Some(program) => format!(", {}", program.display()),
        None => String::new(),
    };
    let title = plain(&format!(
        "Process {}, {}{program}",
        subject.pid, subject.name
    ));
    let _ = writeln!(text, "{}", paper.paint(Colour::Bold, &title));
    if !report.descriptors.is_empty() {
        text.push('\n');
        descriptors(report, paper, &mut text);
    }
    for section in words::sections(report) {
        let _ = writeln!(text, "\n{}", paper.paint(Colour::Bold, &section.title));
        for note in &section.notes {
            let mut words = plain(&note.text);
            if let Some(scene) = note.scene {
                let _ = write!(words, " ({})", number(scene));
            }
            let colour = if note.found {
                Colour::Bad
            } else {
                Colour::Plain
            };
            let lines = wrap(&words, paper.width.map(|width| width - 4));
            for (index, line) in lines.iter().enumerate() {
                let bullet = if index == 0 { "  - " } else { "    " };
                let _ = writeln!(text, "{bullet}{}", paper.paint(colour, line));
            }
        }
    }
    // Every process has some: without any, they could not be seen.
    if !report.descriptors.is_empty() || report.unreadable.is_empty() {
        let summary = wrap(&summary(report), paper.width).join("\n");
        let _ = writeln!(text, "\n{summary}");
    }
    text
}

fn number(scene: Scene) -> String {
    format!("S{}", scene.number())
}

/// One row of the table, in four cells of several lines each.
struct Row {
    cells: [Vec<String>; 4],
    colour: Colour,
}

const HEADINGS: [&str; 4] = [
    "FD",
    "WHAT",
    "GOES WITH",
    "WHAT IT HAS DONE TO OTHERS, OR COULD DO",
];
const GAP: usize = 2;

fn descriptors(report: &Report<'_>, paper: &Paper, text: &mut String) {
    let rows = report.descriptors.iter().map(row).collect::<Vec<_>>();
    let longest = |column: usize| {
        let cells = rows.iter().flat_map(|row: &Row| &row.cells[column]);
        let widest = cells.map(|line| line.chars().count()).max();
        widest.unwrap_or(0).max(HEADINGS[column].len())
    };
    let mut widths = [longest(0), longest(1), longest(2), longest(3)];
    if let Some(width) = paper.width {
        // Both columns of words share what is left, the first at most half of it.
        let left = width - (widths[0] + widths[2] + 3 * GAP);
        widths[1] = widths[1].min(left / 2);
        widths[3] = widths[3].min(left - widths[1]);
    }
    let headings = HEADINGS.map(|heading| vec![heading.to_owned()]);
    write_row(paper, text, &widths, &headings, [Colour::Bold; 4]);
    for Row { cells, colour } in rows {
        let dim = match colour {
            Colour::Dim => Colour::Dim,
            _ => Colour::Plain,
        };
        write_row(paper, text, &widths, &cells, [colour, dim, colour, dim]);
    }
}

fn row(entry: &Entry) -> Row {
    let harm = words::harm(entry);
    let passed_on = entry.passed_on();
    let colour = match passed_on {
        _ if entry.is_fault() => Colour::Bad,
        PassedOn::ByFork if harm.is_some() => Colour::Risky,
        _ => Colour::Dim,
    };
    let mut what = vec![plain(&entry.info.description)];
    what.extend(words::holders(entry).iter().map(|words| plain(words)));
    let done = harm.map(|(scene, words)| match scene {
        Some(scene) => format!("{} {words}", number(scene)),
        None => words.to_owned(),
    });
    Row {
        cells: [
            vec![entry.info.number.to_string()],
            what,
            vec![words::passed_on(passed_on).to_owned()],
            done.into_iter().collect(),
        ],
        colour,
    }
}

fn write_row(
    paper: &Paper,
    text: &mut String,
    widths: &[usize; 4],
    cells: &[Vec<String>; 4],
    colours: [Colour; 4],
) {
    let cells: [Vec<String>; 4] = std::array::from_fn(|column| {
        let lines = cells[column].iter();
        lines
            .flat_map(|line| wrap(line, Some(widths[column])))
            .collect()
    });
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    for index in 0..height {
        let mut line = String::new();
        let mut spaces = 0;
        for (column, lines) in cells.iter().enumerate() {
            let cell = lines.get(index).map_or("", String::as_str);
            let missing = widths[column] - cell.chars().count();
            if column == 0 {
                // Numbers end where the others do.
                spaces += missing;
            }
            if !cell.is_empty() {
                line.extend(std::iter::repeat_n(' ', spaces));
                line.push_str(&paper.paint(colours[column], cell));
                spaces = 0;
            } else {
                spaces += if column == 0 {
                    0
                } else {
                    widths[column] - missing
                };
            }
            spaces += if column == 0 { GAP } else { missing + GAP };
        }
        let _ = writeln!(text, "{line}");
    }
}

fn summary(report: &Report<'_>) -> String {
    let all = report.descriptors.len();
    let count = |is: &dyn Fn(&Entry) -> bool| report.descriptors.iter().filter(|e| is(e)).count();
    let exec = count(&|entry| entry.passed_on() == PassedOn::ByExec);
    let fork = count(&|entry| entry.passed_on() == PassedOn::ByFork && entry.harm().is_some());
    let leaked = count(&|entry| !entry.leaked_to.is_empty());
    let mut text = match (exec, fork) {
        (0, 0) => "No descriptor that a careless child could do harm with.".to_owned(),
        _ => format!(
            "Of {all} descriptors, {exec} would go to a child that executes a program and closes nothing, and {fork} \
             more that can do harm to one that only forks."
        ),
    };
    if leaked > 0 {
        let _ = write!(
            text,
            " A child of the process holds {leaked} of them already."
        );
    }
    text
}

/// Without what would steer the terminal: names and paths may hold anything.
fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// Lines of at most so many characters, between words where that goes.
fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else {
        return vec![text.to_owned()];
    };
    let mut lines = vec![String::new()];
    let mut length = 0;
    for word in text.split(' ') {
        let mut word = word.chars().collect::<Vec<_>>();
        if length > 0 && length + 1 + word.len() > width {
            lines.push(String::new());
            length = 0;
        } else if length > 0 {
            lines.last_mut().expect("never empty").push(' ');
            length += 1;
        }
        while word.len() > width {
            let rest = word.split_off(width);
            lines.last_mut().expect("never empty").extend(word);
            lines.push(String::new());
            word = rest;
        }
        length += word.len();
        lines.last_mut().expect("never empty").extend(word);
    }
    lines
}
