//! What to start, stated before anything happens.

use std::ffi::{CString, OsString};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::attributes::{Group, Mask};
use super::checked::Checked;
use super::diagnosis;
use super::directory::Directory;
use super::environment::Environment;
use super::error::{SpawnError, Step};
use super::map::{Map, Source, Standard};
use super::posix_spawn::{self, Reservation};
use super::program::{Located, Program};
use crate::process::{Process, Signal};
use crate::text::{Text, text};

/// A child to be started: everything about it, as data.
///
/// The defaults share little with the app: 0, 1 and 2 are `/dev/null`, no other descriptor is open,
/// and the child leads a group of its own. It inherits the working directory, the limits, and the
/// environment except [`ONE_SHOT_VARIABLES`](super::ONE_SHOT_VARIABLES).
///
/// A plan may be built and spawned on any thread (`Send`). [`spawn`](Self::spawn) consumes it.
#[derive(Debug)]
#[must_use = "a plan does nothing until it is spawned"]
pub struct Plan {
    program: Program,
    arg0: Option<OsString>,
    args: Vec<OsString>,
    environment: Environment,
    directory: Option<Directory>,
    group: Group,
    map: Map,
    terminal: Option<CString>,
    signals: Mask,
    ignored: u64,
}

impl Plan {
    /// A plan that runs a program without arguments.
    pub fn new(program: impl Into<Program>) -> Self {
        Self {
            program: program.into(),
            arg0: None,
            args: Vec::new(),
            environment: Environment::default(),
            directory: None,
            group: Group::default(),
            map: Map::default(),
            terminal: None,
            signals: Mask::default(),
            ignored: 0,
        }
    }

    /// Sets argument 0, the program's own name. Default: the path or name as it was given.
    pub fn arg0(mut self, arg0: impl Into<OsString>) -> Self {
        self.arg0 = Some(arg0.into());
        self
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the child, which may be one of
    /// [`ONE_SHOT_VARIABLES`](super::ONE_SHOT_VARIABLES).
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.set(name.into(), value.into());
        self
    }

