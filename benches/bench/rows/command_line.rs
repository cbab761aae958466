//! `legwork run -- true` beside `env true`: whole processes, measured in pairs.

use std::path::Path;

use legwork_benches::clock;

use crate::machine::sibling;
use crate::peers::native::Program;
use crate::report::{Bar, Entry, Row};
use crate::samples::{Samples, Unit::Nanoseconds, in_turns};
use crate::{Effort, Result};

pub(crate) fn answer(effort: Effort, row: &mut Row) -> Result<()> {
    let legwork = Program::new(&sibling("legwork")?, &["run", "--", "true"])?;
    let env = Program::new(Path::new("/usr/bin/env"), &["true"])?;
    let time = |program: &Program| -> Result<f64> {
        let started = clock::now();
        program.spawn()?.wait()?;
        Ok((clock::now() - started) as f64)
    };
    let mut more = Samples::default();
    // Both in one reading, because the difference is wanted.
    let [ours, bare, _] = in_turns(
        effort.of(300, 40),
        [&mut || time(&legwork), &mut || time(&env), &mut || {
            let bare = time(&env)?;
            more.push(time(&legwork)? - bare);
            Ok(0.0)
        }],
    )?;
    row.add(Entry::beside(
        "start to end",
        ours.figure("legwork run -- true", Nanoseconds),
        bare.figure("env true", Nanoseconds),
    ));
    let more = more.figure("legwork run takes more", Nanoseconds);
    row.add(Entry::alone("start to end, in pairs", more).bar(Bar::AtMost(1.5e6)));
    Ok(())
}
