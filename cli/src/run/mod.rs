//! `legwork run`: starts a program as the library does, for shells and tests.

mod arguments;
mod descriptor;
mod events;
mod limit;

use std::process::ExitCode;

use legwork::process::ExitStatus;

pub(crate) use arguments::Arguments;

use crate::child::{Child, Ended, Signals, Streams, end_by};
use crate::failure::{Failure, TIMED_OUT, tell};

/// Runs the program, and returns its exit code.
pub(crate) fn main(arguments: Arguments) -> ExitCode {
    let mut streams = match arguments.json {
        true => Streams::with_events(events::line),
        false => Streams::default(),
    };
    ExitCode::from(match run(arguments, &mut streams) {
        Ok(Ended {
            timed_out: true, ..
        }) => TIMED_OUT,
        Ok(ended) => match ended.exit.status {
            ExitStatus::Code(code) => code as u8,
            ExitStatus::Signal { signal, .. } => {
                // The signal ends this process without dropping anything.
                drop(streams);
                end_by(signal);
                128 + signal.as_raw() as u8
            }
        },
        Err(failure) => {
            streams.fail(&failure);
            tell(&failure.to_string());
            failure.code()
        }
    })
}

fn run(arguments: Arguments, streams: &mut Streams) -> Result<Ended, Failure> {
    arguments.change_this_process()?;
    let group = arguments.group();
    let signals = Signals::hold(group)?;
    let (timeout, grace) = (arguments.timeout, arguments.grace);
    let child = Child::start(arguments.plan(group, streams)?, signals)?;
    streams.begin(child.pid());
    child.stay(streams, timeout, grace)
}
