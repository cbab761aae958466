//! The most memory that an idle worker takes: `VmHWM`, the peak of its resident memory.
//!
//! The pages of a program's code and of its C library are shared and counted nevertheless; so the peer is a Rust
//! program that waits on a socket and does nothing else.

use glib::MainContext;
use legwork::prelude::*;
use legwork::{JobHandle, Listed, Worker};
use legwork_benches::jobs::Idle;

use crate::machine::{peak_memory, sibling};
use crate::peers::channel::Waiting;
use crate::report::{Bar, Entry, Row};
use crate::rows::glib_jobs::IdleWithGlib;
use crate::samples::{Samples, Unit::Bytes};
use crate::{Effort, Result};

const MIB: f64 = 1024.0 * 1024.0;

pub(crate) fn answer(effort: Effort, row: &mut Row) -> Result<()> {
    let context = MainContext::new();
    let worker = Worker::program(sibling("bench-worker")?);
    let (mut lean, mut itself, mut bare) =
        (Samples::default(), Samples::default(), Samples::default());
    for _ in 0..effort.of(20, 5) {
        lean.push(
            context.block_on(async { settled(Idle.builder().worker(&worker).spawn()).await })?,
        );
        itself.push(context.block_on(async { settled(IdleWithGlib.spawn()).await })?);
        let waiting = Waiting::start()?;
        std::thread::sleep(SETTLE);
        bare.push(peak_memory(waiting.pid())?);
    }
    let bare = bare.figure("Rust program that waits", Bytes);
    row.add(
        Entry::beside(
            "idle worker",
            lean.figure("lean worker", Bytes),
            bare.clone(),
        )
        .bar(Bar::AtMost(3.0 * MIB)),
    );
    row.add(Entry::beside(
        "idle worker",
        itself.figure("the app's own program", Bytes),
        bare,
    ));
    Ok(())
}

/// Long enough for a program to reach its wait.
const SETTLE: std::time::Duration = std::time::Duration::from_millis(50);

async fn settled<J: Listed<Message = ()>>(mut job: JobHandle<J>) -> Result<f64> {
    let pid = job.pid().ok_or("the job did not start")?;
    job.message().await.ok_or("the job ended")?;
    glib::timeout_future(SETTLE).await;
    peak_memory(pid)
}
