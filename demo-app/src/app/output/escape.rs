//! From bytes to characters and actions: UTF-8 and escape sequences, which the `vte` crate parses.
//!
//! Reads may cut both anywhere. Invalid UTF-8 becomes U+FFFD, and sequences without a meaning for a line of text are
//! ignored. A terminal waits for the end of a sequence for ever and ignores the text in between; here a line end or a
//! character that is not ASCII ends it, and so does its length ([`LENGTH_MAX`]).

use vte::{Params, Perform};

use super::style::Style;

/// What a program asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Write(char, Style),
    NewLine,
    /// To the start of the line, whose text is kept until it is overwritten.
    Return,
    Back,
    Tab,
    /// To this column, counted from 0.
    Column(usize),
    Erase(Erase),
}

/// The part of the line that is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Erase {
    ToEnd,
    ToStart,
    All,
}

/// The longest sequence in bytes. The longest ones in use are links, with an address.
const LENGTH_MAX: usize = 4096;

const BELL: u8 = 0x07;
const ESCAPE: u8 = 0x1b;
/// Ends any sequence; ECMA-48 8.3.6.
const CANCEL: u8 = 0x18;

#[derive(Default)]
pub(super) struct Parser {
    // Without the feature `std` it holds a fixed amount of memory.
    vte: vte::Parser,
    style: Style,
    /// The length of the sequence so far; 0 in text.
    length: usize,
    /// Whether the sequence is a string, such as a title or a link, which may contain any character.
    string: bool,
}

impl Parser {
    /// Parses the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Action)) {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            if byte == ESCAPE {
                self.length = 0;
            } else if self.length == 0 {
                // Text up to the next sequence; but the rest of a character that was cut byte by byte, because `vte` 0.15
                // loses characters after one that it completes from a longer text.
                let end = if bytes.len() - rest.len() < 3 && (0x80..0xc0).contains(&byte) {
                    Some(1)
                } else {
                    rest.iter().position(|byte| *byte == ESCAPE)
                };
                let (text, after) = rest.split_at(end.unwrap_or(rest.len()));
                self.advance(text, &mut each);
                rest = after;
                continue;
            } else if self.length == 1 {
                self.string = b"]PX^_".contains(&byte);
            }
            if self.length == LENGTH_MAX || (!byte.is_ascii() && !self.string) {
                self.cancel(&mut each);
                continue;
            }
            self.length += 1;
            let complete = self.advance(&rest[..1], &mut each);
            rest = &rest[1..];
            // For `vte`, a control character does not end a sequence, and BELL only some strings.
            if (complete && byte != ESCAPE) || (byte == BELL && self.string) {
                self.cancel(&mut each);
            }
        }
    }

    /// Ends what is incomplete: there is nothing more to parse.
    pub(super) fn finish(&mut self, mut each: impl FnMut(Action)) {
        self.cancel(&mut each);
    }

    fn cancel(&mut self, each: &mut impl FnMut(Action)) {
        self.length = 0;
        self.advance(&[CANCEL], each);
    }

    /// Returns whether text, a control character or the end of a sequence was among the bytes.
    fn advance(&mut self, bytes: &[u8], each: &mut impl FnMut(Action)) -> bool {
        let mut performer = Performer {
            style: &mut self.style,
            each,
            performed: false,
        };
        self.vte.advance(&mut performer, bytes);
        performer.performed
    }
}

struct Performer<'a, F> {
    style: &'a mut Style,
    each: &'a mut F,
    performed: bool,
}

