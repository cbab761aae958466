//! Lines of text, the last of which may be overwritten, and which of them are new.

use std::collections::VecDeque;

use super::{
    escape::{Action, Erase, Parser},
    style::Style,
};

/// The lines that are kept.
pub(super) const LINES_MAX: usize = 5_000;
/// The characters of a line, after which it is broken: a text view is slow with longer ones.
const LINE_MAX: usize = 1_000;
/// The characters of the last line that the row of a job shows.
const SUMMARY_MAX: usize = 200;
/// The columns from one tab stop to the next.
const TAB: usize = 8;

/// A part of a line in one style.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) text: String,
    pub(super) style: Style,
}

/// A line without its end.
pub(super) type Line = Vec<Run>;

#[derive(Default)]
pub(super) struct Screen {
    parser: Parser,
    /// Complete lines that were not taken yet, the last [`LINES_MAX`].
    complete: VecDeque<Line>,
    cells: Vec<(char, Style)>,
    column: usize,
    /// The last complete line that is not empty.
    last: String,
}

/// What has changed since the last call.
pub(super) struct Changes {
    /// Lines that are complete now.
    pub(super) complete: VecDeque<Line>,
    /// The line that may still change.
    pub(super) current: Line,
}

impl Screen {
    /// Adds what was written.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut parser = std::mem::take(&mut self.parser);
        parser.feed(bytes, |action| self.act(action));
        self.parser = parser;
    }

    /// Ends what is incomplete: there is no more output.
    pub(super) fn finish(&mut self) {
        let mut parser = std::mem::take(&mut self.parser);
        parser.finish(|action| self.act(action));
        self.parser = parser;
    }

    /// What has changed since the last call.
    pub(super) fn take_changes(&mut self) -> Changes {
        Changes {
            complete: std::mem::take(&mut self.complete),
            current: runs(&self.cells),
        }
    }

    /// The last line that is not empty, shortened for the row of a job.
    pub(super) fn last_line(&self) -> String {
        let current: String = self.cells.iter().map(|(c, _)| c).collect();
        let line = match current.trim() {
            "" => &self.last,
            current => current,
        };
        line.chars().take(SUMMARY_MAX).collect()
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Write(c, style) => {
                if self.column >= LINE_MAX {
                    self.end_line();
                }
                self.extend(self.column + 1);
                self.cells[self.column] = (c, style);
                self.column += 1;
            }
            Action::NewLine => self.end_line(),
            Action::Return => self.column = 0,
            Action::Back => self.column = self.column.saturating_sub(1),
            Action::Tab => {
                self.column = ((self.column / TAB + 1) * TAB).min(LINE_MAX);
                self.extend(self.column);
            }
            Action::Column(column) => self.column = column.min(LINE_MAX - 1),
            Action::Erase(Erase::ToEnd) => self.cells.truncate(self.column),
            Action::Erase(Erase::All) => self.cells.clear(),
            Action::Erase(Erase::ToStart) => {
                let until = self.cells.len().min(self.column + 1);
                self.cells[..until].fill(BLANK);
            }
        }
    }

    /// Extends the line to at least this length.
    fn extend(&mut self, length: usize) {
        if self.cells.len() < length {
            self.cells.resize(length, BLANK);
        }
    }

    fn end_line(&mut self) {
        let line = runs(&self.cells);
        let text: String = line.iter().map(|run| &*run.text).collect();
        let text = text.trim();
        if !text.is_empty() {
            self.last.clear();
            self.last.push_str(text);
        }
        if self.complete.len() == LINES_MAX {
            self.complete.pop_front();
        }
        self.complete.push_back(line);
        self.cells.clear();
        self.column = 0;
    }
}

const BLANK: (char, Style) = (
    ' ',
    Style {
        foreground: None,
        background: None,
        bold: false,
        dim: false,
        italic: false,
        underlined: false,
        struck: false,
        inverse: false,
    },
);

fn runs(cells: &[(char, Style)]) -> Line {
    cells
        .chunk_by(|(_, one), (_, other)| one == other)
        .map(|cells| Run {
            text: cells.iter().map(|(c, _)| c).collect(),
            style: cells[0].1,
        })
        .collect()
}

/// A text without escape sequences, with its lines as they were in the end.
pub(crate) fn plain(text: &str) -> String {
    let mut screen = Screen::default();
    screen.feed(text.as_bytes());
    screen.finish();
    let Changes { complete, current } = screen.take_changes();
    let lines = complete.into_iter().chain([current]);
    let lines = lines.map(|line| line.into_iter().map(|run| run.text).collect::<String>());
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_overwritten_after_a_return() {
        assert_eq!(plain("10 %\r20 %\r100 %\ndone"), "100 %\ndone");
        assert_eq!(plain("a long line\r\x1b[Kshort"), "short");
        assert_eq!(plain("a long line\rshort"), "shortg line");
        assert_eq!(plain("windows\r\nlines\r\n"), "windows\nlines\n");
        assert_eq!(plain("ab\x08\x08c\x1b[6Gd"), "cb   d");
        assert_eq!(plain("a\tb"), "a       b");
        assert_eq!(plain("abc\x1b[2G\x1b[1K"), "  c");
    }

    #[test]
    fn a_screen_keeps_the_last_lines_and_breaks_long_ones() {
        let mut screen = Screen::default();
        for n in 0..LINES_MAX + 10 {
            screen.feed(format!("{n}\n").as_bytes());
        }
        let Changes { complete, current } = screen.take_changes();
        assert_eq!((complete.len(), current.len()), (LINES_MAX, 0));
        assert_eq!(complete[0][0].text, "10");
        assert!(screen.take_changes().complete.is_empty(), "they were taken");

        screen.feed(&vec![b'x'; 10 * LINE_MAX]);
        let Changes { complete, current } = screen.take_changes();
        assert_eq!((complete.len(), current[0].text.len()), (9, LINE_MAX));
        screen.feed(b"\x1b[999999999G\t\t!");
        assert!(
            screen
                .take_changes()
                .current
                .iter()
                .map(|run| run.text.len())
                .sum::<usize>()
                <= LINE_MAX
        );
    }

    #[test]
    fn runs_of_one_style_stay_together() {
        let mut screen = Screen::default();
        screen.feed(b"one \x1b[31mtw");
        screen.feed(b"o\x1b[0m three");
        let current = screen.take_changes().current;
        let texts: Vec<_> = current
            .iter()
            .map(|run| (&*run.text, run.style.foreground))
            .collect();
        assert_eq!(texts, [("one ", None), ("two", Some(1)), (" three", None)]);
    }

    #[test]
    fn the_last_line_is_the_last_that_is_not_empty() {
        let mut screen = Screen::default();
        assert_eq!(screen.last_line(), "");
        screen.feed(b"first\n\x1b[31merror: no\x1b[0m\r\n\n  \n");
        assert_eq!(screen.last_line(), "error: no");
        screen.feed(b"Password: ");
        assert_eq!(screen.last_line(), "Password:");
        screen.feed(&[b'x'; 2 * SUMMARY_MAX]);
        assert_eq!(screen.last_line().len(), SUMMARY_MAX);
    }
}
