//! What to start, said before anything happens.

use std::{
    ffi::{CString, OsString},
    os::{
        fd::{OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    birth::{self, Order, Room},
    diagnosis,
    environment::{Environment, Strings},
    error::{SpawnError, Step},
    map::{Layout, Map, Source, Standard},
    program::{Located, Program},
};
use crate::process::{Process, Signal};

/// The process group and session that a child is born into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Group {
    /// The app's own group: a Ctrl+C in the app's terminal reaches the child, too, and the child cannot be
    /// signalled together with its descendants.
    Inherit,
    /// A new group led by the child, in the app's session. Its descendants can be stopped with it.
    #[default]
    Lead,
    /// A new session and group led by the child, without a controlling terminal; see setsid(2).
    Session,
}

/// A child to be started: the whole truth about it, as data.
///
/// Everything that is not named has a default that shares nothing with the app: 0, 1 and 2 are `/dev/null`, no
/// other descriptor is open, and the child leads a group of its own. What is inherited on purpose is the working
/// directory, the limits, and the environment but for [`ONE_SHOT_VARIABLES`](super::ONE_SHOT_VARIABLES).
///
/// A plan may be built and carried out on any thread (`Send`), and is used up by its start.
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

/// The signal mask that a child is born with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Mask {
    /// Every signal arrives.
    #[default]
    Empty,
    /// None arrives but SIGKILL and SIGSTOP, which cannot be blocked.
    Full,
}

#[derive(Debug)]
enum Directory {
    Path(PathBuf),
    Descriptor(OwnedFd),
}

impl Plan {
    /// A plan to run a program with no arguments.
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

    /// The name that the program finds as its argument 0. Default: the path or name as it was given.
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

