#![no_main]
//! What programs write: lines and drawn lines, wherever the reads fall, and the progress in them.

use std::time::Duration;

use legwork_fuzz::below;
use lines::{DrawnLineSplitter, LineSplitter, RawLine};
use progress::LineProgress;

#[allow(dead_code)]
#[path = "../../src/command/lines.rs"]
mod lines;
#[allow(dead_code)]
#[path = "../../src/wire/nul.rs"]
mod nul;
#[allow(dead_code)]
#[path = "../../src/job/lines.rs"]
mod printed;
#[allow(dead_code)]
#[path = "../../src/command/progress.rs"]
mod progress;
#[allow(dead_code)]
#[path = "../../src/text.rs"]
mod text;
mod wire {
    pub(crate) use crate::nul;
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((at, written)) = bytes.split_first() {
        below(1 << 20, || read(usize::from(*at), written));
    }
});

fn read(at: usize, written: &[u8]) {
    let (first, second) = written.split_at(at.min(written.len()));
    let drawn = |parts: &[&[u8]]| {
        let mut splitter = DrawnLineSplitter::default();
        let mut lines = split(parts, |part| splitter.next_line(part));
        lines.extend(splitter.finish().map(|line| line.bytes));
        lines
    };
    let plain = |parts: &[&[u8]]| {
        let mut splitter = LineSplitter::default();
        let mut lines = split(parts, |part| splitter.next_line(part));
        lines.extend(splitter.finish().map(|line| line.bytes));
        lines
    };
    let printed = |parts: &[&[u8]]| {
        let (mut lines, mut all) = (printed::Lines::default(), Vec::new());
        for part in parts {
            lines.feed(part, |line| all.push(line));
        }
        lines.finish(|line| all.push(line));
        all
    };
    let lines = drawn(&[written]);
    assert_eq!(lines, drawn(&[first, second]));
    assert_eq!(plain(&[written]), plain(&[first, second]));
    assert_eq!(printed(&[written]), printed(&[first, second]));

    let (mut ffmpeg, mut borg) = (progress::ffmpeg(Duration::from_secs(10)), progress::borg());
    for line in lines {
        let line = nul::lossy(&line);
        assert!(!line.contains('\0'));
        if let Some(step) = ffmpeg.line(&line) {
            assert!(step.done <= step.total);
        }
        borg.line(&line);
        if let Some(words) = borg.words(&line) {
            // Nobody is shown its JSON.
            assert!(words != line || !line.trim_start().starts_with('{'));
        }
    }
}

fn split(parts: &[&[u8]], mut next: impl FnMut(&mut &[u8]) -> Option<RawLine>) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    for part in parts {
        let mut rest = *part;
        while let Some(line) = next(&mut rest) {
            lines.push(line.bytes);
        }
    }
    lines
}
