//! Secrets for a program, each in a pipe of its own.

use std::fs::File;
use std::io::Write;
use std::os::fd::RawFd;

use rustix::pipe::{PipeFlags, pipe_with};

use super::builder::Secret;
use super::standards::set_nonblocking;
use super::start_error::StartError;
use crate::spawn::{Plan, Step};
use crate::text::text;

/// The capacity of a pipe: a longer secret would wait for its reader.
const SECRET_MAX: usize = 64 * 1024;

/// Puts the secrets at the first numbers from 3 that are not `taken`.
pub(super) fn hand_over(
    mut plan: Plan,
    secrets: Vec<(Secret, Vec<u8>)>,
    taken: &[RawFd],
) -> Result<Plan, StartError> {
    let mut free = (3..).filter(|number| !taken.contains(number));
    for ((place, value), number) in secrets.into_iter().zip(&mut free) {
        if value.len() > SECRET_MAX {
            let sentence = text!(
                "a secret of {length} bytes is longer than the {most} bytes that fit in a pipe",
                length = value.len(),
                most = SECRET_MAX
            );
            return Err(StartError::refused(Step::DescriptorMap, sentence));
        }
        // A user who has many pipes gets smaller ones, see pipe(7): then writing fails, and does not wait forever.
        let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
        set_nonblocking(&ours)?;
        File::from(ours).write_all(&value).map_err(|error| {
            StartError::System(text!("a secret does not fit in its pipe"), error)
        })?;
        plan = plan.fd(number, theirs);
        plan = match place {
            Secret::Env(name) => plan.env(name, number.to_string()),
            Secret::Arg(mut argument) => {
                argument.push(number.to_string());
                plan.arg(argument)
            }
        };
    }
    Ok(plan)
}
