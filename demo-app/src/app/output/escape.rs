//! From bytes to characters and what to do with them: UTF-8, and the escape sequences of ECMA-48.
//!
//! Reads may cut both anywhere. What is no UTF-8 becomes U+FFFD, what is no sequence for a line of text is left out,
//! and a sequence that does not end is given up after [`LONGEST`] characters.

use super::style::Style;

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    Write(char, Style),
    NewLine,
    /// To the beginning of the line, whose text stays until it is written over.
    Return,
    Back,
    Tab,
    /// To this column, counted from 0.
    Column(usize),
    Erase(Erase),
}

/// Which part of the line is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Erase {
    ToEnd,
    ToBegin,
    All,
}

/// No sequence for text is nearly as long; longest are the addresses of links.
const LONGEST: usize = 4096;
/// What of a control sequence is kept: more parameters than these nobody means.
const PARAMETERS: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Parser {
    /// The beginning of a character whose rest has not come yet.
    cut: Vec<u8>,
    state: State,
    /// Characters of the sequence so far.
    length: usize,
    parameters: String,
    style: Style,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Text,
    /// ESC, and perhaps intermediate characters.
    Escape,
    /// ESC [
    Control,
    /// A string for the terminal, such as a title or a link: up to BEL or ESC \.
    Words,
    /// ESC within such a string.
    WordsEscape,
}

