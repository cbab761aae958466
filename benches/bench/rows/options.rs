//! A program with every option that there is, from its start to its end.
//!
//! `posix_spawn` cannot set some of the options. An exec helper does, which costs its own start and should cost no
//! more. So the peers are the plain program, and the plain program together with the helper's start.

use std::fs::File;
use std::time::Duration;

use glib::MainContext;
use legwork::spawn::Group;
use legwork::{Command, Limit, Secret, Stdio, Stop, Worker};
use legwork_benches::clock;

use crate::machine::sibling;
use crate::peers::native::Program;
use crate::report::{Bar, Entry, Row};
use crate::samples::{Unit::Nanoseconds, in_turns};
use crate::{Effort, Result};

pub(crate) fn answer(effort: Effort, row: &mut Row) -> Result<()> {
    let context = MainContext::new();
    let empty = sibling("bench-empty")?;
    let worker = sibling("bench-worker")?;
    let helper = Worker::program(&worker);
    let by_itself = Program::new(&worker, &["exit"])?;
    let plain = || Command::new(&empty).helper(&helper);
    let run = |command: Command| -> Result<u64> {
        let started = clock::now();
        context.block_on(command.output())?;
        Ok(clock::now() - started)
    };
    let [all, both, alone] = in_turns(
        effort.of(300, 40),
        [
            &mut || {
                let command = plain()
                    .arg0("empty")
                    .args(["one", "two"])
                    .env("LEGWORK_BENCH", "1")
                    .env_remove("HOME")
                    .current_dir("/")
                    .group(Group::Session)
                    .stdin(Stdio::bytes("input"))
                    .fd(7, File::open("/dev/null")?)
                    .secret(Secret::Env("SECRET_FD".into()), "secret")
                    .stop(Stop::stdin(b"q").then(Stop::default()))
                    .deadline(Duration::from_secs(60))
                    .stall_deadline(Duration::from_secs(60))
                    .output_limit(1 << 20)
                    .umask(0o077)
                    .nice(1)
                    .limit(Limit::Core, Some(0), Some(0))
                    .no_new_privileges();
                Ok(run(command)? as f64)
            },
            &mut || {
                let plain = run(plain())?;
                let started = clock::now();
                by_itself.spawn()?.wait()?;
                Ok((plain + clock::now() - started) as f64)
            },
            &mut || Ok(run(plain())? as f64),
        ],
    )?;
    let all = all.figure("every option", Nanoseconds);
    let both = both.figure("none, and a helper's start", Nanoseconds);
    row.add(Entry::beside("start to end", all.clone(), both).bar(Bar::Ratio(1.1)));
    row.add(Entry::beside(
        "start to end",
        all,
        alone.figure("none", Nanoseconds),
    ));
    Ok(())
}
