//! Lines of text, the last of which may be drawn over again; and which of them are new.

use std::collections::VecDeque;

use super::{
    escape::{Act, Erase, Parser},
    style::Style,
};

/// Lines that are kept for a look.
pub(super) const KEPT: usize = 5_000;
/// Characters of a line before it is broken: a text view has trouble with longer ones.
const WIDEST: usize = 1_000;
/// Characters of a line that are told beside it.
const READ: usize = 200;
/// Columns from one tabulator to the next.
const TAB: usize = 8;

/// A piece of a line that looks the same all through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) text: String,
    pub(super) style: Style,
}

/// One line, without its end.
pub(super) type Line = Vec<Run>;

#[derive(Debug, Default)]
pub(super) struct Screen {
    parser: Parser,
    /// Whole lines that nobody has taken yet, the last [`KEPT`].
    whole: VecDeque<Line>,
    cells: Vec<(char, Style)>,
    column: usize,
    /// The last line that was not empty.
    last: String,
}

/// What has changed since the last look.
pub(super) struct News {
    /// Lines that are complete now.
    pub(super) whole: VecDeque<Line>,
    /// The line that may still change.
    pub(super) open: Line,
}

impl Screen {
    /// Takes in what was written.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let mut parser = std::mem::take(&mut self.parser);
        parser.feed(bytes, |act| self.act(act));
        self.parser = parser;
    }

    /// Nothing more will come.
    pub(super) fn finish(&mut self) {
        let mut parser = std::mem::take(&mut self.parser);
        parser.finish(|act| self.act(act));
        self.parser = parser;
    }

    /// What has changed since this was last asked.
    pub(super) fn news(&mut self) -> News {
        News {
            whole: std::mem::take(&mut self.whole),
            open: runs(&self.cells),
        }
    }

    /// The last line in which there is something, as far as people read in a row.
    pub(super) fn last_line(&self) -> String {
        let open: String = self.cells.iter().map(|(c, _)| c).collect();
        let line = match open.trim() {
            "" => &self.last,
            open => open,
        };
        line.chars().take(READ).collect()
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Write(c, style) => {
                if self.column >= WIDEST {
                    self.end_line();
                }
                self.reach(self.column + 1);
                self.cells[self.column] = (c, style);
                self.column += 1;
            }
            Act::NewLine => self.end_line(),
            Act::Return => self.column = 0,
            Act::Back => self.column = self.column.saturating_sub(1),
            Act::Tab => {
                self.column = ((self.column / TAB + 1) * TAB).min(WIDEST);
                self.reach(self.column);
            }
            Act::Column(column) => self.column = column.min(WIDEST - 1),
            Act::Erase(Erase::ToEnd) => self.cells.truncate(self.column),
            Act::Erase(Erase::All) => self.cells.clear(),
            Act::Erase(Erase::ToBegin) => {
                let until = self.cells.len().min(self.column + 1);
                self.cells[..until].fill(BLANK);
            }
        }
    }

    /// Makes the line at least this long.
    fn reach(&mut self, length: usize) {
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
        if self.whole.len() == KEPT {
            self.whole.pop_front();
        }
        self.whole.push_back(line);
        self.cells.clear();
        self.column = 0;
    }
}

const BLANK: (char, Style) = (
    ' ',
    Style {
        colour: None,
        ground: None,
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

/// A text without anything that is for a terminal, its lines as they were in the end.
pub(crate) fn plain(text: &str) -> String {
    let mut screen = Screen::default();
    screen.feed(text.as_bytes());
    screen.finish();
    let News { whole, open } = screen.news();
    let lines = whole.into_iter().chain([open]);
    let lines = lines.map(|line| line.into_iter().map(|run| run.text).collect::<String>());
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_drawn_over_again_after_a_return() {
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
        for n in 0..KEPT + 10 {
            screen.feed(format!("{n}\n").as_bytes());
        }
        let News { whole, open } = screen.news();
        assert_eq!((whole.len(), open.len()), (KEPT, 0));
        assert_eq!(whole[0][0].text, "10");
        assert!(screen.news().whole.is_empty(), "they were taken");

        screen.feed(&vec![b'x'; 10 * WIDEST]);
        let News { whole, open } = screen.news();
        assert_eq!((whole.len(), open[0].text.len()), (9, WIDEST));
        screen.feed(b"\x1b[999999999G\t\t!");
        assert!(
            screen
                .news()
                .open
                .iter()
                .map(|run| run.text.len())
                .sum::<usize>()
                <= WIDEST
        );
    }

    #[test]
    fn runs_of_one_style_stay_together() {
        let mut screen = Screen::default();
        screen.feed(b"one \x1b[31mtw");
        screen.feed(b"o\x1b[0m three");
        let open = screen.news().open;
        let texts: Vec<_> = open
            .iter()
            .map(|run| (&*run.text, run.style.colour))
            .collect();
        assert_eq!(texts, [("one ", None), ("two", Some(1)), (" three", None)]);
    }

    #[test]
    fn the_last_line_is_the_last_with_something_in_it() {
        let mut screen = Screen::default();
        assert_eq!(screen.last_line(), "");
        screen.feed(b"first\n\x1b[31merror: no\x1b[0m\r\n\n  \n");
        assert_eq!(screen.last_line(), "error: no");
        screen.feed(b"Password: ");
        assert_eq!(screen.last_line(), "Password:");
        screen.feed(&[b'x'; 2 * READ]);
        assert_eq!(screen.last_line().len(), READ);
    }
}
