//! Which file is executed: found and checked in the parent, where each fault has an error of its own.
//!
//! The checks are made shortly before the start, so a file can still change in between; then the start itself
//! fails and says what it can. A check never turns a start that would succeed into an error.

use std::{
    ffi::{CString, OsStr, OsString},
    fs,
    io::{self, Read},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
};

use nix::errno::Errno;
use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::error::{SpawnError, Step, describe};

/// The program that a child runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Program {
    /// A file. A relative path counts from the *app's* working directory, whatever directory the child is given.
    Path(PathBuf),
    /// A name without a slash, searched for in the directories of `path`, or if `None` of the app's own `PATH`,
    /// in the parent. An empty or relative directory in it counts from the app's working directory, as in a
    /// shell. Without `PATH`, `/bin:/usr/bin` is searched.
    Name {
        /// The file name of the program.
        name: OsString,
        /// Directories separated by colons, to be searched instead of the app's `PATH`.
        path: Option<OsString>,
    },
    /// An open executable, also one in memory or without a name. Scripts are refused: their interpreter would
    /// open a name that is gone by then. Needs `/proc`, and an app that is dumpable (see prctl(2)).
    Descriptor(OwnedFd),
    /// The running program itself, also if its file was replaced or deleted since. Needs `/proc`.
    Current,
}

impl Program {
    /// A program by its path.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self::Path(path.into())
    }

    /// A program by name, to be found in the app's `PATH`.
    pub fn name(name: impl Into<OsString>) -> Self {
        Self::Name {
            name: name.into(),
            path: None,
        }
    }

    /// The same program once more.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Path(path) => Self::Path(path.clone()),
            Self::Name { name, path } => Self::Name {
                name: name.clone(),
                path: path.clone(),
            },
            Self::Descriptor(fd) => Self::Descriptor(fd.try_clone()?),
            Self::Current => Self::Current,
        })
    }

    /// Finds the file and checks that it can be executed.
    pub(super) fn locate(self) -> Result<Located, SpawnError> {
        match self {
            Self::Path(path) => {
                if path.as_os_str().is_empty() {
                    return Err(refused("the path of the program is empty"));
                }
                Located::checked(absolute(&path)?, path.into_os_string())
            }
            Self::Name { name, path } => {
                let found = search(&name, path)?;
                Located::at(found, name)
            }
            Self::Descriptor(fd) => Located::descriptor(fd),
            Self::Current => Ok(Located {
                exec: c"/proc/self/exe".to_owned(),
                file: PathBuf::from("/proc/self/exe"),
                arg0: std::env::args_os()
                    .next()
                    .unwrap_or_else(|| OsString::from("/proc/self/exe")),
                _descriptor: None,
            }),
        }
    }
}

impl From<PathBuf> for Program {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&Path> for Program {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

/// A program that was found.
#[derive(Debug)]
pub(super) struct Located {
    /// What the kernel is told.
    pub(super) exec: CString,
    /// What people are told.
    pub(super) file: PathBuf,
    /// The argument 0 that the program gets if the plan names none: as the caller wrote it.
    pub(super) arg0: OsString,
    /// Stays open until the child has executed it.
    _descriptor: Option<OwnedFd>,
}

impl Located {
    fn checked(file: PathBuf, arg0: OsString) -> Result<Self, SpawnError> {
        let located = Self::at(file, arg0)?;
        check_executable(&located.file)?;
        Ok(located)
    }

    fn at(file: PathBuf, arg0: OsString) -> Result<Self, SpawnError> {
        let exec = CString::new(file.as_os_str().as_bytes())
            .map_err(|_| refused("the path of the program holds a NUL byte").at(&file))?;
        Ok(Self {
            exec,
            file,
            arg0,
            _descriptor: None,
        })
    }

