//! Throughput: messages from one job, and jobs one after the other. For information; there is no bar.
//!
//! The peer of the messages is a bare socketpair with one blocking write and one blocking read each, without encoding.
//! The peer of the jobs is an empty Rust program, spawned and waited for.

use glib::MainContext;
use legwork::Worker;
use legwork::prelude::*;
use legwork_benches::clock;
use legwork_benches::jobs::{FirstLine, Stream};

use crate::machine::sibling;
use crate::peers::channel::Notes;
use crate::peers::native::Program;
use crate::report::{Entry, Row};
use crate::samples::{Unit::PerSecond, in_turns};
use crate::{Effort, Result};

const NOTES: usize = 20_000;
const JOBS: usize = 20;

pub(crate) fn answer(effort: Effort, row: &mut Row) -> Result<()> {
    let context = MainContext::new();
    let worker = Worker::program(sibling("bench-worker")?);
    let bare = Notes::start(NOTES)?;
    let empty = Program::new(&sibling("bench-empty")?, &[])?;
    let [job, bare] = in_turns(
        effort.of(30, 5),
        [
            &mut || {
                context.block_on(async {
                    let mut job = Stream { notes: NOTES }.builder().worker(&worker).spawn();
                    job.message().await.ok_or("the job ended")?;
                    let started = clock::now();
                    let mut count = 1;
                    while job.message().await.is_some() {
                        count += 1;
                    }
                    let took = clock::now() - started;
                    job.await?;
                    Ok(f64::from(count) * 1e9 / took as f64)
                })
            },
            &mut || {
                let started = clock::now();
                bare.receive()?;
                Ok(NOTES as f64 * 1e9 / (clock::now() - started) as f64)
            },
        ],
    )?;
    row.add(Entry::beside(
        "128-byte messages one way",
        job.figure("a job's messages", PerSecond),
        bare.figure("bare socketpair", PerSecond),
    ));
    let [job, bare] = in_turns(
        effort.of(30, 5),
        [
            &mut || {
                let started = clock::now();
                for _ in 0..JOBS {
                    context
                        .block_on(async { FirstLine.builder().worker(&worker).spawn().await })?;
                }
                Ok(JOBS as f64 * 1e9 / (clock::now() - started) as f64)
            },
            &mut || {
                let started = clock::now();
                for _ in 0..JOBS {
                    empty.spawn()?.wait()?;
                }
                Ok(JOBS as f64 * 1e9 / (clock::now() - started) as f64)
            },
        ],
    )?;
    row.add(Entry::beside(
        "one after the other",
        job.figure("jobs in new lean workers", PerSecond),
        bare.figure("empty Rust programs", PerSecond),
    ));
    Ok(())
}
