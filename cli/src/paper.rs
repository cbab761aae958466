//! The medium of what is printed: its width, and whether it has colours.

use std::borrow::Cow;

use rustix::stdio::stdout;
use rustix::termios::{isatty, tcgetwinsize};
use textwrap::{Options, WordSplitter};

/// The medium of what is printed.
pub(crate) struct Paper {
    /// `None` if lines may have any length.
    pub(crate) width: Option<usize>,
    colour: bool,
}

impl Paper {
    /// A pipe or a file has neither colours nor a width; <https://no-color.org> says when a terminal has no
    /// colours.
    pub(crate) fn of_standard_output() -> Self {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let is_terminal = isatty(stdout());
        let columns = tcgetwinsize(stdout()).map_or(0, |size| usize::from(size.ws_col));
        Self {
            width: (is_terminal && columns > 0).then_some(columns.max(NARROWEST)),
            colour: is_terminal && !is_set("NO_COLOR") && !is_dumb,
        }
    }

    pub(crate) fn paint(&self, colour: Colour, text: &str) -> String {
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

/// A narrower table would have one word per line.
const NARROWEST: usize = 60;

#[derive(Clone, Copy)]
pub(crate) enum Colour {
    Plain,
    Bold,
    Dim,
    Bad,
    Risky,
}

/// Replaces control characters, which names and paths may contain.
pub(crate) fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// Wraps text at `width` columns, between words if possible.
pub(crate) fn wrap(text: &str, width: Option<usize>) -> Vec<String> {
    let Some(width) = width else {
        return vec![text.to_owned()];
    };
    let options = Options::new(width).word_splitter(WordSplitter::NoHyphenation);
    let lines = textwrap::wrap(text, options).into_iter();
    lines.map(Cow::into_owned).collect()
}