impl Parser {
    /// Reads on.
    pub(super) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Act)) {
        let mut begun = std::mem::take(&mut self.cut);
        let mut rest = if begun.is_empty() {
            bytes
        } else {
            begun.extend_from_slice(bytes);
            &begun
        };
        loop {
            let (good, bad) = match std::str::from_utf8(rest) {
                Ok(text) => (text, None),
                Err(error) => {
                    let good = std::str::from_utf8(&rest[..error.valid_up_to()]);
                    (good.unwrap_or_default(), Some(error.error_len()))
                }
            };
            good.chars().for_each(|c| self.read(c, &mut each));
            rest = &rest[good.len()..];
            match bad {
                None => return,
                // Its rest may come with the next read.
                Some(None) => {
                    self.cut = rest.to_vec();
                    return;
                }
                Some(Some(length)) => {
                    self.read(char::REPLACEMENT_CHARACTER, &mut each);
                    rest = &rest[length..];
                }
            }
        }
    }

    /// Nothing more will come.
    pub(super) fn finish(&mut self, mut each: impl FnMut(Act)) {
        if !std::mem::take(&mut self.cut).is_empty() {
            self.read(char::REPLACEMENT_CHARACTER, &mut each);
        }
        self.state = State::Text;
    }

    fn read(&mut self, c: char, each: &mut impl FnMut(Act)) {
        if self.state != State::Text {
            self.length += 1;
            if self.length > LONGEST {
                self.state = State::Text;
            }
        }
        match (self.state, c) {
            (State::Words, '\x1b') => self.state = State::WordsEscape,
            (State::WordsEscape, '\\') | (State::Words, '\x07' | '\u{9c}') => {
                self.state = State::Text;
            }
            // CAN and SUB end whatever was begun; ESC begins anew.
            (_, '\x18' | '\x1a') => self.state = State::Text,
            (_, '\x1b') => self.begin(State::Escape),
            (State::Words, _) => {}
            (State::Text, _) => self.text(c, each),
            (State::Escape | State::WordsEscape, _) => self.escape(c, each),
            (State::Control, _) => self.control(c, each),
        }
    }

    fn begin(&mut self, state: State) {
        self.state = state;
        self.length = 0;
        self.parameters.clear();
    }

    fn text(&mut self, c: char, each: &mut impl FnMut(Act)) {
        each(match c {
            '\n' | '\x0b' | '\x0c' | '\u{85}' => Act::NewLine,
            '\r' => Act::Return,
            '\x08' => Act::Back,
            '\t' => Act::Tab,
            // A text view would begin a line of its own there.
            '\u{2028}' | '\u{2029}' => Act::Write(' ', self.style),
            _ if c.is_control() => return,
            _ => Act::Write(c, self.style),
        });
    }

    fn escape(&mut self, c: char, each: &mut impl FnMut(Act)) {
        self.state = State::Text;
        match c {
            '[' => self.begin(State::Control),
            // OSC, DCS, SOS, PM, APC.
            ']' | 'P' | 'X' | '^' | '_' => self.begin(State::Words),
            ' '..='/' => self.state = State::Escape,
            '0'..='~' => {}
            // No sequence at all.
            _ => self.text(c, each),
        }
    }

    fn control(&mut self, c: char, each: &mut impl FnMut(Act)) {
        match c {
            ' '..='?' => {
                if self.parameters.len() < PARAMETERS {
                    self.parameters.push(c);
                }
            }
            '@'..='~' => {
                self.state = State::Text;
                let number = self.parameters.parse::<usize>();
                match c {
                    'm' => self.style.change(&self.parameters),
                    'K' => each(Act::Erase(match &*self.parameters {
                        "" | "0" => Erase::ToEnd,
                        "1" => Erase::ToBegin,
                        "2" => Erase::All,
                        _ => return,
                    })),
                    'G' => each(Act::Column(number.unwrap_or(1).saturating_sub(1))),
                    _ => {}
                }
            }
            // Broken off.
            _ => {
                self.state = State::Text;
                self.text(c, each);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left as text, with what is done between: ⏎ ← ⌫ →.
    fn read(parts: &[&[u8]]) -> String {
        let mut parser = Parser::default();
        let mut all = String::new();
        let mut each = |act| match act {
            Act::Write(c, style) if style == Style::default() => all.push(c),
            Act::Write(c, style) => {
                let colour = style.colour.map(|colour| colour.to_string());
                all += &format!("{c}<{}>", colour.unwrap_or_default());
            }
            Act::NewLine => all.push('⏎'),
            Act::Return => all.push('←'),
            Act::Back => all.push('⌫'),
            Act::Tab => all.push('→'),
            other => all += &format!("{other:?}"),
        };
        for part in parts {
            parser.feed(part, &mut each);
        }
        parser.finish(&mut each);
        all
    }

    #[test]
    fn a_sequence_or_a_character_may_be_cut_anywhere() {
        let text = "a\x1b[1;31mé\x1b[0m€\x1b]8;;http://x\x1b\\link\x1b]0;title\x07\x1b(B😀\x1b[K."
            .as_bytes();
        let want = "aé<1>€link😀Erase(ToEnd).";
        for first in 0..=text.len() {
            for second in first..=text.len() {
                let parts = [&text[..first], &text[first..second], &text[second..]];
                assert_eq!(read(&parts), want, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn what_is_no_utf8_is_replaced_wherever_it_is_cut() {
        let text = b"caf\xe9 \xf0\x9f\x98 \xff";
        for at in 0..=text.len() {
            assert_eq!(
                read(&[&text[..at], &text[at..]]),
                "caf\u{fffd} \u{fffd} \u{fffd}"
            );
        }
        assert_eq!(read(&[b"end\xe2\x82"]), "end\u{fffd}", "at the very end");
    }

    #[test]
    fn what_is_not_for_a_line_of_text_is_left_out() {
        assert_eq!(
            read(&[b"\x1b[?25l\x1b[2J\x1b[10;5Ha\x1b[3A\x1b=\x1b7b\x07\0c"]),
            "abc"
        );
        assert_eq!(read(&["a\u{2029}b\u{9b}c".as_bytes()]), "a bc");
        assert_eq!(read(&[b"\x1bPq#0;2;0\x1b\\shown"]), "shown");
        assert_eq!(
            read(&[b"1\r2\x08\t\x1b[5G\x1b[1K\x1b[2K\n"]),
            "1←2⌫→Column(4)Erase(ToBegin)Erase(All)⏎"
        );
    }

    #[test]
    fn a_sequence_that_is_broken_off_takes_nothing_with_it() {
        assert_eq!(read(&[b"\x1b[12\nnext"]), "⏎next");
        assert_eq!(read(&[b"\x1b[12\x1b[31mred"]), "r<1>e<1>d<1>");
        assert_eq!(read(&[b"\x1b]title\x18shown"]), "shown");
        assert_eq!(read(&["\x1bé\x1b[1é".as_bytes()]), "éé");
    }

    #[test]
    fn a_sequence_without_an_end_is_given_up_and_holds_little() {
        for begin in ["\x1b[", "\x1b]", "\x1bP", "\x1b"] {
            let filler = if begin == "\x1b" { " " } else { "1" };
            let mut parser = Parser::default();
            parser.feed(begin.as_bytes(), |act| panic!("{act:?}"));
            for _ in 0..100_000 {
                parser.feed(filler.as_bytes(), |_| {});
            }
            assert!(parser.parameters.capacity() <= 2 * PARAMETERS);
            let mut shown = 0;
            parser.feed(b"shown", |_| shown += 1);
            assert_eq!(shown, 5, "after {begin:?}");
        }
    }
}
