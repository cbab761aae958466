//! What to run, with every option and its default.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

#[cfg(feature = "desktop")]
use super::activation::Activation;
use super::host;
use super::outcome::Success;
use super::progress::LineProgress;
use super::stdio::Stdio;
use super::stop::Stop;
use crate::child::Worker;
use crate::child::gate::SharedGate;
use crate::child::observer::Observers;
use crate::process::ExitStatus;
use crate::spawn::{Group, Program};
use crate::wire::frame::ExecOrder;

/// An external program to run.
///
/// It is built like a `std::process::Command`; nothing happens before [`spawn`](Self::spawn) or
/// [`output`](Self::output).
///
/// | option | default |
/// |---|---|
/// | program | searched in the *app's* `PATH` when its name has no slash; a relative path is resolved against the app's working directory, whatever [`current_dir`](Self::current_dir) is |
/// | [`stdin`](Self::stdin) | null |
/// | [`stdout`](Self::stdout), [`stderr`](Self::stderr) | inherited, or null where the app's is closed or close-on-exec; piped for [`output`](Self::output) |
/// | [`terminal`](Self::terminal) | none |
/// | other descriptors | none |
/// | environment | the app's, without the variables that name an inherited descriptor or a one-shot token; see [`host_environment`](Self::host_environment) |
/// | [`group`](Self::group) | a session of its own, without a terminal |
/// | [`stop`](Self::stop) | SIGTERM, 2 s, SIGKILL; on a terminal before that SIGHUP, twice within 500 ms |
/// | [`deadline`](Self::deadline), [`stall_deadline`](Self::stall_deadline) | none |
/// | [`success`](Self::success) | exit code 0 |
/// | [`drain`](Self::drain) | 500 ms after the last byte, 5 s in all |
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
    pub(super) on_host: bool,
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
    pub(super) stop: Option<Stop>,
    pub(super) success: Success,
    pub(super) deadline: Option<Duration>,
    pub(super) stall: Option<Duration>,
    pub(super) drain: Duration,
    pub(super) output_limit: usize,
    pub(super) progress: Option<Box<dyn LineProgress>>,
    pub(super) helper: Worker,
    pub(super) changes: ExecOrder,
    pub(super) guarded_from_birth: bool,
    pub(super) gate: Option<SharedGate>,
    pub(super) cancellables: Vec<gio::Cancellable>,
    pub(super) waits: Vec<gio::Cancellable>,
    pub(super) observers: Observers,
    #[cfg(feature = "desktop")]
    pub(super) activation: Option<Activation>,
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

