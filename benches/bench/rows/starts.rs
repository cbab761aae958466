//! A thousand programs, one started in every iteration of the main loop, in an app that holds 4 GiB: the longest time
//! that any start blocks its caller.
//!
//! The slowest of many starts is what makes an app miss a frame. It depends mostly on the machine, so it is compared:
//! blocks of a hundred starts take turns with blocks of bare `posix_spawn` calls of the same program. A busy child is
//! worse for both, because it takes the processor that the caller needs next.

use std::collections::VecDeque;
use std::path::Path;

use glib::MainContext;
use legwork::{Command, CommandHandle, Worker};
use legwork_benches::clock;

use crate::machine::sibling;
use crate::peers::native::{Ballast, Child, Pages, Program};
use crate::report::{Bar, Entry, Row};
use crate::samples::{Samples, Unit::Nanoseconds, in_turns};
use crate::{Effort, Result};

/// Starts in one block.
const BLOCK: usize = 100;
/// Starts by GSubprocess: fewer, because each takes as long as a fork of 4 GiB.
const FORKED: usize = 10;

pub(crate) fn answer(effort: Effort, row: &mut Row) -> Result<()> {
    let _ballast = Ballast::hold(4 << 30, Pages::Small)?;
    let worker = sibling("bench-worker")?;
    of(effort, row, "/bin/true", Path::new("/bin/true"), &[])?;
    of(effort, row, "a busy child", &worker, &["busy"])?;
    row.note(format!(
        "a reading is the worst of {BLOCK} starts, of {FORKED} for g_subprocess_new"
    ));
    row.note("the app holds 4 GiB in pages of 4 KiB; a busy child computes for 5 ms");
    Ok(())
}

fn of(effort: Effort, row: &mut Row, case: &str, program: &Path, words: &[&str]) -> Result<()> {
    let context = MainContext::new();
    let helper = Worker::program(sibling("bench-worker")?);
    let native = Program::new(program, words)?;
    let mut all = [Samples::default(), Samples::default()];
    let [all_bare, all_ours] = &mut all;
    let [bare, ours, gio] = in_turns(
        effort.of(10, 2),
        [
            &mut || bare_block(&context, &native, all_bare),
            &mut || {
                context
                    .with_thread_default(|| block(&context, &helper, program, words, all_ours))?
            },
            &mut || gio_block(program, words),
        ],
    )?;
    let bare = bare.figure("posix_spawn+closefrom", Nanoseconds);
    let ours = ours.figure("Command::spawn", Nanoseconds);
    let gio = gio.figure("g_subprocess_new", Nanoseconds);
    let worst = format!("{case}, worst");
    row.add(Entry::beside(&worst, ours.clone(), bare).bar(Bar::Ratio(1.2)));
    row.add(Entry::beside(&worst, ours, gio));
    row.add(Entry::beside(
        &format!("{case}, all"),
        all_ours.figure("Command::spawn", Nanoseconds),
        all_bare.figure("posix_spawn+closefrom", Nanoseconds),
    ));
    Ok(())
}

/// Returns the slowest of a block of bare starts, between which the main loop is iterated and ended children are
/// reaped.
fn bare_block(context: &MainContext, program: &Program, all: &mut Samples) -> Result<f64> {
    let mut alive: VecDeque<Child> = VecDeque::new();
    let mut worst = 0;
    for _ in 0..BLOCK {
        let started = clock::now();
        alive.push_back(program.spawn()?);
        let blocked = clock::now() - started;
        all.push(blocked as f64);
        worst = worst.max(blocked);
        context.iteration(false);
        while alive.front().map(Child::has_ended).transpose()? == Some(true) {
            alive.pop_front().map(Child::wait).transpose()?;
        }
    }
    alive.into_iter().try_for_each(Child::wait)?;
    Ok(worst as f64)
}

fn block(
    context: &MainContext,
    helper: &Worker,
    program: &Path,
    words: &[&str],
    all: &mut Samples,
) -> Result<f64> {
    let mut handles: Vec<CommandHandle> = Vec::new();
    let mut worst = 0;
    for _ in 0..BLOCK {
        let started = clock::now();
        let handle = Command::new(program).args(words).helper(helper).spawn();
        let blocked = clock::now() - started;
        handles.push(handle);
        all.push(blocked as f64);
        worst = worst.max(blocked);
        context.iteration(false);
    }
    for handle in handles {
        context.block_on(handle.into_future())?;
    }
    Ok(worst as f64)
}

fn gio_block(program: &Path, words: &[&str]) -> Result<f64> {
    let argv: Vec<_> = std::iter::once(program.as_os_str())
        .chain(words.iter().map(AsRef::as_ref))
        .collect();
    let mut worst = 0;
    for _ in 0..FORKED {
        let started = clock::now();
        let child = gio::Subprocess::newv(&argv, gio::SubprocessFlags::NONE)?;
        worst = worst.max(clock::now() - started);
        child.wait(gio::Cancellable::NONE)?;
    }
    Ok(worst as f64)
}
