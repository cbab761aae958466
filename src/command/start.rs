//! From the builder to a running program.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::pipe::{PipeFlags, pipe_with};

use super::builder::{Command, Directory, EnvChange, Secret};
use super::handle::Output;
use super::progress::Shared;
use super::road::{Road, Rule};
use super::stdio::{Stdio, Way};
use super::supervisor::{Helper, InputRoad, Parts, Rules, Supervisor, Whole};
use crate::child::{Error, ErrorKind, NOT_OUR_CONTEXT};
use crate::main_loop::guardian::warn_of_none;
use crate::main_loop::hub::{Hub, Lane};
use crate::main_loop::mailbox::Outlet;
use crate::model::Status;
use crate::spawn::{Plan, SpawnError, Standard, Step};
use crate::wire::control::{Control, Wait};
use crate::wire::frame::{CONTROL_FD, ExecOrder, Hello, Kind, Role};
use crate::worker::main_checks_for_worker;

/// What a pipe holds: a longer secret would wait for its reader.
const SECRET_MAX: usize = 64 * 1024;

/// Starts the program.
pub(super) fn start(
    mut command: Command,
    status: &Status,
    outcome: impl FnOnce() -> Outlet<Result<Output, Error>>,
    collect: bool,
) -> Result<Rc<Supervisor>, Error> {
    let label = status.label();
    let fail = |what: String| {
        Error::new(
            ErrorKind::Start,
            &label,
            format!("it could not be started: {what}"),
        )
    };
    let system = |what: &str, error: io::Error| fail(format!("{what}: {error}")).because(error);

    if glib::MainContext::ref_thread_default().acquire().is_err() {
        return Err(fail(NOT_OUR_CONTEXT.to_owned()));
    }
    let mut plan = Plan::new(command.take_program())
        .args(&command.args)
        .group(command.group);
    if let Some(arg0) = &command.arg0 {
        plan = plan.arg0(arg0);
    }
    for change in command.env.drain(..) {
        plan = match change {
            EnvChange::Set(name, value) => plan.env(name, value),
            EnvChange::Remove(name) => plan.env_remove(name),
            EnvChange::Clear => plan.env_clear(),
        };
    }
    plan = match command.directory.take() {
        None => plan,
        Some(Directory::Path(path)) => plan.current_dir(path),
        Some(Directory::Descriptor(fd)) => plan.current_dir_fd(fd),
    };

    let rule = if collect {
        Rule::Collect {
            limit: command.output_limit,
        }
    } else {
        Rule::Keep
    };
    let Standards {
        plan: with_standards,
        input,
        mut stdout,
        mut stderr,
    } = match command.terminal {
        Some(size) => on_a_terminal(plan, &command, size, rule),
        None => standards(plan, &mut command, collect, rule),
    }
    .map_err(|why| match why {
        Unfit::System(error) => system("its standard descriptors could not be made", error),
        Unfit::Words(words) => fail(words.to_owned()),
    })?;
    plan = with_standards;

    if let Some(progress) = command.progress.take() {
        // One reader for both: which of the two a program writes its progress to is its own
        // secret.
        let shared = Shared::new(progress);
        for road in [&mut stdout, &mut stderr].into_iter().flatten() {
            road.tell_progress_to(Box::new(shared.clone()));
        }
    }

    let mut taken: Vec<_> = command.fds.iter().map(|(number, _)| *number).collect();
    for (number, fd) in command.fds.drain(..) {
        if (0..=2).contains(&number) {
            let sentence = format!(
                "descriptor {number} of the program is given by fd(), which is for 3 and above: \
                 use stdin(), stdout() or stderr()"
            );
            let error = SpawnError::refused(Step::DescriptorMap, sentence);
            return Err(Error::start(&label, error));
        }
        plan = plan.fd(number, fd);
    }
    for (place, value) in command.secrets.drain(..) {
        if value.len() > SECRET_MAX {
            return Err(fail(format!(
                "a secret of {} bytes is more than the {SECRET_MAX} that a pipe holds",
                value.len()
            )));
        }
        let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)
            .map_err(|error| system("no pipe could be made", error.into()))?;
        // A user who has many pipes gets smaller ones, see pipe(7): an error then, not a wait for ever.
        without_waiting(&ours)
            .and_then(|()| write_all(&ours, &value))
            .map_err(|error| system("a secret could not be handed over", error))?;
        let number = (3..)
            .find(|number| !taken.contains(number))
            .unwrap_or_default();
        taken.push(number);
        plan = plan.fd(number, theirs);
        plan = match place {
            Secret::Env(name) => plan.env(name, number.to_string()),
            Secret::Arg(mut argument) => {
                argument.push(number.to_string());
                plan.arg(argument)
            }
        };
    }

    let hub = Hub::of_thread_default()
        .map_err(|error| system("no epoll descriptor could be made", error))?;
    let can_help = command.helper.path().is_some() || main_checks_for_worker();
    let mut helper = None;
    if command.changes != ExecOrder::default() {
        if !can_help {
            return Err(fail(
                "what is asked for needs a helper: call run_if_worker() first thing in main, or \
                 name a worker program with Command::helper()"
                    .to_owned(),
            ));
        }
        let (control, theirs) =
            Control::pair().map_err(|error| system("no control socket could be made", error))?;
        let (by_way_of, target) = plan
            .by_way_of(command.helper.to_program(), CONTROL_FD, theirs)
            .map_err(|error| Error::start(&label, error))?;
        plan = by_way_of;
        let order = ExecOrder {
            path: target.path().clone(),
            arguments: target.arguments.clone(),
            moved: target.moved,
            ..std::mem::take(&mut command.changes)
        };
        let order = postcard::to_allocvec(&order).map_err(|error| fail(error.to_string()))?;
        control
            .send(
                Kind::Hello,
                &Hello::plain(Role::Exec).encode(),
                &[],
                Wait::No,
            )
            .and_then(|()| control.send(Kind::Input, &order, &[], Wait::No))
            .map_err(|error| system("its helper could not be told what to do", error))?;
        helper = Some(Helper {
            control,
            ready: false,
            target,
        });
    }
    let process = plan.spawn().map_err(|error| Error::start(&label, error))?;
    if can_help {
        command.helper.watch_over(&process);
    } else {
        warn_of_none();
    }
    let pid = process.pid();
    let process = Arc::new(Mutex::new(Some(process)));
    Ok(Supervisor::begin(
        &hub,
        Parts {
            process,
            pid,
            rules: Rules {
                label,
                stop: command.stop,
                success: command.success,
                deadline: command.deadline,
                stall: command
                    .stall
                    .filter(|_| stdout.is_some() || stderr.is_some()),
                drain: command.drain,
            },
            status: status.clone(),
            outcome: outcome(),
            stdout,
            stderr,
            input,
            helper,
        },
    ))
}