    /// Sets a variable for the child; also the way to hand over one of
    /// [`ONE_SHOT_VARIABLES`](super::ONE_SHOT_VARIABLES).
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.set(name.into(), value.into());
        self
    }

    /// The child does not get this variable.
    pub fn env_remove(mut self, name: impl Into<OsString>) -> Self {
        self.environment.remove(name.into());
        self
    }

    /// The child gets no variable of the app, and of the plan only what is set after this.
    pub fn env_clear(mut self) -> Self {
        self.environment.clear();
        self
    }

    /// The child's working directory; a relative path counts from the app's. Default: the app's own.
    pub fn current_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(Directory::Path(path.into()));
        self
    }

    /// The child's working directory as an open descriptor, `O_PATH` being enough.
    pub fn current_dir_fd(mut self, directory: impl Into<OwnedFd>) -> Self {
        self.directory = Some(Directory::Descriptor(directory.into()));
        self
    }

    /// The child's process group. Default: [`Group::Lead`].
    pub fn group(mut self, group: Group) -> Self {
        self.group = group;
        self
    }

    /// Gives the child a descriptor under the number `target`, 0 to [`MAX_TARGET`](super::MAX_TARGET).
    ///
    /// The app's own copy is closed by [`spawn`](Self::spawn), successful or not. Its flags are not touched;
    /// what belongs to the open file, such as `O_NONBLOCK` and the offset, is shared with the child.
    pub fn fd(mut self, target: RawFd, source: impl Into<OwnedFd>) -> Self {
        self.map.insert(target, Source::Owned(source.into()));
        self
    }

    /// As [`fd`](Self::fd), with a descriptor that the app keeps, or gives under more than one number.
    pub fn share(mut self, target: RawFd, source: Arc<OwnedFd>) -> Self {
        self.map.insert(target, Source::Shared(source));
        self
    }

    /// The child shares the app's own standard descriptor. It must be open in the app.
    pub fn inherit(mut self, which: Standard) -> Self {
        self.map.inherit(which);
        self
    }

    /// The child's descriptor 0. Default: `/dev/null`.
    pub fn stdin(self, source: impl Into<OwnedFd>) -> Self {
        self.fd(0, source)
    }

    /// The child's descriptor 1. Default: `/dev/null`.
    pub fn stdout(self, source: impl Into<OwnedFd>) -> Self {
        self.fd(1, source)
    }

    /// The child's descriptor 2. Default: `/dev/null`.
    pub fn stderr(self, source: impl Into<OwnedFd>) -> Self {
        self.fd(2, source)
    }

    /// The child's descriptors 0, 1 and 2 are the terminal of this path, which controls the new session that it
    /// leads: the [group](Self::group) is [`Group::Session`]. Entries of the map for these three are refused.
    pub fn terminal(mut self, path: CString) -> Self {
        self.terminal = Some(path);
        self.group = Group::Session;
        self
    }

    /// The child's signal mask. Default: empty.
    pub(crate) fn signals(mut self, mask: Mask) -> Self {
        self.signals = mask;
        self
    }

    /// The child ignores these signals, as far as this process ignores them when it starts the child. Default: none,
    /// whatever this process ignores. For a program that stands in for its child, as env(1) and nohup(1) do.
    pub fn keep_ignored(mut self, signals: impl IntoIterator<Item = Signal>) -> Self {
        let bits = signals.into_iter().map(|signal| 1 << (signal.as_raw() - 1));
        self.ignored = bits.fold(self.ignored, |all, bit: u64| all | bit);
        self
    }

    /// Checks the plan and starts the child.
    ///
    /// Blocks the calling thread until the child executes its program, a fraction of a millisecond. May be
    /// called on any thread, also on many at once. Needs one free descriptor in the app, for the pidfd.
    ///
    /// # Errors
    ///
    /// See [`Step`] for what can fail. After an error there is no child, and no zombie of one.
    pub fn spawn(self) -> Result<Process, SpawnError> {
        self.spawn_into(None)
    }

    /// The same, with a room for the pidfd that is held already.
    pub(crate) fn spawn_into(self, room: Option<Room>) -> Result<Process, SpawnError> {
        let group = self.group;
        let (checked, room) = self.check(room)?;
        let born = birth::give(&checked.order(), room)
            .map_err(|fault| diagnosis::explain(fault, &checked))?;
        Ok(Process::new(born.pid, born.pidfd, group != Group::Inherit))
    }

    /// The same start by way of a helper, which does in the child what `posix_spawn` cannot and then executes
    /// the program. The helper finds `control` at `number`, everything else is as the program is to find it.
    pub(crate) fn by_way_of(
        mut self,
        helper: Program,
        number: RawFd,
        control: OwnedFd,
    ) -> Result<(Plan, Target), SpawnError> {
        let program = self.program.locate()?;
        let arg0 = self.arg0.take().unwrap_or_else(|| program.arg0.clone());
        let arguments = c_strings(arg0, std::mem::take(&mut self.args))?;
        let moved = self.map.move_aside(number);
        self.program = helper;
        let plan = self.arg("--legwork-exec").fd(number, control);
        let target = Target {
            program,
            arguments,
            moved,
        };
        Ok((plan, target))
    }

    /// Everything that can go wrong before there is a process goes wrong here.
    ///
    /// The order matters. The map comes before anything is opened, or what is opened could take the number of a
    /// source that somebody has closed. The pidfd's room comes before the files, or they could take the last
    /// place in the table.
    fn check(self, room: Option<Room>) -> Result<(Checked, Room), SpawnError> {
        crate::process::check_child_signal()
            .map_err(|why| SpawnError::refused(Step::ChildSignal, why))?;
        if self.terminal.is_some() && self.map.names_standard() {
            return Err(SpawnError::refused(
                Step::DescriptorMap,
                "descriptors 0, 1 and 2 of the child are a terminal, and one of them is given again",
            ));
        }
        let layout = self.map.lay_out()?;
        let room = room.map_or_else(Room::hold, Ok)?;
        let program = self.program.locate()?;
        let arg0 = self.arg0.unwrap_or_else(|| program.arg0.clone());
        let checked = Checked {
            arguments: c_strings(arg0, self.args)?,
            environment: self.environment.strings()?,
            directory: self.directory.map(Place::open).transpose()?,
            group: self.group,
            terminal: self.terminal,
            signals: self.signals,
            ignored: self.ignored,
            layout,
            program,
        };
        Ok((checked, room))
    }
}

fn c_strings(arg0: OsString, args: Vec<OsString>) -> Result<Vec<CString>, SpawnError> {
    std::iter::once(arg0)
        .chain(args)
        .enumerate()
        .map(|(index, argument)| {
            CString::new(argument.as_bytes()).map_err(|_| {
                SpawnError::refused(
                    Step::Arguments,
                    format!("argument {index} holds a NUL byte: {argument:?}"),
                )
            })
        })
        .collect()
}

