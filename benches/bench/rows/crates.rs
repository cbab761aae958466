//! The 64-byte call of the row `call` through other crates, beside a job. On two processors: procspawn does not expose
//! the process id of its worker, so the worker cannot be pinned to the app's processor.
//!
//! They do more and less than a job: zbus checks signatures and dispatches by name; procspawn queues on a warm pool and
//! does not know a main loop, so its calls block.

use glib::MainContext;
use legwork_benches::clock;

use super::call::{CALLS, EchoJob};
use crate::peers::crates::{Procspawn, Zbus};
use crate::report::{Entry, Row};
use crate::samples::{Unit::Nanoseconds, in_turns};
use crate::{Effort, Result};

pub(crate) fn answer(effort: Effort, row: &mut Row) -> Result<()> {
    let context = MainContext::new();
    let mut job = EchoJob::start(&context)?;
    let zbus = Zbus::start(&context)?;
    let pool = Procspawn::start()?;
    let per_call = |calls: &dyn Fn() -> Result<()>| -> Result<f64> {
        let started = clock::now();
        calls()?;
        Ok((clock::now() - started) as f64 / CALLS as f64)
    };
    let [job, zbus, procspawn] = in_turns(
        effort.of(40, 5),
        [
            &mut || job.call(CALLS),
            &mut || per_call(&|| zbus.call(CALLS)),
            &mut || per_call(&|| pool.call(CALLS)),
        ],
    )?;
    let job = job.figure("call to a job", Nanoseconds);
    row.add(Entry::beside(
        "not pinned",
        job.clone(),
        zbus.figure("zbus, peer to peer", Nanoseconds),
    ));
    row.add(Entry::beside(
        "not pinned",
        job,
        procspawn.figure("procspawn pool", Nanoseconds),
    ));
    Ok(())
}
