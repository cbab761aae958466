//! A call of 64 bytes to a running job and its answer, through senders, messages and futures.
//!
//! The peer is one GMainContext source and a child that echoes by blocking reads and writes: the minimum for an app
//! with a main loop. Both children run all the time and are called in turns. On one processor a call costs what its
//! code and two context switches cost; on two it costs mostly what it takes to wake a halted processor, whoever does
//! it.

use glib::MainContext;
use legwork::prelude::*;
use legwork::{JobHandle, Sender, Worker};
use legwork_benches::clock;
use legwork_benches::data::Call;
use legwork_benches::jobs;

use crate::machine::{pin, sibling, unpin};
use crate::peers::channel::Echo;
use crate::report::{Bar, Entry, Row};
use crate::samples::{Unit::Nanoseconds, in_turns};
use crate::{Effort, Result};

/// Calls in one reading.
pub(crate) const CALLS: usize = 500;

/// A running job that echoes, and the context that started it.
pub(crate) struct EchoJob {
    context: MainContext,
    job: JobHandle<jobs::Echo>,
    sender: Sender<jobs::Echo>,
}

impl EchoJob {
    pub(crate) fn start(context: &MainContext) -> Result<Self> {
        let worker = Worker::program(sibling("bench-worker")?);
        let job = context.with_thread_default(|| jobs::Echo.builder().worker(&worker).spawn())?;
        let sender = job.sender();
        let mut echo = EchoJob {
            context: context.clone(),
            job,
            sender,
        };
        echo.call(1)?;
        Ok(echo)
    }

    pub(crate) fn pid(&self) -> Result<u32> {
        Ok(self.job.pid().ok_or("the job has no process")?)
    }

    /// Returns the nanoseconds of one call and its answer, on average over `calls`.
    pub(crate) fn call(&mut self, calls: usize) -> Result<f64> {
        let (job, sender) = (&mut self.job, &self.sender);
        let started = clock::now();
        self.context.block_on(async {
            let mut call: Call = [[1; 32]; 2];
            for _ in 0..calls {
                sender.send(call).await?;
                call = job.message().await.ok_or("the job ended")?;
            }
            Result::Ok(())
        })?;
        Ok((clock::now() - started) as f64 / calls as f64)
    }
}

pub(crate) fn answer(effort: Effort, row: &mut Row) -> Result<()> {
    let context = MainContext::new();
    let mut job = EchoJob::start(&context)?;
    let peer = Echo::start()?;
    for (case, theirs, bar) in [("one processor", 0, true), ("two processors", 1, false)] {
        pin(std::process::id(), 0)?;
        pin(job.pid()?, theirs)?;
        pin(peer.pid(), theirs)?;
        let [job, peer] = in_turns(
            effort.of(400, 40),
            [&mut || job.call(CALLS), &mut || {
                let started = clock::now();
                context.with_thread_default(|| peer.call_from(&context, CALLS))??;
                Ok((clock::now() - started) as f64 / CALLS as f64)
            }],
        )?;
        let entry = Entry::beside(
            case,
            job.figure("call to a job", Nanoseconds),
            peer.figure("source and blocking echo", Nanoseconds),
        );
        row.add(if bar {
            entry.bar(Bar::Ratio(1.25))
        } else {
            entry
        });
    }
    unpin(std::process::id())
}
