//! One GiB from a job to the app in sealed memory, step by step, beside a pipe.
//!
//! The clock runs from before the job requests memory until the app has read the last byte. The bars are beside a memfd
//! that another child maps, fills and sends by hand: new memory for each transfer is what either pays for most, so the
//! ratio is the same on a machine that is short of it. A pipe is read into memory that the app keeps and has touched
//! before, and swings with the memory of its child: one creates its bytes in new memory, as the job does, one has them
//! in memory that it keeps, and one never has all of them at once, which is a stream rather than a buffer. Besides the
//! buffer that is filled in place there is one that is written piece by piece.
//!
//! What the main thread notices is measured with another job: the longest time between two polls of its loop while the
//! buffer arrives, its first and last byte are read, and it is dropped there. Everything else that an app does with a
//! GiB belongs on another thread.

use glib::MainContext;
use legwork::prelude::*;
use legwork::{JobHandle, Sender, Worker};
use legwork_benches::jobs::{Fill, Filled};
use legwork_benches::{clock, data};

use super::floor::receive;
use crate::machine::sibling;
use crate::peers::channel::{Memfd, Pipe};
use crate::peers::native::{Watch, watch, watched};
use crate::report::{Bar, Entry, Row};
use crate::samples::{Figure, Samples, Unit::Nanoseconds, in_turns};
use crate::{Effort, Result};

const GIB: usize = 1 << 30;

pub(crate) fn answer(effort: Effort, row: &mut Row) -> Result<()> {
    let context = MainContext::new();
    let mut job = FillJob::start(&context, false)?;
    let mut writing = FillJob::start(&context, true)?;
    let mut memfd = Memfd::start(GIB)?;
    let (mut fresh, mut whole, mut pieces) =
        (Pipe::fresh(GIB)?, Pipe::whole(GIB)?, Pipe::pieces(GIB)?);
    let mut steps = Steps::default();
    let mut steps_of_writing = Steps::default();
    let [buffer, written, memfd, fresh, whole, pieces] = in_turns(
        effort.of(10, 2),
        [
            &mut || job.transfer(&mut steps),
            &mut || writing.transfer(&mut steps_of_writing),
            &mut || receive_memory(&mut memfd),
            &mut || receive(&mut fresh),
            &mut || receive(&mut whole),
            &mut || receive(&mut pieces),
        ],
    )?;
    for step in steps.figures() {
        row.add(Entry::alone("1 GiB Buffer, step", step));
    }
    for step in steps_of_writing.figures() {
        row.add(Entry::alone("1 GiB Buffer, written, step", step));
    }
    drop(writing);
    let memfd = memfd.figure("memfd by hand", Nanoseconds);
    let pipes = [
        fresh.figure("pipe, from new memory", Nanoseconds),
        whole.figure("1 MiB pipe, from kept memory", Nanoseconds),
        pieces.figure("1 MiB pipe, piecewise", Nanoseconds),
    ];
    for (figure, bar) in [
        (buffer.figure("Buffer", Nanoseconds), 0.9),
        (written.figure("Buffer, written", Nanoseconds), 0.7),
    ] {
        let beside =
            |peer: &Figure| Entry::beside("fill to last byte read", figure.clone(), peer.clone());
        row.add(beside(&memfd).bar(Bar::Ratio(bar)));
        pipes.iter().for_each(|pipe| row.add(beside(pipe)));
    }

    let (mut blocked, mut worked) = (Samples::default(), Samples::default());
    for _ in 0..effort.of(10, 2) {
        let felt = job.felt()?;
        blocked.push(felt.longest as f64);
        worked.push(felt.longest_work as f64);
    }
    let longest = Figure {
        median: blocked.quantile(1.0),
        ..blocked.figure("longest of all", Nanoseconds)
    };
    row.add(Entry::alone(
        "main thread between polls",
        blocked.figure("longest of a transfer", Nanoseconds),
    ));
    row.add(Entry::alone("main thread between polls", longest).bar(Bar::AtMost(2e6)));
    row.add(Entry::alone(
        "main thread between polls",
        worked.figure("most processor time", Nanoseconds),
    ));
    Ok(())
}

/// Returns the nanoseconds from the first byte filled to the last byte read.
fn receive_memory(peer: &mut Memfd) -> Result<f64> {
    let (started, memory) = peer.receive()?;
    std::hint::black_box(data::sum(&memory));
    Ok((clock::now() - started) as f64)
}

/// The nanoseconds of each step, over all transfers.
#[derive(Default)]
struct Steps([Samples; 6]);

impl Steps {
    const NAMES: [&str; 6] = [
        "fill",
        "seal",
        "send and map",
        "first byte",
        "all bytes",
        "drop",
    ];

    fn push(&mut self, clocks: [u64; 7]) {
        for (step, pair) in self.0.iter_mut().zip(clocks.windows(2)) {
            step.push((pair[1] - pair[0]) as f64);
        }
    }

    fn figures(&self) -> impl Iterator<Item = Figure> {
        self.0
            .iter()
            .zip(Self::NAMES)
            .map(|(step, name)| step.figure(name, Nanoseconds))
    }
}

struct FillJob {
    context: MainContext,
    job: JobHandle<Fill>,
    sender: Sender<Fill>,
    seed: u64,
}

impl FillJob {
    fn start(context: &MainContext, piecewise: bool) -> Result<Self> {
        let worker = Worker::program(sibling("bench-worker")?);
        let job = context.with_thread_default(|| {
            Fill {
                len: GIB,
                piecewise,
            }
            .builder()
            .worker(&worker)
            .spawn()
        })?;
        let sender = job.sender();
        Ok(FillJob {
            context: context.clone(),
            job,
            sender,
            seed: 0,
        })
    }

    async fn next(&mut self) -> Result<Filled> {
        self.sender.send(()).await?;
        Ok(self.job.message().await.ok_or("the job ended")?)
    }

    /// Returns the nanoseconds from the first byte filled to the last byte read.
    fn transfer(&mut self, steps: &mut Steps) -> Result<f64> {
        let context = self.context.clone();
        let Filled {
            buffer,
            started,
            filled,
            sealed,
        } = context.block_on(self.next())?;
        let arrived = clock::now();
        std::hint::black_box(buffer.first());
        let first = clock::now();
        let sum = data::sum(&buffer);
        let all = clock::now();
        drop(buffer);
        let dropped = clock::now();
        if sum != data::expected_sum(GIB, self.seed) {
            return Err("the bytes that arrived are not the bytes that were sent".into());
        }
        self.seed += 1;
        steps.push([started, filled, sealed, arrived, first, all, dropped]);
        Ok((all - started) as f64)
    }

    /// Returns the longest time between two polls while a buffer arrives, is read and is dropped.
    fn felt(&mut self) -> Result<Watch> {
        let context = self.context.clone();
        self.seed += 1;
        watch(&context);
        context.block_on(async {
            let buffer = self.next().await?.buffer;
            std::hint::black_box((buffer.first(), buffer.last()));
            drop(buffer);
            // The main loop does now whatever it still has to do.
            glib::timeout_future(std::time::Duration::from_millis(100)).await;
            Result::Ok(())
        })?;
        Ok(watched())
    }
}
