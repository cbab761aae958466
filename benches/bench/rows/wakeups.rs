//! Whether an app with idle workers stays asleep.
//!
//! This is counted in three ways over the same seconds: returns from the main loop's poll, wakeups that Legwork counts
//! itself, and how often any thread of the app went to sleep, which it must have woken for. The timer that ends the
//! measurement is one of each, and is not counted.

use std::time::Duration;

use glib::MainContext;

use super::many::start;
use crate::machine::{descriptors, sleeps};
use crate::peers::wakeups::idle;
use crate::report::{Bar, Entry, Row};
use crate::samples::{Figure, Unit};
use crate::{Effort, Result};

const WORKERS: usize = 100;

pub(crate) fn answer(effort: Effort, row: &mut Row) -> Result<()> {
    let context = MainContext::new();
    let seconds = effort.of(10, 3) as u64;
    let time = Duration::from_secs(seconds);
    let none = idle(&context, time / 10);
    let without = descriptors()?;
    let first = start(&context, 1)?;
    let with_one = descriptors()?;
    let others = start(&context, WORKERS - 1)?;
    let with_all = descriptors()?;

    let counted = || legwork::counters().wakeups;
    let (own, slept) = (counted(), sleeps()?);
    let with = idle(&context, time);
    // One sleep until the timer, which woke the thread once.
    let (own, slept) = (counted() - own, (sleeps()? - slept).saturating_sub(1));

    let case = format!("{WORKERS} idle workers, {seconds} s");
    for (name, value) in [
        ("returns from poll", with.wakeups),
        ("counted by Legwork", own),
        ("sleeps of all threads", slept),
    ] {
        row.add(
            Entry::alone(&case, Figure::once(name, Unit::Count, value as f64))
                .bar(Bar::AtMost(0.0)),
        );
    }
    row.add(Entry::alone(
        &case,
        Figure::once("processor time", Unit::Nanoseconds, with.busy as f64),
    ));
    let each = (with_all - with_one) as f64 / (WORKERS - 1) as f64;
    row.add(
        Entry::alone(
            "descriptors in the app",
            Figure::once("each worker", Unit::Count, each),
        )
        .bar(Bar::AtMost(3.0)),
    );
    let once = (with_one - without) as f64 - each;
    row.add(Entry::alone(
        "descriptors in the app",
        Figure::once("beside them, once", Unit::Count, once),
    ));
    row.note(format!(
        "a main loop without Legwork returned {} times from poll in a tenth of the time",
        none.wakeups
    ));
    drop((first, others));
    Ok(())
}
