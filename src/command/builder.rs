//! What to run, with every option and its default.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::outcome::Success;
use super::progress::LineProgress;
use super::stdio::Stdio;
use super::stop::Stop;
use crate::child::Worker;
use crate::process::ExitStatus;
use crate::spawn::{Group, Program};
use crate::wire::frame::ExecOrder;

/// An external program to be run.
///
/// In the manner of `std::process::Command`; nothing happens before [`spawn`](Self::spawn) or
/// [`output`](Self::output).
///
/// | option | default |
/// |---|---|
/// | program | searched for in the *app's* `PATH` when its name has no slash; a relative path starts from the app's working directory, whatever [`current_dir`](Self::current_dir) is |
/// | [`stdin`](Self::stdin) | null |
/// | [`stdout`](Self::stdout), [`stderr`](Self::stderr) | inherited, or null where the app's is closed or close-on-exec; piped for [`output`](Self::output) |
/// | [`terminal`](Self::terminal) | none |
/// | other descriptors | none |
/// | environment | the app's, without the variables that name an inherited descriptor or a one-shot token |
/// | [`group`](Self::group) | a group of its own |
/// | [`stop`](Self::stop) | SIGTERM, 2 s, SIGKILL |
/// | [`deadline`](Self::deadline), [`stall_deadline`](Self::stall_deadline) | none |
/// | [`success`](Self::success) | exit code 0 |
/// | [`drain`](Self::drain) | 500 ms |
/// | [`output_limit`](Self::output_limit) | none |
///
/// ```no_run
/// use std::time::Duration;
/// use legwork::{Command, Stop, Stdio, progress};
///
/// # async fn example(bar: &legwork::Status) -> Result<(), legwork::Error> {
/// let ffmpeg = Command::new("ffmpeg")
///     .args(["-y", "-i", "in.wav", "-nostats", "-progress", "pipe:1", "out.ogg"])
///     .stdin(Stdio::piped())
///     .progress(progress::ffmpeg(Duration::from_secs(60)))
///     .stop(Stop::stdin(b"q").then(Stop::default()))
///     .spawn();
/// ffmpeg.await?;
/// # Ok(()) }
/// ```
#[must_use = "a command does nothing until it is spawned"]
pub struct Command {
    pub(super) program: OsString,
    pub(super) executable: Option<OwnedFd>,
    pub(super) search_own_path: bool,
    pub(super) arg0: Option<OsString>,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<EnvChange>,
    pub(super) directory: Option<Directory>,
    pub(super) group: Group,
    pub(super) stdin: Option<Stdio>,
    pub(super) stdout: Option<Stdio>,
    pub(super) stderr: Option<Stdio>,
    pub(super) terminal: Option<(u16, u16)>,
    pub(super) fds: Vec<(RawFd, OwnedFd)>,
    pub(super) secrets: Vec<(Secret, Vec<u8>)>,
    pub(super) label: Option<String>,
    pub(super) stop: Stop,
    pub(super) success: Success,
    pub(super) deadline: Option<Duration>,
    pub(super) stall: Option<Duration>,
    pub(super) drain: Duration,
    pub(super) output_limit: usize,
    pub(super) progress: Option<Box<dyn LineProgress>>,
    pub(super) helper: Worker,
    pub(super) changes: ExecOrder,
    pub(super) cancellables: Vec<gio::Cancellable>,
    pub(super) waits: Vec<gio::Cancellable>,
}

#[derive(Debug)]
pub(super) enum EnvChange {
    Set(OsString, OsString),
    Remove(OsString),
    Clear,
}

#[derive(Debug)]
pub(super) enum Directory {
    Path(PathBuf),
    Descriptor(OwnedFd),
}

