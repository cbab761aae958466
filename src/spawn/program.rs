//! Which file is executed: found and checked in the parent, where each fault has an error of its
//! own.
//!
//! The checks are made right before the start. A file that changes in between makes the start
//! itself fail, which then says what it can. A check never makes a start fail that would succeed.

use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::error::{SpawnError, Step, describe};
use super::loader;
use crate::text::{Text, text};

/// The program that a child runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum Program {
    /// A file. A relative path is relative to the *app's* working directory, whatever the child's
    /// is.
    Path(PathBuf),
    /// A name without a slash, searched for in the directories of `path`, or if `None` of the app's
    /// own `PATH`, in the parent. An empty or relative directory in it is relative to the app's
    /// working directory, as in a shell. Without `PATH`, `/bin:/usr/bin` is searched.
    Name {
        /// The file name of the program.
        name: OsString,
        /// Directories separated by colons, to be searched instead of the app's `PATH`.
        path: Option<OsString>,
    },
    /// An open executable, which may be one in memory or without a name. Scripts are refused: their
    /// interpreter could not open them. Needs `/proc`, and an app that is dumpable (see prctl(2)).
    Descriptor(OwnedFd),
    /// The running program itself, even if its file has been replaced or deleted. Needs `/proc`. If it was started
    /// through the dynamic loader (`ld-linux-x86-64.so.2 ./app`), so it is again, with the same options, and with the file
    /// that lies at its path now.
    Current,
}