    fn descriptor(fd: OwnedFd) -> Result<Self, SpawnError> {
        // By the app's number, not the child's: in the child every descriptor is closed by then.
        let file = PathBuf::from(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            fd.as_raw_fd()
        ));
        let mut located = Self::checked(file, OsString::new())?;
        let mut head = [0; 2];
        let script = fs::File::open(&located.file)
            .and_then(|mut file| file.read_exact(&mut head))
            .is_ok_and(|()| &head == b"#!");
        if script {
            return Err(refused("a script cannot be started by its descriptor").at(&located.file));
        }
        located.arg0 = located.file.clone().into_os_string();
        located._descriptor = Some(fd);
        Ok(located)
    }
}

fn refused(sentence: &'static str) -> SpawnError {
    SpawnError::refused(Step::Program, sentence)
}

/// The path as seen from anywhere, so that the child's working directory has no say in it.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, SpawnError> {
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    let here = std::env::current_dir().map_err(|error| {
        SpawnError::failed(
            Step::Program,
            error.raw_os_error().unwrap_or_default(),
            format!("the program {path:?} counts from the app's working directory, which is gone"),
        )
        .at(path)
    })?;
    Ok(here.join(path))
}

/// Walks through PATH as execvp(3) does: a file that may not be executed is passed over and remembered. A folder
/// that may not be searched is no such file, where execvp would say "permission denied" of a program that is nowhere.
fn search(name: &OsStr, path: Option<OsString>) -> Result<PathBuf, SpawnError> {
    if name.is_empty() {
        return Err(refused("the name of the program is empty"));
    }
    if name.as_bytes().contains(&b'/') {
        return Err(
            refused("the name of the program holds a slash; a path is not searched for").at(name),
        );
    }
    if name.as_bytes().contains(&0) {
        return Err(refused("the name of the program holds a NUL byte"));
    }
    let path = path
        .or_else(|| std::env::var_os("PATH"))
        .unwrap_or_else(|| OsString::from("/bin:/usr/bin"));
    let mut passed_over = None;
    let mut closed = None;
    for directory in path.as_bytes().split(|byte| *byte == b':') {
        let directory = Path::new(OsStr::from_bytes(directory));
        let file = absolute(&directory.join(name))?;
        match check_executable(&file) {
            Ok(()) => return Ok(file),
            Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::ENOTDIR)) => {}
            Err(_) if is_closed(&file) => closed = closed.or(Some(directory)),
            Err(error) => passed_over = passed_over.or(Some(error)),
        }
    }
    Err(passed_over.unwrap_or_else(|| {
        let but = closed.map_or_else(String::new, |directory| {
            format!(", of which {directory:?} may not be searched")
        });
        SpawnError::failed(
            Step::Program,
            libc::ENOENT,
            format!("there is no program {name:?} in {path:?}{but}"),
        )
        .at(OsString::from_vec(name.as_bytes().to_vec()))
    }))
}

/// Whether a folder on the way to the file may not be searched.
fn is_closed(file: &Path) -> bool {
    fs::metadata(file).is_err_and(|error| error.raw_os_error() == Some(libc::EACCES))
}

fn check_executable(file: &Path) -> Result<(), SpawnError> {
    let failed = |errno: i32, why: &str| {
        SpawnError::failed(Step::Program, errno, format!("the program {file:?} {why}")).at(file)
    };
    let status = fs::metadata(file).map_err(|error| match error.raw_os_error() {
        Some(libc::ENOENT) => failed(libc::ENOENT, "does not exist"),
        errno => {
            let errno = errno.unwrap_or(libc::EIO);
            failed(errno, &format!("cannot be reached: {}", describe(errno)))
        }
    })?;
    if status.is_dir() {
        return Err(failed(libc::EISDIR, "is a directory"));
    }
    if !status.is_file() {
        return Err(failed(libc::EACCES, "is not a regular file"));
    }
    // With the effective user, as execve(2) does. Root, too, needs one executable bit.
    accessat(CWD, file, Access::EXEC_OK, AtFlags::EACCESS).map_err(|errno| {
        match Errno::from_raw(errno.raw_os_error()) {
            Errno::EACCES if on_noexec_mount(file) => {
                failed(libc::EACCES, "lies on a file system that is mounted noexec")
            }
            Errno::EACCES => failed(libc::EACCES, "is not executable"),
            other => failed(
                other as i32,
                &format!("cannot be executed: {}", other.desc()),
            ),
        }
    })
}

fn on_noexec_mount(file: &Path) -> bool {
    rustix::fs::statvfs(file).is_ok_and(|status| {
        status
            .f_flag
            .contains(rustix::fs::StatVfsMountFlags::NOEXEC)
    })
}

/// The first bytes of a program, enough for the `#!` line or the program headers.
pub(super) fn head(file: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    fs::File::open(file)?.take(4096).read_to_end(&mut head)?;
    Ok(head)
}
