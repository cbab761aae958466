//! 256 MiB to a program and back at the same time, and all of it is kept.
//!
//! The peer is a bare pair of pipes in one `poll` loop, which also keeps the bytes: the minimum that is possible
//! without a thread. A run that reads only a part and discards the rest shows what the app's memory does meanwhile.

use std::path::Path;

use glib::MainContext;
use legwork::{Command, Stdio, Worker};
use legwork_benches::clock;

use crate::machine::{peak_memory, sibling};
use crate::peers::native::Program;
use crate::peers::pipes;
use crate::report::{Bar, Entry, Row};
use crate::samples::{Figure, Unit, in_turns};
use crate::{Effort, Result};

const LENGTH: usize = 256 << 20;
/// How much of an output is kept when less than all is wanted.
const KEPT: usize = 1 << 20;

pub(crate) fn answer(effort: Effort, row: &mut Row) -> Result<()> {
    let context = MainContext::new();
    let worker = sibling("bench-worker")?;
    // Measured before anything large was held.
    let before = peak_memory(std::process::id())?;
    let kept = context.block_on(command(&worker, "pour").output_limit(KEPT).output())?;
    if kept.stdout.len() != KEPT || !kept.truncated {
        return Err("the limit was not respected".into());
    }
    drop(kept);
    let grown = peak_memory(std::process::id())? - before;

    let mut bytes = vec![0; LENGTH];
    legwork_benches::data::fill(&mut bytes, 1);
    let native = Program::new(&worker, &["copy"])?;
    let [ours, bare] = in_turns(
        effort.of(10, 2),
        [
            &mut || {
                // Whose bytes they are does not matter to the figure, but an app's are its own.
                let input = bytes.clone();
                let started = clock::now();
                let copy = command(&worker, "copy").stdin(Stdio::bytes(input));
                let output = context.block_on(copy.output())?;
                let took = clock::now() - started;
                check(&output.stdout)?;
                Ok(took as f64)
            },
            &mut || {
                let started = clock::now();
                let output = pipes::communicate(&native, &bytes)?;
                let took = clock::now() - started;
                check(&output)?;
                Ok(took as f64)
            },
        ],
    )?;
    let ours = ours.figure("Command::output", Unit::Nanoseconds);
    let bare = bare.figure("bare pair of pipes", Unit::Nanoseconds);
    // 0.8 of the throughput.
    row.add(Entry::beside("256 MiB each way", ours, bare).bar(Bar::Ratio(1.25)));
    let grown = Figure::once("peak memory grown by", Unit::Bytes, grown);
    row.add(Entry::alone("256 MiB read, 1 MiB kept", grown).bar(Bar::AtMost(8e6)));
    Ok(())
}

fn command(worker: &Path, what: &str) -> Command {
    Command::new(worker)
        .arg(what)
        .helper(&Worker::program(worker))
}

fn check(output: &[u8]) -> Result<()> {
    match output.len() {
        LENGTH => Ok(()),
        length => Err(format!("{length} bytes came back").into()),
    }
}