impl Program {
    /// A program by its path.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self::Path(path.into())
    }

    /// A program by its name, searched for in the app's `PATH`.
    pub fn name(name: impl Into<OsString>) -> Self {
        Self::Name {
            name: name.into(),
            path: None,
        }
    }

    /// Copies it; an open descriptor is duplicated.
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

    /// Finds the file and checks that it can be executed. `moves` says whether the child enters
    /// another directory first.
    pub(super) fn locate(self, moves: bool) -> Result<Located, SpawnError> {
        match self {
            Self::Path(path) => {
                if path.as_os_str().is_empty() {
                    return Err(refused(text!("the path of the program is empty")));
                }
                let located = Located::at(&path, moves, path.clone().into_os_string())?;
                located.check()?;
                Ok(located)
            }
            Self::Name { name, path } => search(&name, path, moves),
            Self::Descriptor(fd) => Located::descriptor(fd),
            Self::Current => Located::current(),
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
    /// The path that is passed to execve(2).
    pub(super) exec: CString,
    /// The path that errors name.
    pub(super) file: PathBuf,
    /// The argument 0 that the program gets if the plan names none: as the caller wrote it.
    pub(super) arg0: OsString,
    /// What comes between that and the arguments of the plan.
    pub(super) before: Vec<CString>,
    /// Stays open until the child has executed it.
    _descriptor: Option<OwnedFd>,
}

impl Located {
    /// A child that keeps the app's directory executes a relative path as it is: the app may not be
    /// able to reach its own directory from the root, and need not.
    fn at(path: &Path, moves: bool, arg0: OsString) -> Result<Self, SpawnError> {
        let absolute = absolute(path);
        let exec = match &absolute {
            Ok(absolute) if moves || path.is_absolute() => absolute.as_os_str(),
            Err(_) if moves => return Err(absolute.expect_err("as was just seen")),
            _ => path.as_os_str(),
        };
        // A name alone could be taken for an option by the interpreter of a script.
        let exec = match exec.as_bytes().contains(&b'/') {
            true => exec.to_owned(),
            false => Path::new(".").join(exec).into_os_string(),
        };
        let file = absolute.unwrap_or_else(|_| path.to_owned());
        let exec = CString::new(exec.into_vec())
            .map_err(|_| refused(text!("the path of the program contains a NUL byte")).at(&file))?;
        Ok(Self {
            exec,
            file,
            arg0,
            before: Vec::new(),
            _descriptor: None,
        })
    }

    /// The running program. If the loader was executed to run it, so it is again.
    fn current() -> Result<Self, SpawnError> {
        let own = "/proc/self/exe";
        let mut current = Self {
            exec: c"/proc/self/exe".to_owned(),
            file: PathBuf::from(own),
            arg0: std::env::args_os().next().unwrap_or_else(|| own.into()),
            before: Vec::new(),
            _descriptor: None,
        };
        if let Some(loaded) = loader::loaded() {
            let program = Self::at(&loaded.file, true, OsString::new())?;
            program.check()?;
            current.before = loaded.options.clone();
            current.before.push(program.exec);
        }
        Ok(current)
    }

    /// The path to execute, for a look from the app.
    pub(super) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.exec.as_bytes()))
    }

    /// Checks what can be known before the start, and returns whether the file has been seen.
    fn check(&self) -> Result<bool, SpawnError> {
        let path = self.path();
        let failed =
            |errno, sentence| SpawnError::failed(Step::Program, errno, sentence).at(&self.file);
        let file = || Text::quoted(&self.file);
        let status = match fs::metadata(path) {
            Ok(status) => status,
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(libc::EIO);
                return match errno {
                    libc::ENOENT => Err(failed(
                        errno,
                        text!("the program {file} does not exist", file = file()),
                    )),
                    _ if is_certain(errno) => Err(failed(
                        errno,
                        text!(
                            "the program {file} cannot be reached: {error}",
                            file = file(),
                            error = describe(errno)
                        ),
                    )),
                    _ => Ok(false),
                };
            }
        };
        if status.is_dir() {
            let sentence = text!("the program {file} is a directory", file = file());
            return Err(failed(libc::EISDIR, sentence));
        }
        if !status.is_file() {
            let sentence = text!("the program {file} is not a regular file", file = file());
            return Err(failed(libc::EACCES, sentence));
        }
        match access(path) {
            Err(libc::EACCES) if on_noexec_mount(path) => Err(failed(
                libc::EACCES,
                text!(
                    "the program {file} is on a file system that is mounted noexec",
                    file = file()
                ),
            )),
            Err(libc::EACCES) => Err(failed(
                libc::EACCES,
                text!("the program {file} is not executable", file = file()),
            )),
            // Others are about the look itself, or a file that has just changed.
            _ => Ok(true),
        }
    }

    fn descriptor(fd: OwnedFd) -> Result<Self, SpawnError> {
        // By the app's number, not the child's: in the child every descriptor is closed by then.
        // The number is that of the PID namespace that /proc shows, which may be an outer one.
        let own = fs::read_link("/proc/self");
        let own = own.unwrap_or_else(|_| PathBuf::from(std::process::id().to_string()));
        let file = Path::new("/proc").join(own).join("fd");
        let file = file.join(fd.as_raw_fd().to_string());
        if !is_same_file(&fd, &file) {
            let sentence = text!(
                "a program cannot be started by its descriptor here, because {file} is not that \
                 descriptor: /proc is missing, or not the one of this app's PID namespace. Give \
                 its path",
                file = Text::quoted(&file)
            );
            return Err(refused(sentence).at(file));
        }
        let mut located = Self::at(&file, false, OsString::new())?;
        located.check()?;
        let mut head = [0; 2];
        let script = fs::File::open(&located.file)
            .and_then(|mut file| file.read_exact(&mut head))
            .is_ok_and(|()| &head == b"#!");
        if script {
            let sentence = text!(
                "a script cannot be started by its descriptor, because its interpreter could not \
                 open it. Give its path"
            );
            return Err(refused(sentence).at(&located.file));
        }
        located.arg0 = located.file.clone().into_os_string();
        located._descriptor = Some(fd);
        Ok(located)
    }
}

fn is_same_file(fd: &OwnedFd, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (rustix::fs::fstat(fd), fs::metadata(path)) else {
        return false;
    };
    (open.st_dev, open.st_ino) == (there.dev(), there.ino())
}

