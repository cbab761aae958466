//! `legwork run`: a program, started as the library starts programs, for shells and tests.

mod arguments;
mod descriptor;
mod events;
mod limit;

use std::process::ExitCode;

use legwork::process::ExitStatus;

pub(crate) use arguments::Arguments;
use events::Events;

use crate::child::{Child, Ended, Signals, Terminal, end_by};
use crate::failure::{Failure, TIMED_OUT, cannot, tell};

/// Runs the program, and tells by its exit code how that ended.
pub(crate) fn main(arguments: Arguments) -> ExitCode {
    let events = Events::new(arguments.json);
    let ended = run(arguments, &events).inspect(|ended| events.ended(ended));
    ExitCode::from(match ended {
        Ok(Ended {
            timed_out: true, ..
        }) => TIMED_OUT,
        Ok(ended) => match ended.exit.status {
            ExitStatus::Code(code) => code as u8,
            ExitStatus::Signal { signal, .. } => {
                end_by(signal);
                128 + signal.as_raw() as u8
            }
        },
        Err(failure) => {
            events.failed(&failure);
            tell(&failure.to_string());
            failure.code()
        }
    })
}

fn run(arguments: Arguments, events: &Events) -> Result<Ended, Failure> {
    arguments.change_this_process()?;
    let group = arguments.group();
    let signals = Signals::hold(group)?;
    let mut terminal = arguments
        .pty
        .then(Terminal::open)
        .transpose()
        .map_err(cannot("no terminal can be made"))?;
    let (timeout, grace) = (arguments.timeout, arguments.grace);
    let plan = arguments.plan(group, terminal.as_ref())?;
    let child = Child::start(plan, signals)?;
    events.started(child.pid());
    if let Some(terminal) = &mut terminal {
        terminal.begin();
    }
    let happened = &mut |event| events.happened(&event);
    child.stay(terminal.as_mut(), timeout, grace, happened)
}
