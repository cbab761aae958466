//! The child's working directory: opened and checked in the parent, where each fault has an error
//! of its own.

use std::ffi::{CString, OsStr};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, RawMode, fstat, open, stat};
use rustix::io::Errno;

use super::error::{SpawnError, Step, describe};
use super::program;
use crate::text::{Text, text};

/// The working directory as the plan states it.
#[derive(Debug)]
pub(super) enum Directory {
    Path(PathBuf),
    Descriptor(OwnedFd),
}

/// A directory that exists and that the child may enter.
#[derive(Debug)]
pub(super) enum WorkingDirectory {
    Open {
        fd: OwnedFd,
        path: Option<PathBuf>,
    },
    /// The app has no free descriptor to open it; the child enters it by its path.
    Named {
        path: PathBuf,
        raw: CString,
    },
}

impl WorkingDirectory {
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::Open { path, .. } => path.as_deref(),
            Self::Named { path, .. } => Some(path),
        }
    }
}

impl Directory {
    pub(super) fn open(self) -> Result<WorkingDirectory, SpawnError> {
        match self {
            Self::Descriptor(fd) => {
                let status = fstat(&fd).map_err(|errno| failed(None, errno))?;
                check(status.st_mode).map_err(|errno| failed(None, errno))?;
                Ok(WorkingDirectory::Open { fd, path: None })
            }
            Self::Path(path) => {
                let Ok(raw) = CString::new(path.as_os_str().as_bytes()) else {
                    let sentence = text!("the path of the working directory contains a NUL byte");
                    return Err(SpawnError::refused(Step::WorkingDirectory, sentence).at(path));
                };
                open_path(&path, raw).map_err(|errno| failed(Some(&path), errno))
            }
        }
    }
}

fn open_path(path: &Path, raw: CString) -> Result<WorkingDirectory, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let path = path.to_owned();
    let directory = match open(&*raw, flags, Mode::empty()) {
        Ok(fd) => WorkingDirectory::Open {
            fd,
            path: Some(path),
        },
        Err(Errno::MFILE | Errno::NFILE) => {
            check(stat(&*raw)?.st_mode)?;
            let raw = raw.clone();
            WorkingDirectory::Named { path, raw }
        }
        Err(errno) => return Err(errno),
    };
    // Only what is certain: a sandbox may forbid the look and not the directory.
    match program::access(OsStr::from_bytes(raw.as_bytes()).as_ref()) {
        Err(libc::EACCES) => Err(Errno::ACCESS),
        _ => Ok(directory),
    }
}

fn check(mode: RawMode) -> Result<(), Errno> {
    match FileType::from_raw_mode(mode).is_dir() {
        true => Ok(()),
        false => Err(Errno::NOTDIR),
    }
}

fn failed(path: Option<&Path>, errno: Errno) -> SpawnError {
    let directory = match path {
        Some(path) => text!("the working directory {path}", path = Text::quoted(path)),
        None => text!("the working directory given by descriptor"),
    };
    let sentence = match errno {
        Errno::NOENT => text!("{directory} does not exist", directory = directory),
        Errno::NOTDIR => text!("{directory} is not a directory", directory = directory),
        Errno::ACCESS => text!(
            "{directory} cannot be entered: the app has no permission",
            directory = directory
        ),
        other => text!(
            "{directory} cannot be opened: {error}",
            directory = directory,
            error = describe(other.raw_os_error())
        ),
    };
    let error = SpawnError::failed(Step::WorkingDirectory, errno.raw_os_error(), sentence);
    match path {
        Some(path) => error.at(path),
        None => error,
    }
}