/// A resource that can be limited; see getrlimit(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum Limit {
    /// Bytes of address space.
    AddressSpace = libc::RLIMIT_AS,
    /// Bytes of a core dump.
    Core = libc::RLIMIT_CORE,
    /// Seconds of processor time.
    ProcessorTime = libc::RLIMIT_CPU,
    /// Bytes of data.
    Data = libc::RLIMIT_DATA,
    /// Bytes of a file that is written.
    FileSize = libc::RLIMIT_FSIZE,
    /// Bytes of locked memory.
    LockedMemory = libc::RLIMIT_MEMLOCK,
    /// One more than the highest descriptor.
    OpenFiles = libc::RLIMIT_NOFILE,
    /// Processes of the user.
    Processes = libc::RLIMIT_NPROC,
    /// Bytes of stack.
    Stack = libc::RLIMIT_STACK,
}

/// How a program learns where its secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Secret {
    /// The number of the descriptor is the value of this variable, as `BORG_PASSPHRASE_FD`.
    Env(OsString),
    /// The number of the descriptor, behind this, is one more argument, as `--passphrase-fd=`.
    Arg(OsString),
}

impl Command {
    /// A command that runs `program`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Command {
            program: program.as_ref().to_owned(),
            executable: None,
            search_own_path: false,
            arg0: None,
            args: Vec::new(),
            env: Vec::new(),
            directory: None,
            group: Group::Lead,
            stdin: None,
            stdout: None,
            stderr: None,
            terminal: None,
            fds: Vec::new(),
            secrets: Vec::new(),
            label: None,
            stop: Stop::default(),
            success: Rc::new(ExitStatus::success),
            deadline: None,
            stall: None,
            drain: Duration::from_millis(500),
            output_limit: usize::MAX,
            progress: None,
            helper: Worker::default(),
            changes: ExecOrder::default(),
            cancellables: Vec::new(),
            waits: Vec::new(),
        }
    }

    /// A command that runs an open executable, which people know as `name`. See
    /// [`Program::Descriptor`].
    pub fn from_fd(executable: impl Into<OwnedFd>, name: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(name);
        command.executable = Some(executable.into());
        command
    }

    /// Searches for the program in the `PATH` that the program itself gets, as `execvp` in the
    /// child would. Relative folders in it still start from the app's working directory.
    pub fn search_own_path(mut self) -> Self {
        self.search_own_path = true;
        self
    }

    /// What the program sees as its own name. The default is the name as it was given.
    pub fn arg0(mut self, arg0: impl AsRef<OsStr>) -> Self {
        self.arg0 = Some(arg0.as_ref().to_owned());
        self
    }

    /// Adds an argument: bytes, not a line for a shell.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets a variable of its environment. The order of these calls counts.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push(EnvChange::Set(
            name.as_ref().to_owned(),
            value.as_ref().to_owned(),
        ));
        self
    }

    /// Sets variables of its environment.
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        variables
            .into_iter()
            .fold(self, |command, (name, value)| command.env(name, value))
    }

    /// Leaves a variable out.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.push(EnvChange::Remove(name.as_ref().to_owned()));
        self
    }

    /// Begins with an empty environment.
    pub fn env_clear(mut self) -> Self {
        self.env.push(EnvChange::Clear);
        self
    }

    /// Its working directory. A relative path starts from the app's.
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.directory = Some(Directory::Path(folder.into()));
        self
    }

    /// Its working directory, by descriptor.
    pub fn current_dir_fd(mut self, folder: impl Into<OwnedFd>) -> Self {
        self.directory = Some(Directory::Descriptor(folder.into()));
        self
    }

    /// Its process group and session. In the app's own group it gets the terminal's Ctrl+C like
    /// the app, and is signalled alone, without the children it may have.
    pub fn group(mut self, group: Group) -> Self {
        self.group = group;
        self
    }

    /// Its standard input.
    pub fn stdin(mut self, stdio: impl Into<Stdio>) -> Self {
        self.stdin = Some(stdio.into());
        self
    }

    /// Its standard output.
    pub fn stdout(mut self, stdio: impl Into<Stdio>) -> Self {
        self.stdout = Some(stdio.into());
        self
    }

    /// Its standard error.
    pub fn stderr(mut self, stdio: impl Into<Stdio>) -> Self {
        self.stderr = Some(stdio.into());
        self
    }

    /// Gives it a terminal of its own, of so many columns and rows, as its standard input, output
    /// and error, which controls a session of its own: for programs that talk differently to a
    /// person. What it writes comes from [`CommandHandle::stdout`](super::CommandHandle::stdout), both outputs in one, and what is
    /// [written to it](super::CommandHandle::stdin) is typed.
    /// [`resize_terminal`](super::CommandHandle::resize_terminal) changes the size. Setting one of the three as well is an error
    /// when it is started. See pty(7).
    pub fn terminal(mut self, columns: u16, rows: u16) -> Self {
        self.terminal = Some((columns, rows));
        self
    }

    /// Hands over a descriptor, which the program finds at `number`, 3 to 1023. The app's own copy
    /// is closed when the program has started.
    pub fn fd(mut self, number: RawFd, fd: impl Into<OwnedFd>) -> Self {
        self.fds.push((number, fd.into()));
        self
    }

    /// Hands over a secret by a pipe, neither in its arguments nor in its environment: at most
    /// 64 KiB. The pipe is at the first number from 3 that is free.
    pub fn secret(mut self, place: Secret, value: impl Into<Vec<u8>>) -> Self {
        self.secrets.push((place, value.into()));
        self
    }

    /// What people call it, in its status and its errors. The default is the program's name.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// How it is asked to end.
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = stop;
        self
    }

    /// Which exits are a success: for programs that warn by their exit code.
    pub fn success(mut self, rule: impl Fn(ExitStatus) -> bool + 'static) -> Self {
        self.success = Rc::new(rule);
        self
    }

    /// Exit codes that are a success.
    pub fn success_codes(self, codes: impl Into<Vec<i32>>) -> Self {
        let codes = codes.into();
        self.success(move |status| status.code().is_some_and(|code| codes.contains(&code)))
    }

    /// Stops it when it has not ended after this time; the outcome is
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout). 0 stops it at once; a time beyond the
    /// clock's end is none.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Stops it when it has written nothing for this time, to neither of the pipes that the app
    /// reads. A program that writes to no pipe of the app's is not watched so, nor one that is read by
    /// GIO; and while the app has paused it, or does not read on, the time does not count.
    pub fn stall_deadline(mut self, deadline: Duration) -> Self {
        self.stall = Some(deadline);
        self
    }

    /// How long a pipe is still read that a grandchild holds open when the program has ended. A
    /// cancel, or dropping the handle, ends it at once.
    pub fn drain(mut self, bound: Duration) -> Self {
        self.drain = bound;
        self
    }

    /// How many bytes [`output`](Self::output) keeps of each of the two; the rest is read and
    /// thrown away, and [`Output::truncated`](super::Output::truncated) says so.
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// Reads progress out of the lines that it writes, to whichever of its outputs; both are piped
    /// unless they lead elsewhere already.
    pub fn progress(mut self, progress: impl LineProgress) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Its umask, as `0o077`. Needs the [helper](Self::helper).
    pub fn umask(mut self, mask: u32) -> Self {
        self.changes.umask = Some(mask & 0o777);
        self
    }

    /// Adds this to its nice value: the higher, the nicer, up to 19 in all. Less than 0 needs
    /// privileges. Needs the [helper](Self::helper).
    pub fn nice(mut self, by: i32) -> Self {
        self.changes.nice = Some(by);
        self
    }

    /// Sets one of its resource limits, soft and hard, `None` being unlimited; see getrlimit(2).
    /// A hard limit above the app's own is refused when the program is started, unless the app has
    /// the privilege. Needs the [helper](Self::helper).
    pub fn limit(mut self, resource: Limit, soft: Option<u64>, hard: Option<u64>) -> Self {
        self.changes.limits.push((resource as u32, soft, hard));
        self
    }

    /// It, and all that it starts, can gain no privileges by executing a set-user-ID program; see
    /// prctl(2), `PR_SET_NO_NEW_PRIVS`. Needs the [helper](Self::helper).
    pub fn no_new_privileges(mut self) -> Self {
        self.changes.no_new_privileges = true;
        self
    }

    /// The worker program that helps: it watches over the program and ends it when the app dies,
    /// and it executes it where something is asked for that `posix_spawn` cannot do
    /// ([`umask`](Self::umask), [`nice`](Self::nice), [`limit`](Self::limit),
    /// [`no_new_privileges`](Self::no_new_privileges)); that costs one start of the helper more.
    ///
    /// The default is the app itself, if its `main` begins with
    /// [`Jobs::run_if_worker`](crate::Jobs::run_if_worker). Without any helper programs run, but
    /// outlive an app that is killed; those options are an error then.
    pub fn helper(mut self, worker: &Worker) -> Self {
        self.helper = worker.clone();
        self
    }

    /// Stops the program when `cancellable` is cancelled, from whichever thread.
    pub fn cancellable(mut self, cancellable: &gio::Cancellable) -> Self {
        self.cancellables.push(cancellable.clone());
        self
    }

    /// Stops only the waiting when `cancellable` is cancelled, from whichever thread: the outcome is
    /// *cancelled* at once, and the program runs on as a [detached](super::CommandHandle::detach) one. So
    /// does the cancellable of `g_subprocess_wait_async()`.
    pub fn wait_cancellable(mut self, cancellable: &gio::Cancellable) -> Self {
        self.waits.push(cancellable.clone());
        self
    }

    /// The program, as it was given.
    pub fn get_program(&self) -> &OsStr {
        &self.program
    }

    /// The arguments, without the program's own name.
    pub fn get_args(&self) -> impl Iterator<Item = &OsStr> {
        self.args.iter().map(OsString::as_os_str)
    }

    /// The variables that were set, and those that were removed, with `None`; each once, in the
    /// order of their names. What is inherited is not among them.
    pub fn get_envs(&self) -> impl Iterator<Item = (&OsStr, Option<&OsStr>)> {
        let mut changes = BTreeMap::new();
        for change in &self.env {
            match change {
                EnvChange::Set(name, value) => _ = changes.insert(&**name, Some(&**value)),
                EnvChange::Remove(name) => _ = changes.insert(&**name, None),
                EnvChange::Clear => changes.clear(),
            }
        }
        changes.into_iter()
    }

    /// The working directory, when it was given by a path.
    pub fn get_current_dir(&self) -> Option<&Path> {
        match &self.directory {
            Some(Directory::Path(path)) => Some(path),
            _ => None,
        }
    }

    pub(super) fn take_program(&mut self) -> Program {
        if let Some(fd) = self.executable.take() {
            return Program::Descriptor(fd);
        }
        let has_slash = self.program.as_encoded_bytes().contains(&b'/');
        if has_slash {
            return Program::path(PathBuf::from(&self.program));
        }
        Program::Name {
            name: self.program.clone(),
            path: self.search_own_path.then(|| self.own_path()),
        }
    }

    /// The `PATH` that the program will have.
    fn own_path(&self) -> OsString {
        let mut path = std::env::var_os("PATH");
        for change in &self.env {
            match change {
                EnvChange::Set(name, value) if name == "PATH" => path = Some(value.clone()),
                EnvChange::Remove(name) if name == "PATH" => path = None,
                EnvChange::Clear => path = None,
                EnvChange::Set(..) | EnvChange::Remove(_) => (),
            }
        }
        path.unwrap_or_else(|| "/bin:/usr/bin".into())
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // No environment: people put secrets there.
        f.debug_struct("Command")
            .field("program", &self.program)
            .field("args", &self.args)
            .finish_non_exhaustive()
    }
}
