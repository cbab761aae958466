//! Scene S1: a child that uses GLib, and what its parent does meanwhile.
//!
//! The control is the old way: a process forks without exec, and the child wakes the main context that it inherited,
//! with which it shares the wakeup descriptor. The control ruins the process that it runs in, so it has one of its own.
//! The job does the same for the same two seconds in a worker, which has a main context of its own.

use std::process::Command;
use std::time::Duration;

use glib::MainContext;
use legwork::prelude::*;

use crate::peers::wakeups::{Idle, idle};
use crate::report::{Bar, Entry, Row};
use crate::rows::glib_jobs::UsesGlib;
use crate::samples::{Figure, Unit};
use crate::{Effort, Result};

const TIME: Duration = Duration::from_secs(2);

pub(crate) fn answer(_: Effort, row: &mut Row) -> Result<()> {
    let control = Command::new(std::env::current_exe()?)
        .args(["--control", "wakeups"])
        .output()?;
    let control: Idle = serde_json::from_slice(&control.stdout).map_err(|_| {
        format!(
            "the control printed nothing: {}",
            String::from_utf8_lossy(&control.stderr)
        )
    })?;

    let context = MainContext::new();
    let mut job = context.with_thread_default(|| {
        UsesGlib {
            time: TIME * 2,
            // Does not divide the two seconds, so that the last does not come together with their end.
            messages: 9,
        }
        .spawn()
    })?;
    context.block_on(job.message()).ok_or("the job ended")?;
    let frames = legwork::counters().frames;
    let with = idle(&context, TIME);
    let frames = legwork::counters().frames - frames;

    let case = "parent idle for 2 s";
    row.add(
        Entry::beside(
            case,
            Figure::once("a job uses GLib", Unit::Nanoseconds, with.busy as f64),
            Figure::once(
                "a forked child uses GLib",
                Unit::Nanoseconds,
                control.busy as f64,
            ),
        )
        .bar(Bar::AtMost(20e6)),
    );
    row.add(
        Entry::beside(
            case,
            Figure::once("iterations with the job", Unit::Count, with.wakeups as f64),
            Figure::once("with the forked child", Unit::Count, control.wakeups as f64),
        )
        .bar(Bar::AtMost(frames as f64 + 2.0)),
    );
    row.note(format!(
        "{frames} frames arrived from the job; the bar on iterations is two more"
    ));
    Ok(())
}