    /// Removes a variable from the child's environment.
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.environment.remove(name.into());
        self
    }

    /// Removes every variable of the app, and every one that was set before this call.
    pub fn env_clear(mut self) -> Self {
        self.environment.clear();
        self
    }

    /// Sets the child's working directory; a relative path is relative to the app's. Default: the
    /// app's own.
    pub fn current_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(Directory::Path(path.into()));
        self
    }

    /// Sets the child's working directory by an open descriptor, for which `O_PATH` is enough.
    pub fn current_dir_fd(mut self, directory: impl Into<OwnedFd>) -> Self {
        self.directory = Some(Directory::Descriptor(directory.into()));
        self
    }

    /// Sets the child's process group. Default: [`Group::Lead`].
    pub fn group(mut self, group: Group) -> Self {
        self.group = group;
        self
    }

    /// Passes a descriptor to the child as number `target`, 0 to [`MAX_TARGET`](super::MAX_TARGET).
    ///
    /// [`spawn`](Self::spawn) closes the app's own copy, successful or not, and does not change its
    /// flags. What belongs to the open file, such as `O_NONBLOCK` and the offset, is shared with
    /// the child.
    pub fn fd(mut self, target: RawFd, source: impl Into<OwnedFd>) -> Self {
        self.map.insert(target, Source::Owned(source.into()));
        self
    }

    /// As [`fd`](Self::fd), with a descriptor that the app keeps, or passes as more than one
    /// number.
    pub fn share(mut self, target: RawFd, source: Arc<OwnedFd>) -> Self {
        self.map.insert(target, Source::Shared(source));
        self
    }

    /// Shares the app's own standard descriptor with the child. It must be open in the app.
    pub fn inherit(mut self, which: Standard) -> Self {
        self.map.inherit(which);
        self
    }

    /// Sets the child's descriptor 0. Default: `/dev/null`.
    pub fn stdin(self, source: impl Into<OwnedFd>) -> Self {
        self.fd(0, source)
    }

    /// Sets the child's descriptor 1. Default: `/dev/null`.
    pub fn stdout(self, source: impl Into<OwnedFd>) -> Self {
        self.fd(1, source)
    }

    /// Sets the child's descriptor 2. Default: `/dev/null`.
    pub fn stderr(self, source: impl Into<OwnedFd>) -> Self {
        self.fd(2, source)
    }

    /// Makes the terminal at this path the child's descriptors 0, 1 and 2, and the controlling
    /// terminal of the new session that it leads: the [group](Self::group) is [`Group::Session`].
    /// Other descriptors for 0, 1 or 2 are refused.
    pub fn terminal(mut self, path: CString) -> Self {
        self.terminal = Some(path);
        self.group = Group::Session;
        self
    }

    /// Sets the child's signal mask. Default: empty.
    pub(crate) fn signals(mut self, mask: Mask) -> Self {
        self.signals = mask;
        self
    }

    /// Leaves these signals ignored in the child if this process ignores them when it starts the
    /// child. The default is none, whatever this process ignores. For a program that stands in for
    /// its child, as env(1) and nohup(1) do.
    pub fn keep_ignored(mut self, signals: impl IntoIterator<Item = Signal>) -> Self {
        let bits = signals.into_iter().map(|signal| 1 << (signal.as_raw() - 1));
        self.ignored = bits.fold(self.ignored, |all, bit: u64| all | bit);
        self
    }

    /// Checks the plan and starts the child.
    ///
    /// Blocks the calling thread until the child executes its program, a fraction of a millisecond.
    /// May be called on any thread, and on many at once. Needs one free descriptor in the app, for
    /// the pidfd.
    ///
    /// # Errors
    ///
    /// See [`Step`] for what can fail. After an error there is no child, and no zombie of one.
    pub fn spawn(self) -> Result<Process, SpawnError> {
        self.spawn_into(None)
    }

    /// The same, with a descriptor for the pidfd that is reserved already.
    pub(crate) fn spawn_into(
        self,
        reservation: Option<Reservation>,
    ) -> Result<Process, SpawnError> {
        let group = self.group;
        let (checked, reservation) = self.check(reservation)?;
        let child = posix_spawn::spawn(&checked.invocation(), reservation)
            .map_err(|fault| diagnosis::explain(fault, &checked))?;
        Ok(Process::new(
            child.pid,
            child.pidfd,
            group != Group::Inherit,
        ))
    }

    /// The same start by way of a helper, which does in the child what `posix_spawn` cannot and
    /// then executes the program. The helper gets `control` as `number`, and everything else as the
    /// program gets it.
    pub(crate) fn by_way_of(
        mut self,
        helper: Program,
        number: RawFd,
        control: OwnedFd,
    ) -> Result<(Plan, Target), SpawnError> {
        let program = self.program.locate(self.directory.is_some())?;
        let args = std::mem::take(&mut self.args);
        let arguments = arguments(&program, self.arg0.take(), args)?;
        let moved = self.map.relocate(number);
        self.program = helper;
        let plan = self.arg("--legwork-exec").fd(number, control);
        let target = Target {
            program,
            arguments,
            moved,
        };
        Ok((plan, target))
    }

    /// Does everything that can fail before there is a process.
    ///
    /// The order matters. The map is checked before anything is opened, as what is opened could get
    /// the number of a source that other code has closed. The pidfd's descriptor is reserved before
    /// the files are opened, as they could get the last free one.
    fn check(self, reservation: Option<Reservation>) -> Result<(Checked, Reservation), SpawnError> {
        crate::process::check_child_signal()
            .map_err(|why| SpawnError::refused(Step::ChildSignal, why))?;
        if self.terminal.is_some() && self.map.names_standard() {
            return Err(SpawnError::refused(
                Step::DescriptorMap,
                text!(
                    "descriptors 0, 1 and 2 of the child are a terminal, and one of them is given \
                     again"
                ),
            ));
        }
        let layout = self.map.lay_out()?;
        let reservation = reservation.map_or_else(Reservation::new, Ok)?;
        let program = self.program.locate(self.directory.is_some())?;
        let checked = Checked {
            arguments: arguments(&program, self.arg0, self.args)?,
            environment: self.environment.strings()?,
            directory: self.directory.map(Directory::open).transpose()?,
            group: self.group,
            terminal: self.terminal,
            signals: self.signals,
            ignored: self.ignored,
            layout,
            program,
        };
        Ok((checked, reservation))
    }
}

fn arguments(
    program: &Located,
    arg0: Option<OsString>,
    args: Vec<OsString>,
) -> Result<Vec<CString>, SpawnError> {
    let mut all = c_strings(arg0.unwrap_or_else(|| program.arg0.clone()), args)?;
    all.splice(1..1, program.before.iter().cloned());
    Ok(all)
}

fn c_strings(arg0: OsString, args: Vec<OsString>) -> Result<Vec<CString>, SpawnError> {
    std::iter::once(arg0)
        .chain(args)
        .enumerate()
        .map(|(index, argument)| {
            CString::new(argument.as_bytes()).map_err(|_| {
                SpawnError::refused(
                    Step::Arguments,
                    text!(
                        "argument {index} contains a NUL byte: {argument}",
                        index = index,
                        argument = Text::quoted(&argument)
                    ),
                )
            })
        })
        .collect()
}

/// What a helper executes. Must be kept until then: the program may be an open descriptor of the
/// app.
#[derive(Debug)]
pub(crate) struct Target {
    program: Located,
    pub(crate) arguments: Vec<CString>,
    /// The number of the descriptor that the program gets as the control socket's number.
    pub(crate) moved: Option<RawFd>,
}

impl Target {
    /// The path that the helper passes to execve(2).
    pub(crate) fn path(&self) -> &CString {
        &self.program.exec
    }

    /// The program as people know it.
    pub(crate) fn file(&self) -> &Path {
        &self.program.file
    }

    /// Why the helper could not execute it.
    pub(crate) fn explain(&self, errno: i32) -> SpawnError {
        diagnosis::explain_execution(errno, &self.program, &self.arguments)
    }
}

// Part of the interface.
const _: () = {
    const fn send<T: Send>() {}
    send::<Plan>();
    send::<SpawnError>();
};