impl<F: FnMut(Action)> Perform for Performer<'_, F> {
    fn print(&mut self, c: char) {
        self.performed = true;
        match c {
            // A text view starts a new line there.
            '\u{2028}' | '\u{2029}' => (self.each)(Action::Write(' ', *self.style)),
            c if c.is_control() => self.execute(c as u8),
            c => (self.each)(Action::Write(c, *self.style)),
        }
    }

    fn execute(&mut self, byte: u8) {
        self.performed = true;
        (self.each)(match byte {
            b'\n' | 0x0b | 0x0c | 0x85 => Action::NewLine,
            b'\r' => Action::Return,
            0x08 => Action::Back,
            b'\t' => Action::Tab,
            _ => return,
        });
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], _: bool, action: char) {
        self.performed = true;
        if !intermediates.is_empty() {
            return;
        }
        let first = params.iter().next().map_or(0, |param| param[0]);
        match (action, first) {
            ('m', _) => self.style.change(params),
            ('K', 0) => (self.each)(Action::Erase(Erase::ToEnd)),
            ('K', 1) => (self.each)(Action::Erase(Erase::ToStart)),
            ('K', 2) => (self.each)(Action::Erase(Erase::All)),
            ('G', column) => (self.each)(Action::Column(usize::from(column).saturating_sub(1))),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, _: &[u8], _: bool, _: u8) {
        self.performed = true;
    }

    fn osc_dispatch(&mut self, _: &[&[u8]], _: bool) {
        self.performed = true;
    }

    fn unhook(&mut self) {
        self.performed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text, with a sign for each action: ⏎ ← ⌫ →.
    fn read(parts: &[&[u8]]) -> String {
        let mut parser = Parser::default();
        let mut all = String::new();
        let mut each = |action| match action {
            Action::Write(c, style) if style == Style::default() => all.push(c),
            Action::Write(c, style) => {
                let colour = style.foreground.map(|colour| colour.to_string());
                all += &format!("{c}<{}>", colour.unwrap_or_default());
            }
            Action::NewLine => all.push('⏎'),
            Action::Return => all.push('←'),
            Action::Back => all.push('⌫'),
            Action::Tab => all.push('→'),
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
    fn invalid_utf8_is_replaced_wherever_it_is_cut() {
        let text = b"caf\xe9 \xf0\x9f\x98 \xff";
        for at in 0..=text.len() {
            assert_eq!(
                read(&[&text[..at], &text[at..]]),
                "caf\u{fffd} \u{fffd} \u{fffd}"
            );
        }
        assert_eq!(read(&[b"end\xe2\x82"]), "end\u{fffd}", "at the very end");
        let cut: [&[u8]; 2] = [b"\xc3", b"\xa9 \xc3\xa9"];
        assert_eq!(read(&cut), "é é", "after a character that was cut");
    }

    #[test]
    fn what_has_no_meaning_for_a_line_of_text_is_ignored() {
        assert_eq!(
            read(&[b"\x1b[?25l\x1b[2J\x1b[10;5Ha\x1b[3A\x1b=\x1b7b\x07\0c"]),
            "abc"
        );
        assert_eq!(read(&["a\u{2029}b\u{9b}c".as_bytes()]), "a bc");
        assert_eq!(read(&[b"\x1bPq#0;2;0\x1b\\shown"]), "shown");
        assert_eq!(
            read(&[b"1\r2\x08\t\x1b[5G\x1b[1K\x1b[2K\n"]),
            "1←2⌫→Column(4)Erase(ToStart)Erase(All)⏎"
        );
    }

    #[test]
    fn a_sequence_that_is_interrupted_hides_no_text() {
        assert_eq!(read(&[b"\x1b[12\nnext"]), "⏎next");
        assert_eq!(read(&[b"\x1b[12\x1b[31mred"]), "r<1>e<1>d<1>");
        assert_eq!(read(&[b"\x1b]title\x18shown"]), "shown");
        assert_eq!(read(&["\x1bé\x1b[1é".as_bytes()]), "éé");
    }

    #[test]
    fn the_memory_of_a_parser_is_bounded() {
        // The buffer of `vte` is inside it; with the feature `std` it would be a vector that grows.
        assert!((1024..4096).contains(&size_of::<Parser>()));
    }

    #[test]
    fn a_sequence_without_an_end_is_cancelled_and_takes_no_memory() {
        for begin in ["\x1b[", "\x1b]", "\x1bP", "\x1b"] {
            let filler = if begin == "\x1b" { " " } else { "1" };
            let mut parser = Parser::default();
            parser.feed(begin.as_bytes(), |action| panic!("{action:?}"));
            for _ in 0..100_000 {
                parser.feed(filler.as_bytes(), |_| {});
            }
            let mut shown = 0;
            parser.feed(b"shown", |_| shown += 1);
            assert_eq!(shown, 5, "after {begin:?}");
        }
    }
}
