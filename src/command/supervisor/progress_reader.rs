//! Reads a program's progress out of the lines that it writes, to whichever of its outputs.
//!
//! A parser is the app's code, and a program may write a million empty lines: what was read waits here until the main
//! loop has time for its lines. What they report is shown at most every [`PERIOD`]. A line that is not ended within that
//! time is parsed as it is, because some programs end it only when they draw the next.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::command::lane::Lane;
use crate::command::lines::DrawnLineSplitter;
use crate::command::outcome::Captured;
use crate::command::progress::{LineProgress, Step};
use crate::main_loop::hub::Slice;
use crate::wire::nul::lossy;

/// How often progress is shown, and how long a line may be unfinished.
const PERIOD: Duration = Duration::from_millis(50);

/// How many reads wait at most: of older ones, which only a parser in a nested main loop can leave, the lines are lost.
const PARTS_MAX: usize = 256;

/// How long error messages quote of what a program said, in bytes.
const WORDS_MAX: usize = 300;

/// See the module.
pub(in crate::command) struct ProgressReader {
    /// `None` while it looks at a line.
    parser: RefCell<Option<Box<dyn LineProgress>>>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    output: Written,
    errors: Written,
    /// What was read and is still to be split into lines. An empty part is the end of its output.
    unsplit: VecDeque<(Lane, Vec<u8>)>,
    /// How much of the first part has been split.
    split: usize,
    /// What is still to be shown.
    step: Option<Step>,
    shown: Option<Instant>,
}

/// One of the outputs.
#[derive(Default)]
struct Written {
    splitter: DrawnLineSplitter,
    /// When it was last written to.
    at: Option<Instant>,
    /// How long the unfinished line was when it was parsed.
    parsed: usize,
}

impl ProgressReader {
    pub(in crate::command) fn new(parser: Box<dyn LineProgress>) -> Self {
        ProgressReader {
            parser: RefCell::new(Some(parser)),
            state: RefCell::default(),
        }
    }

    /// Takes in what was read of an output. No code of the app's runs.
    pub(super) fn feed(&self, lane: Lane, bytes: &[u8]) {
        let mut state = self.state.borrow_mut();
        state.written(lane).at = Some(Instant::now());
        state.unsplit.push_back((lane, bytes.to_vec()));
        if state.unsplit.len() > PARTS_MAX {
            state.unsplit.pop_front();
            state.split = 0;
        }
    }

    /// An output has ended, and its last line with it.
    pub(super) fn end_line(&self, lane: Lane) {
        self.feed(lane, &[]);
    }

    /// Whether the parser had no time for all that was read. One that runs a nested main loop is not waited for.
    pub(super) fn is_behind(&self) -> bool {
        self.parser.borrow().is_some() && !self.state.borrow().unsplit.is_empty()
    }

    /// Has the parser look at lines, as long as the slice lasts. Runs the app's code: with nothing borrowed.
    pub(super) fn parse(&self, slice: &Slice) {
        while !slice.is_over()
            // Else it looks at a line already, and this is a nested main loop.
            && let Some(mut parser) = self.parser.take()
        {
            let line = self.state.borrow_mut().next_line();
            let step = line.as_ref().and_then(|line| parser.line(&lossy(line)));
            self.parser.replace(Some(parser));
            if let Some(mut step) = step {
                let last = &mut self.state.borrow_mut().step;
                // A text stays until there is another.
                step.text = step.text.or(last.take().and_then(|last| last.text));
                *last = Some(step);
            }
            if line.is_none() {
                break;
            }
        }
    }

    /// What is to be shown now: all there is when it is the `last` time.
    pub(super) fn take_step(&self, last: bool) -> Option<Step> {
        let mut state = self.state.borrow_mut();
        let now = Instant::now();
        if !last && state.shown.is_some_and(|shown| now < shown + PERIOD) {
            return None;
        }
        let step = state.step.take()?;
        state.shown = Some(now);
        Some(step)
    }

    /// When there is something to parse or to show.
    pub(super) fn due(&self) -> Option<Instant> {
        let state = self.state.borrow();
        if self.parser.borrow().is_none() {
            // It goes on when the parser returns.
            return None;
        }
        if !state.unsplit.is_empty() {
            return Some(Instant::now());
        }
        let show = state.step.as_ref().and(state.shown);
        let lines = [&state.output, &state.errors]
            .into_iter()
            .filter(|written| written.has_news());
        let lines = lines.filter_map(|written| written.at);
        Some(show.into_iter().chain(lines).min()? + PERIOD)
    }

    /// What a line says to people. Runs the app's code: with nothing borrowed.
    pub(super) fn words(&self, line: &str) -> Option<String> {
        let parser = self.parser.take()?;
        let words = parser.words(line);
        self.parser.replace(Some(parser));
        words
    }
}

impl State {
    fn written(&mut self, lane: Lane) -> &mut Written {
        match lane {
            Lane::Errors => &mut self.errors,
            _ => &mut self.output,
        }
    }

    /// The next line, or one that has been unfinished for long.
    fn next_line(&mut self) -> Option<Vec<u8>> {
        while let Some((lane, bytes)) = self.unsplit.pop_front() {
            let split = std::mem::take(&mut self.split);
            let mut rest = &bytes[split..];
            let written = self.written(lane);
            let line = if bytes.is_empty() {
                written.splitter.finish()
            } else {
                written.splitter.next_line(&mut rest)
            };
            let line = line.filter(|line| {
                let parsed = std::mem::take(&mut written.parsed);
                parsed == 0 || line.bytes.len() > parsed
            });
            if !rest.is_empty() {
                self.split = bytes.len() - rest.len();
                self.unsplit.push_front((lane, bytes));
            }
            if let Some(line) = line {
                return Some(line.bytes);
            }
        }
        let now = Instant::now();
        let is_due = |at: Instant| now >= at + PERIOD;
        let written = [&mut self.output, &mut self.errors];
        let mut late = written
            .into_iter()
            .filter(|written| written.has_news() && written.at.is_some_and(is_due));
        let written = late.next()?;
        let line = written.splitter.partial().to_vec();
        written.parsed = line.len();
        Some(line)
    }
}

impl Written {
    /// Whether there is an unfinished line that was not parsed as it is now.
    fn has_news(&self) -> bool {
        self.splitter.partial().len() > self.parsed
    }
}

/// The last line of an output that says something to people.
pub(super) fn last_words(progress: Option<&ProgressReader>, output: &Captured) -> Option<String> {
    let mut lines = output.tail.lines();
    if output.is_tail_cut && progress.is_some() {
        // The parser knows whole lines.
        lines.next();
    }
    let words = |line: &str| match progress {
        Some(progress) => progress.words(line),
        None => Some(line.to_owned()),
    };
    let lines = lines.rev().map(str::trim);
    let mut said = lines.filter(|line| !line.is_empty()).find_map(words)?;
    said.truncate(said.floor_char_boundary(WORDS_MAX));
    Some(said)
}
