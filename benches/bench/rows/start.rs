//! From the call that spawns a job to the job's first line.
//!
//! The peer, in turns, is an empty Rust program from its spawn to its end: the minimum that a process in this language
//! costs. The first line reads the clock that all processes share, so the way back is not counted.

use glib::MainContext;
use legwork::Worker;
use legwork::prelude::*;
use legwork_benches::clock;
use legwork_benches::jobs::FirstLine;

use crate::machine::sibling;
use crate::peers::native::Program;
use crate::report::{Bar, Entry, Row};
use crate::rows::glib_jobs::FirstLineWithGlib;
use crate::samples::{Unit::Nanoseconds, in_turns};
use crate::{Effort, Result};

pub(crate) fn answer(effort: Effort, row: &mut Row) -> Result<()> {
    let context = MainContext::new();
    let lean = Worker::program(sibling("bench-worker")?);
    let empty = Program::new(&sibling("bench-empty")?, &[])?;
    let [empty, lean, itself] = in_turns(
        effort.of(500, 60),
        [
            &mut || {
                let started = clock::now();
                empty.spawn()?.wait()?;
                Ok((clock::now() - started) as f64)
            },
            &mut || {
                let started = clock::now();
                let first =
                    context.block_on(async { FirstLine.builder().worker(&lean).spawn().await })?;
                Ok((first - started) as f64)
            },
            &mut || {
                let started = clock::now();
                let first = context.block_on(async { FirstLineWithGlib.spawn().await })?;
                Ok((first - started) as f64)
            },
        ],
    )?;
    let empty = empty.figure("empty Rust, start to exit", Nanoseconds);
    let lean = lean.figure("job in a lean worker", Nanoseconds);
    let itself = itself.figure("job in the app's own program", Nanoseconds);
    row.add(Entry::beside("spawn to first line", lean, empty.clone()).bar(Bar::Ratio(1.5)));
    row.add(Entry::beside("spawn to first line", itself, empty));
    row.note("the app's own program links GLib and GIO here, not GTK");
    Ok(())
}
