//! What this machine costs every program: starts, round trips and transfers without Legwork.
//!
//! There are no bars here. The other rows build on these figures, which also show whether the machine was idle in a
//! run.

use legwork_benches::{clock, data};

use crate::machine::{pin, sibling, unpin};
use crate::peers::channel::{Echo, Notes, Pipe};
use crate::peers::native::{Ballast, Pages, Program};
use crate::report::{Entry, Row};
use crate::samples::{Samples, Unit::Nanoseconds, Unit::PerSecond, in_turns};
use crate::{Effort, Result};

const CALLS: usize = 500;
const NOTES: usize = 20_000;
const GIB: usize = 1 << 30;

pub(crate) fn answer(effort: Effort, row: &mut Row) -> Result<()> {
    births(effort, row)?;
    calls(effort, row)?;
    transfers(effort, row)
}

fn births(effort: Effort, row: &mut Row) -> Result<()> {
    let rust = Program::new(&sibling("bench-empty")?, &[])?;
    let c = Program::new(&sibling("bench-empty-c")?, &[])?;
    let timed = |start: &dyn Fn() -> Result<()>| -> Result<f64> {
        let started = clock::now();
        start()?;
        Ok((clock::now() - started) as f64)
    };
    for (case, gib, rounds) in [
        ("app holds 0 GiB", 0, effort.of(300, 50)),
        ("app holds 4 GiB", 4, effort.of(30, 5)),
    ] {
        let _ballast = Ballast::hold((gib * GIB).max(4096), Pages::Small)?;
        let [spawned, forked, empty_c] = in_turns(
            rounds,
            [
                &mut || timed(&|| Ok(rust.spawn()?.wait()?)),
                &mut || timed(&|| Ok(rust.fork_and_exec()?.wait()?)),
                &mut || timed(&|| Ok(c.spawn()?.wait()?)),
            ],
        )?;
        let spawned = spawned.figure("posix_spawn, empty Rust", Nanoseconds);
        row.add(Entry::beside(
            case,
            forked.figure("fork+exec, empty Rust", Nanoseconds),
            spawned.clone(),
        ));
        row.add(Entry::beside(
            case,
            empty_c.figure("posix_spawn, empty C", Nanoseconds),
            spawned,
        ));
    }
    Ok(())
}

fn calls(effort: Effort, row: &mut Row) -> Result<()> {
    let echo = Echo::start()?;
    let context = glib::MainContext::new();
    let per_call = |calls: &dyn Fn() -> Result<()>| -> Result<f64> {
        let started = clock::now();
        calls()?;
        Ok((clock::now() - started) as f64 / CALLS as f64)
    };
    for (case, theirs) in [
        ("64-byte call, one processor", 0),
        ("64-byte call, two processors", 1),
    ] {
        pin(std::process::id(), 0)?;
        pin(echo.pid(), theirs)?;
        let [blocking, source] = in_turns(
            effort.of(200, 20),
            [&mut || per_call(&|| echo.call_blocking(CALLS)), &mut || {
                per_call(&|| context.with_thread_default(|| echo.call_from(&context, CALLS))?)
            }],
        )?;
        row.add(Entry::beside(
            case,
            source.figure("GMainContext source", Nanoseconds),
            blocking.figure("blocking socketpair", Nanoseconds),
        ));
    }
    unpin(std::process::id())?;
    let notes = Notes::start(NOTES)?;
    let mut rate = Samples::default();
    for _ in 0..effort.of(20, 5) {
        let started = clock::now();
        notes.receive()?;
        rate.push(NOTES as f64 * 1e9 / (clock::now() - started) as f64);
    }
    row.add(Entry::alone(
        "128-byte messages one way",
        rate.figure("blocking socketpair", PerSecond),
    ));
    Ok(())
}

fn transfers(effort: Effort, row: &mut Row) -> Result<()> {
    let (mut fresh, mut whole, mut pieces) =
        (Pipe::fresh(GIB)?, Pipe::whole(GIB)?, Pipe::pieces(GIB)?);
    let [fresh, whole, pieces] = in_turns(
        effort.of(6, 1),
        [
            &mut || receive(&mut fresh),
            &mut || receive(&mut whole),
            &mut || receive(&mut pieces),
        ],
    )?;
    let case = "1 GiB, fill to last byte read";
    let fresh = fresh.figure("pipe, from new memory", Nanoseconds);
    row.add(Entry::beside(
        case,
        whole.figure("1 MiB pipe, from kept memory", Nanoseconds),
        fresh.clone(),
    ));
    row.add(Entry::beside(
        case,
        pieces.figure("1 MiB pipe, piecewise", Nanoseconds),
        fresh,
    ));
    Ok(())
}

/// Nanoseconds from the first byte filled to the last byte read.
pub(super) fn receive(pipe: &mut Pipe) -> Result<f64> {
    let (started, bytes) = pipe.receive()?;
    std::hint::black_box(data::sum(bytes));
    Ok((clock::now() - started) as f64)
}
