//! How long one start blocks the calling thread.
//!
//! All of them start the same program, in turns, and the clock stops when the call returns. Legwork is measured twice:
//! the plan by itself, which does the same as the bare call, and a job, which also creates its control socket, its pipe
//! and its handle. The job is measured as the only one of its context, beside another, and as the first that its
//! context ever has, for which the source on the main loop is created. Beside the job there is also a worker's start by
//! hand: the system calls that it would take without this library, and nothing else. A child has ended before the next
//! one is started, so nobody pays for another's processor time. The app's memory is touched, in 4 KiB pages, because a
//! fork has to copy their page tables.
//!
//! GSubprocess takes turns with a job separately from these, in the same run: a fork leaves the app's whole memory
//! write-protected, and whoever comes after it pays for the faults.

use std::path::Path;

use glib::MainContext;
use legwork::Worker;
use legwork::prelude::*;
use legwork::spawn::{Plan, Program};
use legwork_benches::clock;
use legwork_benches::jobs::FirstLine;

use crate::machine::sibling;
use crate::peers::by_hand::ByHand;
use crate::peers::native::{self, Ballast, Pages};
use crate::report::{Bar, Entry, Row};
use crate::samples::{Unit::Nanoseconds, in_turns};
use crate::{Effort, Result};

const GIB: usize = 1 << 30;

pub(crate) fn answer(effort: Effort, row: &mut Row) -> Result<()> {
    let rounds = effort.of(500, 60);
    for (case, pages) in [
        ("app holds 0 GiB", None),
        ("app holds 4 GiB, 4 KiB pages", Some(Pages::Small)),
        ("app holds 4 GiB, huge pages", Some(Pages::Huge)),
    ] {
        // A fork of 4 GiB takes a tenth of a second.
        let forks = if pages.is_some() { rounds / 5 } else { rounds };
        hold(row, case, pages, rounds, forks)?;
    }
    Ok(())
}

fn hold(
    row: &mut Row,
    case: &str,
    pages: Option<Pages>,
    rounds: usize,
    forks: usize,
) -> Result<()> {
    let _ballast = pages
        .map(|pages| Ballast::hold(4 * GIB, pages))
        .transpose()?;
    let program = sibling("bench-worker")?;
    let bare = native::Program::new(&program, &["exit"])?;
    let context = MainContext::new();
    let worker = Worker::program(&program);
    let shared = MainContext::new();
    let _other = super::many::start(&shared, 1)?;
    let by_hand = ByHand::new(native::Program::new(&program, &["exit"])?)?;
    let by_gio = in_turns(
        forks,
        [
            &mut || context.with_thread_default(|| by_job(&context, &worker))?,
            &mut || by_gio(&program),
        ],
    )?;
    let [bare, by_hand, plan, job, beside, first] = in_turns(
        rounds,
        [
            &mut || {
                let started = clock::now();
                let child = bare.spawn()?;
                let blocked = clock::now() - started;
                child.wait()?;
                Ok(blocked as f64)
            },
            &mut || {
                let started = clock::now();
                let held = by_hand.spawn()?;
                let blocked = clock::now() - started;
                held.child.wait()?;
                Ok(blocked as f64)
            },
            &mut || by_plan(&program),
            &mut || context.with_thread_default(|| by_job(&context, &worker))?,
            &mut || shared.with_thread_default(|| by_job(&shared, &worker))?,
            &mut || {
                let new = MainContext::new();
                new.with_thread_default(|| by_job(&new, &worker))?
            },
        ],
    )?;
    let bare = bare.figure("posix_spawn+closefrom", Nanoseconds);
    let by_hand = by_hand.figure("a worker's start by hand", Nanoseconds);
    let plan = plan.figure("Plan::spawn", Nanoseconds);
    let job = job.figure("Job::spawn", Nanoseconds);
    let beside = beside.figure("Job::spawn beside another", Nanoseconds);
    let held = !matches!(pages, Some(Pages::Huge));
    for figure in [plan, job.clone(), beside] {
        let entry = Entry::beside(case, figure, bare.clone());
        row.add(if held {
            entry.bar(Bar::Ratio(1.5))
        } else {
            entry
        });
    }
    let first = first.figure("Job::spawn, its context's first", Nanoseconds);
    row.add(Entry::beside(case, first, bare));
    row.add(Entry::beside(case, job, by_hand));
    let [job, gio] = by_gio;
    let entry = Entry::beside(
        case,
        job.figure("Job::spawn after a fork", Nanoseconds),
        gio.figure("g_subprocess_new", Nanoseconds),
    );
    row.add(if matches!(pages, Some(Pages::Small)) {
        entry.bar(Bar::TimesLess(100.0))
    } else {
        entry
    });
    Ok(())
}

fn by_plan(program: &Path) -> Result<f64> {
    let started = clock::now();
    let mut child = Plan::new(Program::path(program)).arg("exit").spawn()?;
    let blocked = clock::now() - started;
    child.wait()?;
    Ok(blocked as f64)
}

fn by_job(context: &MainContext, worker: &Worker) -> Result<f64> {
    let started = clock::now();
    let job = FirstLine.builder().worker(worker).spawn();
    let blocked = clock::now() - started;
    context.block_on(job.into_future())?;
    Ok(blocked as f64)
}

fn by_gio(program: &Path) -> Result<f64> {
    let started = clock::now();
    let child = gio::Subprocess::newv(
        &[program.as_os_str(), "exit".as_ref()],
        gio::SubprocessFlags::NONE,
    )?;
    let blocked = clock::now() - started;
    child.wait(gio::Cancellable::NONE)?;
    Ok(blocked as f64)
}