fn refused(sentence: Text) -> SpawnError {
    SpawnError::refused(Step::Program, sentence)
}

/// The path as an absolute one, so that the child's working directory does not matter.
fn absolute(path: &Path) -> Result<PathBuf, SpawnError> {
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    let here = std::env::current_dir().map_err(|error| {
        SpawnError::failed(
            Step::Program,
            error.raw_os_error().unwrap_or_default(),
            text!(
                "the program {path} is relative to the app's working directory, which no longer \
                 exists",
                path = Text::quoted(path)
            ),
        )
        .at(path)
    })?;
    Ok(here.join(path))
}

/// Searches PATH as a shell does: an entry that does not lead to a file is skipped, and a file that
/// cannot be executed is skipped and remembered. A directory that the app may not search is not
/// such a file; execvp(3) would say "permission denied" of a program that does not exist.
fn search(name: &OsStr, path: Option<OsString>, moves: bool) -> Result<Located, SpawnError> {
    if name.is_empty() {
        return Err(refused(text!("the name of the program is empty")));
    }
    if name.as_bytes().contains(&b'/') {
        let sentence = text!(
            "the name of the program contains a slash. Only names are searched for; give a path as \
             Program::Path"
        );
        return Err(refused(sentence).at(name));
    }
    if name.as_bytes().contains(&0) {
        return Err(refused(text!(
            "the name of the program contains a NUL byte"
        )));
    }
    let path = path
        .or_else(|| std::env::var_os("PATH"))
        .unwrap_or_else(|| OsString::from("/bin:/usr/bin"));
    let mut skipped = None;
    let mut forbidden = None;
    let mut unseen = None;
    for directory in path.as_bytes().split(|byte| *byte == b':') {
        let directory = Path::new(OsStr::from_bytes(directory));
        let Ok(located) = Located::at(&directory.join(name), moves, name.to_owned()) else {
            continue;
        };
        let fault = match located.check() {
            Ok(true) => return Ok(located),
            Ok(false) => {
                unseen = unseen.or(Some(located));
                continue;
            }
            Err(fault) => fault,
        };
        match fs::metadata(located.path()) {
            Ok(_) => skipped = skipped.or(Some(fault)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                forbidden = forbidden.or(Some(directory));
            }
            Err(_) => (),
        }
    }
    Err(skipped.unwrap_or_else(|| {
        let shown = Text::quoted(name);
        let sentence = match forbidden {
            Some(directory) => text!(
                "the program {name} was not found, and {directory} may not be searched",
                name = shown,
                directory = Text::quoted(directory)
            ),
            None => text!("the program {name} was not found", name = shown),
        };
        let error = SpawnError::failed(Step::Program, libc::ENOENT, sentence);
        error.at(name).searched_in(path.clone())
    }))
}

/// Whether a look that fails like this says that an execution would, too. Other numbers may come
/// from a sandbox that forbids only the look.
fn is_certain(errno: i32) -> bool {
    let certain = [
        libc::ENOENT,
        libc::ENOTDIR,
        libc::EACCES,
        libc::ELOOP,
        libc::ENAMETOOLONG,
    ];
    certain.contains(&errno)
}

/// Whether the app may execute a file, or search a directory, by its effective user, as execve(2)
/// and chdir(2) see it. Root needs one executable bit of a file.
///
/// Older containers have a seccomp filter that answers faccessat2(2) with EPERM, as they do not
/// know it. Then its predecessor is asked, which goes by the real user.
pub(super) fn access(path: &Path) -> Result<(), i32> {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    let access =
        |flags| accessat(CWD, path, Access::EXEC_OK, flags).map_err(|errno| errno.raw_os_error());
    match access(AtFlags::EACCESS) {
        Err(errno) if !is_certain(errno) && (getuid(), getgid()) == (geteuid(), getegid()) => {
            access(AtFlags::empty())
        }
        result => result,
    }
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
