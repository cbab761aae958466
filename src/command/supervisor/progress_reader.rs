//! Reads a program's progress out of the lines that it writes, to whichever of its outputs.

use std::cell::RefCell;

use crate::command::lane::Lane;
use crate::command::lines::{LineSplitter, RawLine};
use crate::command::progress::{LineProgress, Step};

/// See the module.
pub(in crate::command) struct ProgressReader {
    /// `None` while it looks at lines.
    parser: RefCell<Option<Box<dyn LineProgress>>>,
    output: RefCell<LineSplitter>,
    errors: RefCell<LineSplitter>,
    /// Lines that the parser has not seen yet.
    lines: RefCell<Vec<RawLine>>,
}

impl ProgressReader {
    pub(in crate::command) fn new(parser: Box<dyn LineProgress>) -> Self {
        ProgressReader {
            parser: RefCell::new(Some(parser)),
            output: RefCell::default(),
            errors: RefCell::default(),
            lines: RefCell::default(),
        }
    }

    fn splitter(&self, lane: Lane) -> &RefCell<LineSplitter> {
        match lane {
            Lane::Errors => &self.errors,
            _ => &self.output,
        }
    }

    /// Takes in what was written. No code of the app's runs.
    pub(super) fn feed(&self, lane: Lane, bytes: &[u8]) {
        let mut lines = self.lines.borrow_mut();
        let mut splitter = self.splitter(lane).borrow_mut();
        splitter.feed(bytes, |line| lines.push(line));
    }

    /// An output has ended, and its last line with it.
    pub(super) fn end_line(&self, lane: Lane) {
        let last = self.splitter(lane).borrow_mut().finish();
        self.lines.borrow_mut().extend(last);
    }

    /// Shows the lines to the parser, and gives the last step that they report. Runs the app's code: with nothing
    /// borrowed.
    pub(super) fn next_step(&self) -> Option<Step> {
        let mut last: Option<Step> = None;
        // Again for what comes while the parser runs a nested main loop.
        while !self.lines.borrow().is_empty() {
            let Some(mut parser) = self.parser.take() else {
                break;
            };
            for line in self.lines.take() {
                if let Some(mut step) = parser.line(&String::from_utf8_lossy(&line.bytes)) {
                    // A text stays until there is another.
                    step.text = step.text.or(last.and_then(|step| step.text));
                    last = Some(step);
                }
            }
            self.parser.replace(Some(parser));
        }
        last
    }

    /// What a line says to people. Runs the app's code: with nothing borrowed.
    pub(super) fn words(&self, line: &str) -> Option<String> {
        let parser = self.parser.take()?;
        let words = parser.words(line);
        self.parser.replace(Some(parser));
        words
    }
}