/// How a program is told where its secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Secret {
    /// The number of the descriptor is the value of this variable, as `BORG_PASSPHRASE_FD`.
    Env(OsString),
    /// This with the number of the descriptor appended is one more argument, as `--passphrase-fd=`.
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
            on_host: false,
            env: Vec::new(),
            directory: None,
            group: Group::Session,
            stdin: None,
            stdout: None,
            stderr: None,
            terminal: None,
            fds: Vec::new(),
            secrets: Vec::new(),
            label: None,
            stop: None,
            success: Rc::new(ExitStatus::success),
            deadline: None,
            stall: None,
            drain: Duration::from_millis(500),
            output_limit: usize::MAX,
            progress: None,
            helper: Worker::default(),
            changes: ExecOrder::default(),
            guarded_from_birth: false,
            gate: None,
            cancellables: Vec::new(),
            waits: Vec::new(),
            observers: Observers::default(),
            #[cfg(feature = "desktop")]
            activation: None,
        }
    }

    /// A command that runs an open executable, which is called `name`. See
    /// [`Program::Descriptor`].
    pub fn from_fd(executable: impl Into<OwnedFd>, name: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(name);
        command.executable = Some(executable.into());
        command
    }

    /// Searches for the program in the `PATH` that the program itself gets, as `execvp` in the
    /// child would. Relative folders in it are still resolved against the app's working directory.
    pub fn search_own_path(mut self) -> Self {
        self.search_own_path = true;
        self
    }

    /// Sets the program's argument 0, its own name. The default is the name as it was given.
    pub fn arg0(mut self, arg0: impl AsRef<OsStr>) -> Self {
        self.arg0 = Some(arg0.as_ref().to_owned());
        self
    }

    /// Adds an argument. The program gets it as it is: no shell interprets it.
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

    /// Sets an environment variable. The order of the calls that change the environment counts.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push(EnvChange::Set(
            name.as_ref().to_owned(),
            value.as_ref().to_owned(),
        ));
        self
    }

    /// Sets environment variables.
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        variables
            .into_iter()
            .fold(self, |command, (name, value)| command.env(name, value))
    }

    /// Removes an environment variable.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.push(EnvChange::Remove(name.as_ref().to_owned()));
        self
    }

    /// Removes all environment variables, the app's and those set before this call.
    pub fn env_clear(mut self) -> Self {
        self.env.push(EnvChange::Clear);
        self
    }

    /// Gives the program the environment of the host, if the app comes as an AppImage or a snap: for
    /// programs that are not the app's own, such as the user's browser. With the libraries and
    /// modules to which such an app's variables lead, they crash or do not start.
    ///
    /// - Of every variable that is a path or a list of paths (`LD_LIBRARY_PATH`, `PATH`,
    ///   `GDK_PIXBUF_MODULE_FILE`, `GIO_MODULE_DIR`, `GTK_PATH`, `XDG_DATA_DIRS`, …), the paths
    ///   inside of the bundle are removed: inside of `APPDIR` for an AppImage, of `SNAP` and the
    ///   snap's data for a snap. If none is left, the variable is removed. `HOME` becomes
    ///   `SNAP_REAL_HOME`.
    /// - What the launcher has kept as `APPRUN_ORIGINAL_…` or `APPIMAGE_ORIGINAL_…` is restored.
    /// - The variables of the bundle are removed: `APPDIR`, `APPIMAGE`, `APPIMAGE_UUID`, `ARGV0`,
    ///   `OWD`, `APPRUN_…`, `SNAP`, `SNAP_…`.
    /// - The program's name is searched for in the `PATH` that results, as by
    ///   [`search_own_path`](Self::search_own_path).
    ///
    /// What [`env`](Self::env) and the others like it say comes after that, in whichever order they
    /// are called. What a launcher has overwritten by something that is no path, such as `GTK_THEME`
    /// or `GDK_BACKEND`, is not known any more. A [helper](Self::helper) that needs a library of the
    /// bundle by `LD_LIBRARY_PATH` does not start with it. In any other app this changes nothing; in
    /// a Flatpak, programs of the host are started by `flatpak-spawn --host`.
    pub fn host_environment(mut self) -> Self {
        self.on_host = true;
        self
    }

    /// Sets the working directory. A relative path is resolved against the app's.
    pub fn current_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.directory = Some(Directory::Path(folder.into()));
        self
    }

    /// Sets the working directory to an open one.
    pub fn current_dir_fd(mut self, folder: impl Into<OwnedFd>) -> Self {
        self.directory = Some(Directory::Descriptor(folder.into()));
        self
    }

    /// Sets the process group and session.
    ///
    /// In a session of its own a program that asks a terminal, as `ssh` and `sudo` ask for a password
    /// at `/dev/tty`, finds none: it says so and ends, or asks by other means. Standard descriptors
    /// that are inherited from the app and lead to its terminal can still be used. With
    /// [`Group::Lead`] it is in the session of the app, and SIGTTIN stops it if the app was started
    /// in a terminal. As nobody would ever continue it, it is ended when that is noticed, in the
    /// first 20 s or when one of its deadlines is checked, and the error says why.
    pub fn group(mut self, group: Group) -> Self {
        self.group = group;
        self
    }

    /// Has the program use the terminal in which the app was started, as its `/dev/tty`. The same as
    /// [`group`](Self::group) with [`Group::Inherit`]: the program is in the app's own group, gets
    /// Ctrl+C like the app, and signals go to the program alone, not to its children. For a terminal
    /// that the app shows by itself, see [`terminal`](Self::terminal).
    pub fn inherit_terminal(self) -> Self {
        self.group(Group::Inherit)
    }

    /// Sets the standard input.
    pub fn stdin(mut self, stdio: impl Into<Stdio>) -> Self {
        self.stdin = Some(stdio.into());
        self
    }

    /// Sets the standard output.
    pub fn stdout(mut self, stdio: impl Into<Stdio>) -> Self {
        self.stdout = Some(stdio.into());
        self
    }

    /// Sets the standard error.
    pub fn stderr(mut self, stdio: impl Into<Stdio>) -> Self {
        self.stderr = Some(stdio.into());
        self
    }

    /// Runs the program on a new terminal of this size, which is its standard input, output and
    /// error, and controls a new session: for programs that talk differently to a person. What the
    /// program writes, to both outputs, comes from
    /// [`CommandHandle::stdout`](super::CommandHandle::stdout); what the app
    /// [writes](super::CommandHandle::stdin) is typed.
    /// [`resize_terminal`](crate::Control::resize_terminal) changes the size. If standard
    /// input, output or error is set as well, the start fails. See pty(7).
    ///
    /// `TERM` is `xterm-256color` if the app has none. `COLUMNS` and `LINES`, which would hide the
    /// real size, are removed. [`env`](Self::env) sets them even so.
    pub fn terminal(mut self, columns: u16, rows: u16) -> Self {
        self.terminal = Some((columns, rows));
        self
    }

    /// Hands over a descriptor. The program finds it at `number`, 3 to 1023. The app's own copy is
    /// closed when the program has started.
    pub fn fd(mut self, number: RawFd, fd: impl Into<OwnedFd>) -> Self {
        self.fds.push((number, fd.into()));
        self
    }

    /// Hands over a secret of at most 64 KiB in a pipe, where neither the arguments nor the
    /// environment show it. The pipe is at the first free number from 3.
    pub fn secret(mut self, place: Secret, value: impl Into<Vec<u8>>) -> Self {
        self.secrets.push((place, value.into()));
        self
    }

    /// Sets the name that people read in its status and its errors. The default is the program's
    /// name.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Sets the steps by which the program is stopped. On a [terminal](Self::terminal) the default
    /// begins with its hang-up, SIGHUP: an interactive shell hands that on to its jobs, and ignores
    /// SIGTERM.
    pub fn stop(mut self, stop: Stop) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Sets the rule that says which exits are a success, for programs that warn by their exit code.
    pub fn success(mut self, rule: impl Fn(ExitStatus) -> bool + 'static) -> Self {
        self.success = Rc::new(rule);
        self
    }

    /// Sets the exit codes that are a success.
    pub fn success_codes(self, codes: impl Into<Vec<i32>>) -> Self {
        let codes = codes.into();
        self.success(move |status| status.code().is_some_and(|code| codes.contains(&code)))
    }

    /// Stops the program if it has not ended after this time; the outcome is
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout). 0 stops it at once; a time beyond the end
    /// of the clock is no deadline.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Stops the program if it has written nothing for this time to the pipes that the app reads.
    /// There is no such deadline if there are no such pipes, or GIO reads one of them. While the app
    /// has paused the program, or does not read on, the time does not count; nor while somebody else
    /// has stopped the program, traces it, or has frozen its cgroup. Of a time in which the app itself
    /// does not run (a debugger, SIGSTOP), at most a quarter of the deadline counts.
    pub fn stall_deadline(mut self, deadline: Duration) -> Self {
        self.stall = Some(deadline);
        self
    }

    /// Sets how long a pipe is still read that a grandchild holds open when the program has ended:
    /// until nothing was written for this time, and at most ten times as long in all. Cancelling or
    /// dropping the handle ends that at once.
    pub fn drain(mut self, bound: Duration) -> Self {
        self.drain = bound;
        self
    }

    /// Sets how many bytes [`output`](Self::output) keeps of standard output and of standard error.
    /// The rest is read and dropped, and [`Output::truncated`](super::Output::truncated) says so.
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.output_limit = bytes;
        self
    }

    /// Reads the progress out of the lines that the program writes to either output. Both are piped
    /// unless they are set to something else.
    pub fn progress(mut self, progress: impl LineProgress) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Sets the umask, for example `0o077`. Needs the [helper](Self::helper).
    pub fn umask(mut self, mask: u32) -> Self {
        self.changes.umask = Some(mask & 0o777);
        self
    }

    /// Adds this to the nice value: the higher, the nicer, up to 19 in all. Less than 0 needs
    /// privileges. Needs the [helper](Self::helper).
    ///
    /// Where the kernel groups processes by session (see sched(7), "The autogroup feature"), it
    /// counts only among the processes of one session: then give the program [`Group::Lead`].
    pub fn nice(mut self, by: i32) -> Self {
        self.changes.nice = Some(by);
        self
    }

    /// Sets a resource limit, soft and hard; `None` is unlimited; see getrlimit(2). With a hard
    /// limit above the app's own the start fails, unless the app has the privilege. Needs the [helper](Self::helper).
    pub fn limit(mut self, resource: Limit, soft: Option<u64>, hard: Option<u64>) -> Self {
        self.changes.limits.push((resource as u32, soft, hard));
        self
    }

    /// Forbids the program, and all that it starts, to gain privileges by executing a set-user-ID
    /// program; see prctl(2), `PR_SET_NO_NEW_PRIVS`. Needs the [helper](Self::helper).
    pub fn no_new_privileges(mut self) -> Self {
        self.changes.no_new_privileges = true;
        self
    }

    /// Executes the program only when the guardian knows of it, so that it ends with an app that is
    /// killed at any instant. Without this, a program outlives an app that is killed in the
    /// microseconds between its birth and the message to the guardian. It is so with each of
    /// [`umask`](Self::umask), [`nice`](Self::nice), [`limit`](Self::limit) and
    /// [`no_new_privileges`](Self::no_new_privileges), too. Needs the [helper](Self::helper).
    pub fn guarded_from_birth(mut self) -> Self {
        self.guarded_from_birth = true;
        self
    }

    /// Sets how much the program yields to others. Needs the [helper](Self::helper), except in a scope.
    #[cfg(feature = "desktop")]
    pub fn qos(mut self, qos: crate::desktop::Qos) -> Self {
        self.changes.class = qos.class();
        self
    }

    /// Runs the program in a scope of the user's systemd: it is executed when it is in it. `stop`,
    /// [`pause`](crate::Control::pause) and the death of the app reach all that it has started. Needs
    /// the [helper](Self::helper).
    #[cfg(feature = "desktop")]
    pub fn scope(mut self, scope: &crate::desktop::Scope) -> Self {
        self.gate = Some(scope.gate());
        self
    }

    /// Sets the worker program that helps. As the guardian it kills the program when the app dies.
    /// It also executes the program if [`umask`](Self::umask), [`nice`](Self::nice),
    /// [`limit`](Self::limit), [`no_new_privileges`](Self::no_new_privileges) or
    /// [`guarded_from_birth`](Self::guarded_from_birth) is set, which `posix_spawn` cannot do; that
    /// costs one start of the helper more.
    ///
    /// The default is the app itself, if its `main` begins with [`legwork::init`](crate::init) or
    /// [`Jobs::run_if_worker`](crate::Jobs::run_if_worker). Without a helper, programs outlive an
    /// app that is killed, and a start with one of those five options fails.
    pub fn helper(mut self, worker: &Worker) -> Self {
        self.helper = worker.clone();
        self
    }

    /// Stops the program when `cancellable` is cancelled, on any thread.
    pub fn cancellable(mut self, cancellable: &gio::Cancellable) -> Self {
        self.cancellables.push(cancellable.clone());
        self
    }

    /// Cancels only the wait when `cancellable` is cancelled, on any thread: the outcome is
    /// *cancelled* at once, and the program runs on as a
    /// [detached](super::CommandHandle::detach) one. `g_subprocess_wait_async()` treats its
    /// cancellable in the same way.
    pub fn wait_cancellable(mut self, cancellable: &gio::Cancellable) -> Self {
        self.waits.push(cancellable.clone());
        self
    }

    /// Shows the program in a part of the desktop, from its start to its end. May be called once for each.
    ///
    /// It runs, and ends, in the same way where the desktop has no such part.
    #[cfg(feature = "desktop")]
    pub fn show_in(mut self, surface: &(impl crate::desktop::Surface + ?Sized)) -> Self {
        self.observers.add(surface.observer());
        self
    }

    /// Lets the program's window come to the front: gives it a new activation token, as `XDG_ACTIVATION_TOKEN` and
    /// `DESKTOP_STARTUP_ID`. Without one, its window may open behind that of the app. The app's own token is never handed
    /// on.
    ///
    /// The context is that of the display on which the person has just clicked:
    /// `window.display().app_launch_context()` in a GTK app. A token is for one start and for a short time, so call this
    /// right before [`spawn`](Self::spawn). Where there is no token (another kind of context, a display without them),
    /// nothing is set. A call of [`env_clear`](Self::env_clear) after this removes it.
    ///
    /// GDK asks the compositor for the token, and waits for the answer. See the protocols xdg-activation-v1 and
    /// startup-notification.
    #[cfg(feature = "desktop")]
    pub fn activate_from(
        mut self,
        context: &impl glib::prelude::IsA<gio::AppLaunchContext>,
    ) -> Self {
        self.activation = Activation::new(context.as_ref(), &self.program);
        if let Some(activation) = &self.activation {
            let token: OsString = activation.token().into();
            for name in ["XDG_ACTIVATION_TOKEN", "DESKTOP_STARTUP_ID"] {
                self.env.push(EnvChange::Set(name.into(), token.clone()));
            }
        }
        self
    }

    /// Returns the program as it was given.
    pub fn get_program(&self) -> &OsStr {
        &self.program
    }

    /// Returns the arguments, without the program's own name.
    pub fn get_args(&self) -> impl Iterator<Item = &OsStr> {
        self.args.iter().map(OsString::as_os_str)
    }

    /// Returns the variables that were set, and with `None` those that were removed; each once, in
    /// the order of their names. Inherited variables are not among them.
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

    /// Returns the working directory, if it was set by a path.
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
            path: (self.search_own_path || self.on_host).then(|| self.own_path()),
        }
    }

    /// What changes the app's variables to those that the program is to start from.
    pub(super) fn host_changes(&self) -> BTreeMap<OsString, Option<OsString>> {
        match self.on_host {
            true => host::changes(&std::env::vars_os().collect()),
            false => BTreeMap::new(),
        }
    }

    /// The `PATH` that the program will have.
    fn own_path(&self) -> OsString {
        let mut path = std::env::var_os("PATH");
        if let Some(of_host) = self.host_changes().remove(OsStr::new("PATH")) {
            path = of_host;
        }
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