/// The plan with its three standard descriptors, and the app's ends of them.
struct Standards {
    plan: Plan,
    input: Option<InputRoad>,
    stdout: Option<Road>,
    stderr: Option<Road>,
}

/// Why the standard descriptors cannot be as they were asked for.
enum Unfit {
    System(io::Error),
    Words(&'static str),
}

impl From<io::Error> for Unfit {
    fn from(error: io::Error) -> Self {
        Unfit::System(error)
    }
}

impl From<rustix::io::Errno> for Unfit {
    fn from(errno: rustix::io::Errno) -> Self {
        Unfit::System(errno.into())
    }
}

fn standards(
    mut plan: Plan,
    command: &mut Command,
    collect: bool,
    rule: Rule,
) -> Result<Standards, Unfit> {
    let piped = collect || command.progress.is_some();
    let default_output = |which: BorrowedFd| {
        if piped {
            Stdio::piped()
        } else if is_for_children(which) {
            Stdio::inherit()
        } else {
            Stdio::null()
        }
    };
    let default_input = || {
        if command.stop.uses_input() {
            Stdio::piped()
        } else {
            Stdio::null()
        }
    };
    let mut input = None;
    plan = match command.stdin.take().unwrap_or_else(default_input).0 {
        Way::Null => plan,
        Way::Inherit => plan.inherit(Standard::Input),
        Way::Descriptor(fd) => plan.stdin(fd),
        Way::Merged => return Err(Unfit::Words("only standard error can be merged")),
        way @ (Way::Piped | Way::Bytes(_)) => {
            let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC)?;
            without_waiting(&ours)?;
            let (bytes, whole) = match way {
                Way::Bytes(bytes) => (bytes, Some(Whole::default())),
                _ => (Vec::new(), None),
            };
            input = Some(InputRoad {
                fd: ours,
                bytes,
                written: 0,
                last: whole.is_some(),
                whole,
                watched: false,
                waker: None,
                terminal: false,
                mid_line: false,
            });
            plan.stdin(theirs)
        }
    };