/// What a helper is to execute. To be kept until it has: the program may be an open descriptor of the app's.
#[derive(Debug)]
pub(crate) struct Target {
    program: Located,
    pub(crate) arguments: Vec<CString>,
    /// Where the descriptor waits that is to be at the control socket's number.
    pub(crate) moved: Option<RawFd>,
}

impl Target {
    /// The path to execute.
    pub(crate) fn path(&self) -> &CString {
        &self.program.exec
    }

    /// Why it was not executed: `step` is what the helper was at.
    pub(crate) fn explain(&self, step: &str, errno: i32) -> SpawnError {
        if step == crate::worker::EXECUTING {
            return diagnosis::explain_execution(errno, &self.program.file, &self.arguments);
        }
        let why = super::error::describe(errno);
        SpawnError::failed(Step::Helper, errno, format!("{step} failed: {why}"))
            .at(&self.program.file)
    }
}

/// A plan in which every name is resolved and every descriptor is open.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) program: Located,
    pub(super) arguments: Vec<CString>,
    pub(super) environment: Strings,
    pub(super) directory: Option<Place>,
    layout: Layout,
    terminal: Option<CString>,
    group: Group,
    signals: Mask,
    ignored: u64,
}

impl Checked {
    fn order(&self) -> Order<'_> {
        Order {
            program: &self.program.exec,
            arguments: &self.arguments,
            environment: &self.environment,
            directory: self.directory.as_ref(),
            actions: &self.layout.actions,
            terminal: self.terminal.as_deref(),
            group: self.group,
            signals: self.signals,
            ignored: self.ignored,
        }
    }
}

/// A working directory that was found to be one and may be entered.
#[derive(Debug)]
pub(super) enum Place {
    Open {
        fd: OwnedFd,
        path: Option<PathBuf>,
    },
    /// The app has no descriptor left to open it with; the child enters it by its path.
    Named {
        path: PathBuf,
        raw: CString,
    },
}

impl Place {
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Open { path, .. } => path.as_deref(),
            Self::Named { path, .. } => Some(path),
        }
    }

    fn open(directory: Directory) -> Result<Self, SpawnError> {
        use rustix::{
            fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, fstat, open, stat},
            io::Errno,
        };
        let path = match directory {
            Directory::Descriptor(fd) => {
                let status = fstat(&fd).map_err(|errno| directory_error(None, errno))?;
                if !rustix::fs::FileType::from_raw_mode(status.st_mode).is_dir() {
                    return Err(directory_error(None, Errno::NOTDIR));
                }
                return Ok(Self::Open { fd, path: None });
            }
            Directory::Path(path) => path,
        };
        let failed = |errno| directory_error(Some(&path), errno);
        let raw = CString::new(path.as_os_str().as_bytes()).map_err(|_| {
            SpawnError::refused(
                Step::WorkingDirectory,
                "the path of the working directory holds a NUL byte",
            )
            .at(&path)
        })?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place = match open(&*raw, flags, Mode::empty()) {
            Ok(fd) => Self::Open {
                fd,
                path: Some(path.clone()),
            },
            Err(Errno::MFILE | Errno::NFILE) => {
                let status = stat(&*raw).map_err(failed)?;
                if !rustix::fs::FileType::from_raw_mode(status.st_mode).is_dir() {
                    return Err(failed(Errno::NOTDIR));
                }
                Self::Named {
                    path: path.clone(),
                    raw: raw.clone(),
                }
            }
            Err(errno) => return Err(failed(errno)),
        };
        accessat(CWD, &*raw, Access::EXEC_OK, AtFlags::EACCESS).map_err(failed)?;
        Ok(place)
    }
}

fn directory_error(path: Option<&Path>, errno: rustix::io::Errno) -> SpawnError {
    use rustix::io::Errno;
    let shown = path.map_or_else(|| "given by descriptor".into(), |path| format!("{path:?}"));
    let why = match errno {
        Errno::NOENT => "does not exist".into(),
        Errno::NOTDIR => "is not a directory".into(),
        Errno::ACCESS => "may not be entered".into(),
        other => format!(
            "cannot be opened: {}",
            super::error::describe(other.raw_os_error())
        ),
    };
    let error = SpawnError::failed(
        Step::WorkingDirectory,
        errno.raw_os_error(),
        format!("the working directory {shown} {why}"),
    );
    match path {
        Some(path) => error.at(path),
        None => error,
    }
}

// Where a plan may go is part of its promise.
const _: () = {
    const fn send<T: Send>() {}
    send::<Plan>();
    send::<SpawnError>();
};
