//! Splits what a program writes into lines, as a file has them or as a terminal shows them.

/// Splits bytes into lines at `\n`, at `\r` as programs write it that redraw a progress line, and at both as one.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    /// The line that has not ended yet.
    partial: Vec<u8>,
    after_return: bool,
    cut: bool,
}

/// The longest line, in bytes (64 KiB): the rest of a longer one is left out.
const LINE_MAX: usize = 64 * 1024;

/// One line as bytes.
pub(super) struct RawLine {
    pub(super) bytes: Vec<u8>,
    /// It was longer than [`LINE_MAX`].
    pub(super) cut: bool,
}

impl LineSplitter {
    /// Takes bytes from the front, up to the end of a line or all of them.
    pub(super) fn next_line(&mut self, bytes: &mut &[u8]) -> Option<RawLine> {
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            if let Some(line) = self.push(byte) {
                return Some(line);
            }
        }
        None
    }

    fn push(&mut self, byte: u8) -> Option<RawLine> {
        let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
        match byte {
            b'\n' if after_return => return None,
            b'\n' | b'\r' => return Some(self.end()),
            _ if self.partial.len() < LINE_MAX => self.partial.push(byte),
            _ => self.cut = true,
        }
        None
    }

    /// The last line, if nothing ended it.
    pub(super) fn finish(&mut self) -> Option<RawLine> {
        (!self.partial.is_empty()).then(|| self.end())
    }

    fn end(&mut self) -> RawLine {
        RawLine {
            bytes: std::mem::take(&mut self.partial),
            cut: std::mem::take(&mut self.cut),
        }
    }
}

/// Splits the output of a program that draws a line over and over. A line also ends where the program goes back in it:
/// at a backspace, and at an escape sequence that moves the cursor or erases. Escape sequences are left out.
#[derive(Debug, Default)]
pub(super) struct DrawnLineSplitter {
    lines: LineSplitter,
    escape: Escape,
}

/// Where in an escape sequence it is; see console_codes(4).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Begun,
    /// `ESC [`: up to its last byte, which says what it does.
    Control,
    /// `ESC ]`: up to a bell, or `ESC \`.
    SystemCommand,
}

impl DrawnLineSplitter {
    /// Takes bytes from the front, up to the end of a line or all of them.
    pub(super) fn next_line(&mut self, bytes: &mut &[u8]) -> Option<RawLine> {
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            let escape = std::mem::take(&mut self.escape);
            let line = match (escape, byte) {
                (_, 0x1b) => {
                    self.escape = Escape::Begun;
                    None
                }
                (Escape::None, 0x08) => self.lines.finish(),
                (Escape::None, _) => self.lines.push(byte),
                (Escape::Begun, b'[' | b']') => {
                    self.escape = match byte {
                        b'[' => Escape::Control,
                        _ => Escape::SystemCommand,
                    };
                    None
                }
                // It restores the cursor.
                (Escape::Begun, b'8') => self.lines.finish(),
                (Escape::Begun, _) | (Escape::SystemCommand, 0x07) => None,
                // Colours change nothing.
                (Escape::Control, b'm') => None,
                (Escape::Control, 0x40..=0x7e) => self.lines.finish(),
                (Escape::Control | Escape::SystemCommand, _) => {
                    self.escape = escape;
                    None
                }
            };
            if line.is_some() {
                return line;
            }
        }
        None
    }

    /// The last line, if nothing ended it.
    pub(super) fn finish(&mut self) -> Option<RawLine> {
        self.lines.finish()
    }

    /// The line that has not ended yet.
    pub(super) fn partial(&self) -> &[u8] {
        &self.lines.partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(parts: &[&[u8]]) -> Vec<String> {
        let mut splitter = LineSplitter::default();
        let mut lines = Vec::new();
        for mut part in parts.iter().copied() {
            while let Some(line) = splitter.next_line(&mut part) {
                lines.push(line.bytes);
            }
        }
        lines.extend(splitter.finish().map(|line| line.bytes));
        lines
            .into_iter()
            .map(|line| String::from_utf8(line).unwrap())
            .collect()
    }

    #[test]
    fn lines_end_at_each_kind_of_end_wherever_the_reads_fall() {
        let want = ["one", "two", "three", "", "four"];
        let text = b"one\ntwo\r\nthree\r\rfour";
        for at in 0..text.len() {
            assert_eq!(split(&[&text[..at], &text[at..]]), want, "read at {at}");
        }
    }

    #[test]
    fn a_line_of_the_greatest_length_is_whole_and_one_byte_more_is_cut() {
        for (length, is_cut) in [(LINE_MAX, false), (LINE_MAX + 1, true)] {
            let mut splitter = LineSplitter::default();
            assert!(splitter.next_line(&mut &*vec![b'x'; length]).is_none());
            let line = splitter.next_line(&mut &b"\n"[..]).unwrap();
            assert_eq!((line.bytes.len(), line.cut), (LINE_MAX, is_cut));
        }
    }

    #[test]
    fn a_drawn_line_ends_where_the_program_goes_back_in_it() {
        #[rustfmt::skip]
        let rows: [(&str, &str, &[&str]); 15] = [
            ("as any other", "10%\n20%\r\n\n30%", &["10%", "20%", "", "30%"]),
            ("return after the text", "10%\r20%\r", &["10%", "20%"]),
            ("return before the text", "\r10%\r20%", &["", "10%", "20%"]),
            ("backspaces", " 10%\x08\x08\x08\x08 20%\x08\x08\x08\x08\n", &[" 10%", " 20%", ""]),
            ("backspaces and blanks", "10%\x08\x08\x08   \x08\x08\x0820%", &["10%", "   ", "20%"]),
            ("erase the line", "10%\x1b[2K\r20%\x1b[2K\r", &["10%", "", "20%", ""]),
            ("erase the rest", "\r10%\x1b[K\r20%\x1b[K", &["", "10%", "", "20%"]),
            ("to a column", "10%\x1b[G20%\x1b[1G30%", &["10%", "20%", "30%"]),
            ("to the left", "10%\x1b[3D20%", &["10%", "20%"]),
            ("up", "a 10%\nb 10%\x1b[1A\x1b[6Da 20%", &["a 10%", "b 10%", "a 20%"]),
            ("restore", "\x1b710%\x1b820%", &["10%", "20%"]),
            ("erase the screen", "10%\x1b[H\x1b[2J20%", &["10%", "20%"]),
            ("colours", "\x1b[1;32m10\x1b[0m%\n", &["10%"]),
            ("title", "\x1b]0;10%\x0720%\x1b]0;30%\x1b\\\n", &["20%"]),
            ("a sequence without an end", "10%\x1b[12;", &["10%"]),
        ];
        for (name, text, want) in rows {
            for at in 0..text.len() {
                let mut splitter = DrawnLineSplitter::default();
                let mut lines = Vec::new();
                for mut part in [&text.as_bytes()[..at], &text.as_bytes()[at..]] {
                    while let Some(line) = splitter.next_line(&mut part) {
                        lines.push(line.bytes);
                    }
                }
                lines.extend(splitter.finish().map(|line| line.bytes));
                let lines: Vec<_> = lines
                    .iter()
                    .map(|line| String::from_utf8_lossy(line))
                    .collect();
                assert_eq!(lines, want, "{name}, read at {at}");
            }
        }
    }
}
