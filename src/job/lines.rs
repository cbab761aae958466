//! What a worker prints, cut into lines.

use std::collections::VecDeque;

use crate::wire::nul::lossy;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
    /// The rest of an overlong line is skipped.
    skip: bool,
}

const LINE_MAX: usize = 8 * 1024;
const TAIL_MAX: usize = 8 * 1024;

impl Lines {
    /// Takes what was read, and hands out the complete lines.
    pub(super) fn feed(&mut self, bytes: &[u8], mut line: impl FnMut(String)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let whole = part.ends_with(b"\n");
            if !self.skip {
                let room = LINE_MAX - self.rest.len();
                let text = part.strip_suffix(b"\n").unwrap_or(part);
                self.rest.extend_from_slice(&text[..text.len().min(room)]);
                if text.len() > room {
                    self.rest.extend_from_slice("…".as_bytes());
                    self.skip = true;
                }
            }
            if whole || self.skip {
                if !self.rest.is_empty() || !self.skip {
                    line(lossy(&self.rest));
                }
                self.rest.clear();
            }
            if whole {
                self.skip = false;
            }
        }
    }

    /// Hands out the last line, if it is incomplete.
    pub(super) fn finish(&mut self, mut line: impl FnMut(String)) {
        if !self.rest.is_empty() {
            line(lossy(&self.rest));
            self.rest.clear();
        }
    }
}

/// The last of all that a worker has printed.
#[derive(Debug, Default)]
pub(super) struct Tail(VecDeque<u8>);

impl Tail {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        let surplus = self.0.len().saturating_sub(TAIL_MAX);
        self.0.drain(..surplus);
    }

    pub(super) fn text(&mut self) -> String {
        lossy(self.0.make_contiguous())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(parts: &[&[u8]]) -> Vec<String> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for part in parts {
            lines.feed(part, |line| out.push(line));
        }
        lines.finish(|line| out.push(line));
        out
    }

    #[test]
    fn lines_are_whole_however_they_arrive() {
        assert_eq!(
            lines(&[b"on", b"e\ntw", b"o\n\nthree"]),
            ["one", "two", "", "three"]
        );
    }

    #[test]
    fn a_line_without_end_is_cut_once_and_the_next_is_whole() {
        let long = vec![b'x'; LINE_MAX + 1];
        let out = lines(&[&long, &long, b"\nnext\n"]);
        assert_eq!(out.len(), 2);
        assert!(out[0].ends_with("x…"));
        assert_eq!(out[0].len(), LINE_MAX + "…".len());
        assert_eq!(out[1], "next");
        let exact = [vec![b'x'; LINE_MAX], b"\n".to_vec()].concat();
        assert_eq!(lines(&[&exact])[0].len(), LINE_MAX);
    }
}
