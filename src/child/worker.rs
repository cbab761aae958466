//! Which program runs a job.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::guardian;
use crate::main_loop::guardian::warn;
use crate::process::Process;
use crate::spawn::{Program, own_file};
use crate::text::{Text, text};

/// The program that is started to run a job.
///
/// Plain data: `Send`, `Sync` and `Clone`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    CurrentExe,
    Program(PathBuf),
}

impl Worker {
    /// The app itself, executed again; the default. It is executed as `/proc/self/exe`, which is the
    /// running program even after an upgrade has replaced its file (but not if it was started through the dynamic loader,
    /// see [`Program::Current`](crate::spawn::Program::Current)). The app's `main` must begin with
    /// [`Jobs::run_if_worker`](crate::Jobs::run_if_worker).
    ///
    /// A program that links GTK takes about 9 ms and 12 MB to start; see
    /// [`program`](Self::program) for less.
    pub fn current_exe() -> Self {
        Worker(Kind::CurrentExe)
    }

    /// A separate program, whose `main` is [`Jobs::run_worker`](crate::Jobs::run_worker) with
    /// the same table of jobs. One that links neither GTK nor GLib starts in about a millisecond
    /// and takes 2 MB.
    ///
    /// A relative path is relative to the app's working directory.
    pub fn program(path: impl Into<PathBuf>) -> Self {
        Worker(Kind::Program(path.into()))
    }

    /// The program `name` in the folder of the app's own executable, or in the working directory if that
    /// folder is unknown (no `/proc`).
    pub fn sibling(name: impl AsRef<Path>) -> Self {
        let folder = own_file()
            .and_then(|exe| exe.parent().map(Path::to_owned))
            .unwrap_or_default();
        Worker::program(folder.join(name))
    }

    /// Returns the path of the program, unless it is the app itself.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Kind::CurrentExe => None,
            Kind::Program(path) => Some(path),
        }
    }

    /// Has a new child watched over, by this program if there is no guardian yet.
    pub(crate) fn watch_over(&self, process: &Process) {
        let result = guardian::watch_over_by(process, || self.to_program());
        let _ = result.inspect_err(warn);
    }

    /// Makes sure that there is a guardian, now that this program has proved to be a worker.
    pub(crate) fn has_proved_itself(&self) {
        let _ = guardian::check(|| self.to_program()).inspect_err(warn);
    }

    /// The name that people see.
    pub(crate) fn text(&self) -> Text {
        match &self.0 {
            Kind::CurrentExe => text!("this app"),
            Kind::Program(path) => Text::of(path.display()),
        }
    }

    pub(crate) fn to_program(&self) -> Program {
        match &self.0 {
            Kind::CurrentExe => Program::Current,
            Kind::Program(path) => Program::path(path),
        }
    }
}

/// The name that people see.
impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text().fmt(f)
    }
}

impl Default for Worker {
    fn default() -> Self {
        Worker::current_exe()
    }
}
