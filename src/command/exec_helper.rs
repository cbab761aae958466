//! The exec helper: a worker program that changes itself as `posix_spawn` cannot, and then becomes the program.
//!
//! It waits for its order, which the app sends when the guardian has been handed the process: an app that is killed before
//! has started no program, and one that is killed later has a guardian that knows it. A [gate](crate::child::gate) holds
//! the order back until it opens. The helper answers with *ready*,
//! right before it executes the program, or with the step that failed; the end of the socket tells that it has become
//! the program.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::start_error::StartError;
use crate::child::Worker;
use crate::process::pidfd;
use crate::spawn::{Plan, SpawnError, Step, Target, describe};
use crate::text::{Text, text};
use crate::wire::control::{Control, Received, RecvError, Scratch, Wait, is_peer_gone};
use crate::wire::frame::{CONTROL_FD, ExecOrder, ExecRefusal, ExecStep, Hello, Kind, Role};
use crate::worker::main_checks_for_helper;

/// How long an exec helper may take.
pub(super) const HELPER_WITHIN: Duration = Duration::from_secs(10);

/// An exec helper that has not become the program yet.
pub(super) struct ExecHelper {
    control: Control,
    /// What it is to do, in postcard.
    order: Vec<u8>,
    /// It has done its part and is about to execute the program.
    ready: bool,
    /// The program; its file stays open until it is executed.
    target: Target,
}

/// Whether `worker` can help.
pub(super) fn is_available(worker: &Worker) -> bool {
    worker.path().is_some() || main_checks_for_helper()
}

/// The plan that starts `worker` as a helper, which makes these changes and executes the program of `plan`.
pub(super) fn by_way_of(
    worker: &Worker,
    changes: ExecOrder,
    plan: Plan,
) -> Result<(Plan, ExecHelper), StartError> {
    if !is_available(worker) {
        return Err(StartError::refused(
            Step::Helper,
            text!(
                "umask(), nice(), limit(), no_new_privileges(), guarded_from_birth(), scope() and qos() need a \
                 helper: call legwork::init() or run_if_worker() first in main, or name a worker program with \
                 Command::helper()"
            ),
        ));
    }
    let (control, theirs) = Control::pair()?;
    let (plan, target) = plan.by_way_of(worker.to_program(), CONTROL_FD, theirs)?;
    let order = ExecOrder {
        path: target.path().clone(),
        arguments: target.arguments.clone(),
        moved: target.moved,
        ..changes
    };
    let hello = Hello::plain(Role::Exec).encode();
    let app = pidfd::own().map_err(io::Error::from)?;
    let order = postcard::to_allocvec(&order)
        .map_err(io::Error::other)
        .and_then(|order| {
            control.send(Kind::Hello, &hello, &[app.as_fd()], Wait::No)?;
            Ok(order)
        })
        .map_err(not_ordered)?;
    let helper = ExecHelper {
        control,
        order,
        ready: false,
        target,
    };
    Ok((plan, helper))
}

fn not_ordered(error: io::Error) -> StartError {
    StartError::System(text!("the helper could not be sent its order"), error)
}

impl ExecHelper {
    /// Has it go on: the guardian knows it now.
    pub(super) fn send_order(&mut self) -> Result<(), StartError> {
        let order = std::mem::take(&mut self.order);
        match self.control.send(Kind::Order, &order, &[], Wait::No) {
            // It has ended already: what it said of that, and its exit, are read in their turn.
            Err(error) if is_peer_gone(&error) => Ok(()),
            sent => sent.map_err(not_ordered),
        }
    }

