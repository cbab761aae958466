//! What a thousand idle workers cost an app that has something else to do.
//!
//! There are two main contexts in one app, on one thread and measured in turns: one has only an echo job, the other the
//! same and a thousand idle workers. So the machine is the same for both, and they differ only in what the main loop
//! has to watch. The figures from before the thousand were started show what their mere existence costs.

use glib::MainContext;
use legwork::prelude::*;
use legwork::{JobHandle, Worker};
use legwork_benches::clock;
use legwork_benches::jobs::Idle;

use super::call::{CALLS, EchoJob};
use crate::machine::{limit_descriptors, pin, sibling, unpin};
use crate::report::{Bar, Entry, Row};
use crate::samples::{Unit::Nanoseconds, in_turns};
use crate::{Effort, Result};

const WORKERS: usize = 1000;
const ITERATIONS: usize = 1000;

pub(crate) fn answer(effort: Effort, row: &mut Row) -> Result<()> {
    row.note(at_the_usual_limit()?);
    limit_descriptors(16 * 1024)?;
    let rounds = effort.of(200, 30);
    let (few, many) = (MainContext::new(), MainContext::new());
    let empty = MainContext::new();
    let (mut few_echo, mut many_echo) = (EchoJob::start(&few)?, EchoJob::start(&many)?);
    for echo in [&few_echo, &many_echo] {
        pin(echo.pid()?, 0)?;
    }
    pin(std::process::id(), 0)?;
    let [call_before, iteration_before] = in_turns(
        rounds,
        [&mut || few_echo.call(CALLS), &mut || iteration(&few)],
    )?;

    unpin(std::process::id())?;
    let idle = start(&many, WORKERS)?;
    pin(std::process::id(), 0)?;
    let [
        call_few,
        call_many,
        iteration_empty,
        iteration_few,
        iteration_many,
    ] = in_turns(
        rounds,
        [
            &mut || few_echo.call(CALLS),
            &mut || many_echo.call(CALLS),
            &mut || iteration(&empty),
            &mut || iteration(&few),
            &mut || iteration(&many),
        ],
    )?;
    drop(idle);
    unpin(std::process::id())?;

    let call_many = call_many.figure("beside 1,000 idle workers", Nanoseconds);
    let iteration_many = iteration_many.figure("beside 1,000 idle workers", Nanoseconds);
    let none = "beside none";
    let before = "before they were started";
    let case = "64-byte call";
    row.add(
        Entry::beside(case, call_many.clone(), call_few.figure(none, Nanoseconds))
            .bar(Bar::Ratio(1.2)),
    );
    row.add(Entry::beside(
        case,
        call_many,
        call_before.figure(before, Nanoseconds),
    ));
    let case = "empty iteration";
    row.add(
        Entry::beside(
            case,
            iteration_many.clone(),
            iteration_few.figure(none, Nanoseconds),
        )
        .bar(Bar::Ratio(1.2)),
    );
    row.add(Entry::beside(
        case,
        iteration_many.clone(),
        iteration_before.figure(before, Nanoseconds),
    ));
    row.add(Entry::beside(
        case,
        iteration_many,
        iteration_empty.figure("a context without Legwork", Nanoseconds),
    ));
    Ok(())
}

/// Returns how many idle workers start at the usual limit, and the error of the next one.
fn at_the_usual_limit() -> Result<String> {
    let raised = limit_descriptors(1024)?;
    let context = MainContext::new();
    let mut jobs = Vec::new();
    let refused = loop {
        match start(&context, 1) {
            Ok(_) if jobs.len() > 1024 => return Err("more jobs than descriptors".into()),
            Ok(job) => jobs.extend(job),
            Err(error) => break error,
        }
    };
    limit_descriptors(raised)?;
    Ok(format!(
        "with a limit of 1,024 descriptors {} jobs run, and the next one fails: {refused}",
        jobs.len()
    ))
}

/// Starts `count` idle workers and waits until they run.
pub(super) fn start(context: &MainContext, count: usize) -> Result<Vec<JobHandle<Idle>>> {
    let worker = Worker::program(sibling("bench-worker")?);
    context.block_on(async {
        let mut jobs = Vec::with_capacity(count);
        for _ in 0..count {
            let mut job = Idle.builder().worker(&worker).spawn();
            if job.message().await.is_none() {
                job.await?;
                return Err("an idle job ended".into());
            }
            jobs.push(job);
        }
        Ok(jobs)
    })
}

/// Returns the nanoseconds of one iteration that has nothing to do.
fn iteration(context: &MainContext) -> Result<f64> {
    let _owned = context.acquire()?;
    let started = clock::now();
    for _ in 0..ITERATIONS {
        context.iteration(false);
    }
    Ok((clock::now() - started) as f64 / ITERATIONS as f64)
}