    let mut stdout = None;
    // Kept for standard error, should it be merged.
    let mut merged: Option<Arc<OwnedFd>> = None;
    let mut inherits_output = false;
    let default_stdout = || default_output(rustix::stdio::stdout());
    plan = match command.stdout.take().unwrap_or_else(default_stdout).0 {
        Way::Null => plan,
        Way::Inherit => {
            inherits_output = true;
            plan.inherit(Standard::Output)
        }
        Way::Descriptor(fd) => {
            let fd = Arc::new(fd);
            merged = Some(fd.clone());
            plan.share(1, fd)
        }
        Way::Piped => {
            let (ours, theirs) = output_pipe()?;
            stdout = Some(Road::new(Lane::Output, ours, rule));
            let theirs = Arc::new(theirs);
            merged = Some(theirs.clone());
            plan.share(1, theirs)
        }
        Way::Merged => return Err(Unfit::Words("only standard error can be merged")),
        Way::Bytes(_) => return Err(Unfit::Words("bytes are for standard input")),
    };

    let mut stderr = None;
    let default_stderr = || default_output(rustix::stdio::stderr());
    plan = match command.stderr.take().unwrap_or_else(default_stderr).0 {
        Way::Null => plan,
        Way::Inherit => plan.inherit(Standard::Error),
        Way::Descriptor(fd) => plan.stderr(fd),
        Way::Piped => {
            let (ours, theirs) = output_pipe()?;
            stderr = Some(Road::new(Lane::Errors, ours, rule));
            plan.stderr(theirs)
        }
        Way::Merged => match merged.take() {
            Some(fd) => plan.share(2, fd),
            None if inherits_output => {
                let fd = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
                plan.fd(2, fd)
            }
            // Both thrown away.
            None => plan,
        },
        Way::Bytes(_) => return Err(Unfit::Words("bytes are for standard input")),
    };
    Ok(Standards {
        plan,
        input,
        stdout,
        stderr,
    })
}

/// Whether a standard descriptor of the app's is one: in an app that has closed it, something else may lie there by now,
/// an event or a connection, which is close-on-exec.
fn is_for_children(which: BorrowedFd) -> bool {
    fcntl_getfd(which).is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC))
}

/// A terminal of the program's own; the app holds its other side.
fn on_a_terminal(
    plan: Plan,
    command: &Command,
    (columns, rows): (u16, u16),
    rule: Rule,
) -> Result<Standards, Unfit> {
    if command.stdin.is_some() || command.stdout.is_some() || command.stderr.is_some() {
        return Err(Unfit::Words(
            "its standard descriptors are a terminal, and one of them is given as well",
        ));
    }
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let path = ptsname(&ours, Vec::new())?;
    set_size(&ours, columns, rows)?;
    without_waiting(&ours)?;
    Ok(Standards {
        plan: plan.terminal(path),
        input: Some(InputRoad {
            fd: ours.try_clone()?,
            bytes: Vec::new(),
            written: 0,
            whole: None,
            last: false,
            watched: false,
            waker: None,
            terminal: true,
            mid_line: false,
        }),
        stdout: Some(Road::new(Lane::Output, ours, rule)),
        stderr: None,
    })
}

/// `ioctl(TIOCSWINSZ)`, see tty_ioctl(2). The program in the foreground is sent SIGWINCH.
pub(super) fn set_size(terminal: &OwnedFd, columns: u16, rows: u16) -> io::Result<()> {
    let size = rustix::termios::Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(rustix::termios::tcsetwinsize(terminal, size)?)
}

/// A pipe for what the program writes: our end, which does not wait, and theirs.
fn output_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
    without_waiting(&ours)?;
    Ok((ours, theirs))
}

/// The two ends of a pipe are two open files: the program's end still waits.
fn without_waiting(fd: &OwnedFd) -> io::Result<()> {
    fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?;
    Ok(())
}

fn write_all(fd: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(fd, bytes))?;
        bytes = &bytes[written..];
    }
    Ok(())
}