    /// Reads what the helper says, until it is known whether it has executed the program.
    pub(super) fn read(&mut self) -> Option<Result<(), SpawnError>> {
        let mut scratch = Scratch::new();
        loop {
            let packet = match self.control.recv(&mut scratch, Wait::No) {
                Ok(Received::Empty) => return None,
                Ok(Received::Packet(packet)) => packet,
                Ok(Received::Closed) if self.ready => return Some(Ok(())),
                Ok(Received::Closed) => {
                    return Some(Err(refused(text!(
                        "the helper closed its control socket before it executed the program. \
                         Does its main begin with legwork::init(), run_if_worker() or run_worker()?"
                    ))));
                }
                // The app is short of something, which is not the helper's fault.
                Err(RecvError::Io(error)) => {
                    return Some(Err(refused(text!(
                        "the helper's answer could not be received: {error}",
                        error = Text::of(error)
                    ))));
                }
                Err(RecvError::Fault(_)) => return Some(Err(invalid())),
            };
            match Kind::from_worker(packet.kind) {
                Some(Kind::Ready) if !self.ready => self.ready = true,
                Some(Kind::Refused) => {
                    let fault = match postcard::from_bytes(&packet.payload) {
                        Ok(refusal) => explain(refusal, &self.target),
                        Err(_) => invalid(),
                    };
                    return Some(Err(fault));
                }
                _ => return Some(Err(invalid())),
            }
        }
    }
}

/// Why the helper did not execute the program.
fn explain(ExecRefusal { step, errno }: ExecRefusal, target: &Target) -> SpawnError {
    let error = describe(errno);
    let sentence = match step {
        ExecStep::Execute => return target.explain(errno),
        ExecStep::Order => text!(
            "the helper could not read its order: {error}",
            error = error
        ),
        ExecStep::Descriptor => text!(
            "passing descriptor {number} to the program failed: {error}",
            number = CONTROL_FD,
            error = error
        ),
        ExecStep::Limit(resource) => text!(
            "setting the limit {limit} failed: {error}",
            limit = limit_name(resource),
            error = error
        ),
        ExecStep::Nice => text!("setting the nice value failed: {error}", error = error),
        ExecStep::Class => text!("lowering its priority failed: {error}", error = error),
        ExecStep::NoNewPrivileges => {
            text!("giving up new privileges failed: {error}", error = error)
        }
    };
    SpawnError::failed(Step::Helper, errno, sentence).at(target.file())
}

/// The name of a resource in getrlimit(2).
fn limit_name(resource: u32) -> Text {
    Text::from(match resource {
        libc::RLIMIT_AS => "RLIMIT_AS",
        libc::RLIMIT_CORE => "RLIMIT_CORE",
        libc::RLIMIT_CPU => "RLIMIT_CPU",
        libc::RLIMIT_DATA => "RLIMIT_DATA",
        libc::RLIMIT_FSIZE => "RLIMIT_FSIZE",
        libc::RLIMIT_MEMLOCK => "RLIMIT_MEMLOCK",
        libc::RLIMIT_NOFILE => "RLIMIT_NOFILE",
        libc::RLIMIT_NPROC => "RLIMIT_NPROC",
        libc::RLIMIT_STACK => "RLIMIT_STACK",
        other => return Text::from(other),
    })
}

/// It took longer than [`HELPER_WITHIN`].
pub(super) fn timed_out() -> SpawnError {
    refused(text!(
        "the helper did not execute the program within {time}",
        time = HELPER_WITHIN
    ))
}

fn invalid() -> SpawnError {
    refused(text!("the helper sent an invalid message"))
}

fn refused(sentence: Text) -> SpawnError {
    SpawnError::refused(Step::Helper, sentence)
}

impl AsFd for ExecHelper {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spawn::Program;

    #[test]
    fn a_helper_that_ends_before_its_order_is_said_to_have_ended() {
        let program = Plan::new(Program::path("/bin/true"));
        let helper = Worker::program("/bin/true");
        let ordered = by_way_of(&helper, ExecOrder::default(), program);
        let (plan, mut helper) = ordered.ok().unwrap();
        // Its end of the socket, with a hello that nobody has read.
        drop(plan);
        assert!(helper.send_order().is_ok());
        let error = helper.read().unwrap().unwrap_err();
        assert!(
            error.to_string().contains("closed its control socket"),
            "{error}"
        );
    }
}
