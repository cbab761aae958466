//! Splits what a program writes into lines.

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
    pub(super) fn feed(&mut self, bytes: &[u8], mut line: impl FnMut(RawLine)) {
        for &byte in bytes {
            let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if after_return => (),
                b'\n' | b'\r' => line(self.end()),
                _ if self.partial.len() < LINE_MAX => self.partial.push(byte),
                _ => self.cut = true,
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn split(parts: &[&[u8]]) -> Vec<String> {
        let mut splitter = LineSplitter::default();
        let mut lines = Vec::new();
        for part in parts {
            splitter.feed(part, |line| lines.push(line.bytes));
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
            let mut lines = Vec::new();
            let mut splitter = LineSplitter::default();
            splitter.feed(&vec![b'x'; length], |line| lines.push(line));
            splitter.feed(b"\n", |line| lines.push(line));
            assert_eq!((lines[0].bytes.len(), lines[0].cut), (LINE_MAX, is_cut));
        }
    }
}
