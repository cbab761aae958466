//! The report for people: the answer, a table of descriptors, the findings, and the answer again.

use std::fmt::Write;

use legwork_inspect::Scene;
use textwrap::core::display_width;

use super::answer::answer;
use super::descriptors::{Entry, PassedOn};
use super::finding::{Conclusion, Finding, Topic};
use super::report::Report;
use super::sentence::{harm, heading, holders, sentence};
use crate::paper::{Colour, Paper, plain, wrap};

/// Returns the whole report.
pub(super) fn of(report: &Report<'_>, findings: &[Finding<'_>], paper: &Paper) -> String {
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
    write_answer(findings, paper, &mut text);
    let is_brief = report.watch.is_some();
    let mut scenes = Vec::new();
    if !report.descriptors.is_empty() && !is_brief {
        text.push('\n');
        descriptors(report, paper, &mut text);
    }
    for some in findings.chunk_by(|a, b| a.topic() == b.topic()) {
        let topic = some[0].topic();
        if is_brief && !matches!(topic, Topic::Watch | Topic::NotSeen) {
            continue;
        }
        let _ = writeln!(text, "\n{}", paper.paint(Colour::Bold, heading(topic)));
        for finding in some {
            write_finding(finding, paper, &mut text);
            scenes.extend(finding.scene());
        }
    }
    if let Some(scene) = scenes.first().copied().map(number) {
        let _ = writeln!(
            text,
            "\n`legwork doctor --explain {scene}` explains {scene}."
        );
    }
    write_answer(findings, paper, &mut text);
    text
}

fn write_answer(findings: &[Finding<'_>], paper: &Paper, text: &mut String) {
    let colour = match Conclusion::of(findings) {
        Conclusion::Found => Colour::Bad,
        _ => Colour::Bold,
    };
    text.push('\n');
    for line in wrap(&plain(&answer(findings)), paper.width) {
        let _ = writeln!(text, "{}", paper.paint(colour, &line));
    }
}

fn write_finding(finding: &Finding<'_>, paper: &Paper, text: &mut String) {
    let mut words = plain(&sentence(finding));
    if let Some(scene) = finding.scene() {
        let _ = write!(words, " ({})", number(scene));
    }
    let colour = if finding.is_fault() {
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

fn number(scene: Scene) -> String {
    format!("S{}", scene.number())
}

/// One row of the table: four cells with one or more lines each.
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
const GAP: &str = "  ";

fn descriptors(report: &Report<'_>, paper: &Paper, text: &mut String) {
    let rows = report.descriptors.iter().map(row).collect::<Vec<_>>();
    let longest = |column: usize| {
        let cells = rows.iter().flat_map(|row: &Row| &row.cells[column]);
        let widest = cells.map(|line| display_width(line)).max();
        widest.unwrap_or(0).max(HEADINGS[column].len())
    };
    let mut widths = [longest(0), longest(1), longest(2), longest(3)];
    if let Some(width) = paper.width {
        // The two columns of text share the rest; the first one gets at most half of it.
        let left = width - (widths[0] + widths[2] + 3 * GAP.len());
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
    let harm = harm(entry);
    let passed_on = entry.passed_on();
    let colour = match passed_on {
        _ if entry.is_fault() => Colour::Bad,
        PassedOn::ByFork if harm.is_some() => Colour::Risky,
        _ => Colour::Dim,
    };
    let goes_with = match passed_on {
        PassedOn::Standard => "any child",
        PassedOn::ByFork => "fork",
        PassedOn::ByExec => "fork, exec",
    };
    let mut what = vec![plain(&entry.info.description)];
    what.extend(holders(entry).iter().map(|words| plain(words)));
    let done = harm.map(|(scene, words)| match scene {
        Some(scene) => format!("{} {words}", number(scene)),
        None => words.to_owned(),
    });
    Row {
        cells: [
            vec![entry.info.number.to_string()],
            what,
            vec![goes_with.to_owned()],
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
        let cell = |column: usize| cells[column].get(index).map_or("", String::as_str);
        let last = (0..4)
            .rfind(|column| !cell(*column).is_empty())
            .unwrap_or(0);
        for column in 0..=last {
            let painted = paper.paint(colours[column], cell(column));
            let space = " ".repeat(widths[column] - display_width(cell(column)));
            text.push_str(&match column {
                // Numbers are aligned at the right.
                0 => space + &painted,
                _ if column == last => format!("{GAP}{painted}"),
                _ => format!("{GAP}{painted}{space}"),
            });
        }
        text.push('\n');
    }
}
