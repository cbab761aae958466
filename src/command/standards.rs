//! The three standard descriptors of a program: what each of them is, and the app's ends of the pipes.

use std::cell::Cell;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd};
use rustix::pipe::{PipeFlags, pipe_with};

use super::builder::Command;
use super::start_error::StartError;
use super::stdio::{Kind, Stdio};
use super::stop::Stop;
use super::supervisor::{InputWriter, OutputReader, Rule, Standards};
use super::terminal::Terminal;
use crate::command::lane::Lane;
use crate::spawn::{Plan, Standard, Step};
use crate::text::{Text, text};

/// Gives the plan its standard descriptors. What the app reads of them is read by `rule`; `stop` may need the input.
pub(super) fn connect(
    plan: Plan,
    command: &mut Command,
    rule: Rule,
    stop: &Stop,
) -> Result<(Plan, Standards), StartError> {
    match command.terminal {
        Some((columns, rows)) => {
            if command.stdin.is_some() || command.stdout.is_some() || command.stderr.is_some() {
                return Err(refused(text!(
                    "with terminal(), the terminal is its standard input, output and error: \
                     remove stdin(), stdout() and stderr()"
                )));
            }
            let Terminal { ours, theirs, path } = Terminal::open(columns, rows)?;
            set_nonblocking(&ours)?;
            let standards = Standards {
                input: InputWriter::to_terminal(ours.try_clone()?),
                stdout: Some(OutputReader::new(Lane::Output, ours, rule)),
                stderr: None,
                terminal: Cell::new(Some(theirs)),
            };
            Ok((plan.terminal(path), standards))
        }
        None => {
            let (plan, input) = connect_input(plan, command.stdin.take(), stop)?;
            let is_read = rule != Rule::Keep || command.progress.is_some();
            let output = command.stdout.take();
            let output = output.unwrap_or_else(|| default(is_read, rustix::stdio::stdout()));
            let (plan, file, stdout) = connect_output(plan, 1, output.0, rule, None)?;
            let errors = command.stderr.take();
            let errors = errors.unwrap_or_else(|| default(is_read, rustix::stdio::stderr()));
            let (plan, _, stderr) = connect_output(plan, 2, errors.0, rule, Some(file))?;
            let standards = Standards {
                input,
                stdout,
                stderr,
                terminal: Cell::new(None),
            };
            Ok((plan, standards))
        }
    }
}

fn connect_input(
    plan: Plan,
    stdin: Option<Stdio>,
    stop: &Stop,
) -> Result<(Plan, InputWriter), StartError> {
    let kind = match stdin {
        Some(stdio) => stdio.0,
        None if stop.uses_input() => Kind::Piped,
        None => Kind::Null,
    };
    let plan = match kind {
        Kind::Null => plan,
        Kind::Inherit => plan.inherit(Standard::Input),
        Kind::Descriptor(fd) => plan.stdin(fd),
        Kind::Piped => {
            let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
            set_nonblocking(&ours)?;
            return Ok((plan.stdin(theirs), InputWriter::to_pipe(ours)));
        }
        Kind::Bytes(bytes) => {
            let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
            set_nonblocking(&ours)?;
            return Ok((plan.stdin(theirs), InputWriter::of_bytes(ours, bytes)));
        }
        Kind::Merged => return Err(only_errors_merge()),
    };
    Ok((plan, InputWriter::default()))
}

/// What an output is, for standard error that is merged into it.
enum Target {
    Null,
    Inherited,
    File(Arc<OwnedFd>),
}

/// Gives the plan its descriptor `number`, 1 or 2. `merged` is what standard output is.
fn connect_output(
    plan: Plan,
    number: i32,
    kind: Kind,
    rule: Rule,
    merged: Option<Target>,
) -> Result<(Plan, Target, Option<OutputReader>), StartError> {
    let mut reader = None;
    let target = match (kind, merged) {
        (Kind::Null, _) => Target::Null,
        (Kind::Inherit, _) => Target::Inherited,
        (Kind::Descriptor(fd), _) => Target::File(Arc::new(fd)),
        (Kind::Piped, _) => {
            let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
            set_nonblocking(&ours)?;
            let lane = if number == 1 {
                Lane::Output
            } else {
                Lane::Errors
            };
            reader = Some(OutputReader::new(lane, ours, rule));
            Target::File(Arc::new(theirs))
        }
        (Kind::Merged, Some(Target::Inherited)) => {
            Target::File(Arc::new(fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?))
        }
        (Kind::Merged, Some(output)) => output,
        (Kind::Merged, None) => return Err(only_errors_merge()),
        (Kind::Bytes(_), _) => {
            return Err(refused(text!("Stdio::bytes() is for standard input only")));
        }
    };
    let plan = match &target {
        Target::Null => plan,
        Target::Inherited if number == 1 => plan.inherit(Standard::Output),
        Target::Inherited => plan.inherit(Standard::Error),
        Target::File(fd) => plan.share(number, fd.clone()),
    };
    Ok((plan, target, reader))
}

fn only_errors_merge() -> StartError {
    refused(text!("Stdio::merged() is for standard error only"))
}

fn refused(sentence: Text) -> StartError {
    StartError::refused(Step::DescriptorMap, sentence)
}

/// What an output is unless the command says so.
fn default(is_read: bool, app: BorrowedFd) -> Stdio {
    if is_read {
        Stdio::piped()
    } else if is_for_children(app) {
        Stdio::inherit()
    } else {
        Stdio::null()
    }
}

/// Whether a standard descriptor of the app's is one. In an app that has closed it, the number may belong to something
/// else by now, such as an eventfd or a connection, which is close-on-exec.
fn is_for_children(app: BorrowedFd) -> bool {
    fcntl_getfd(app).is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC))
}

/// The two ends of a pipe are two open files: the program's end still blocks.
pub(super) fn set_nonblocking(fd: &OwnedFd) -> io::Result<()> {
    fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?;
    Ok(())
}
