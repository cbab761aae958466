//! The links in `/proc/PID/fd`; see proc_pid_fd(5).
//!
//! They are listed and read here because procfs has the text of a link only if it is UTF-8, makes four system calls
//! instead of one, and would list its own open directory among the descriptors of this process. procfs parses the text.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::RawFd;
use std::path::PathBuf;

use procfs::process::FDTarget;

/// The link of a descriptor.
pub(crate) struct Link {
    /// The path of the link, which refers to the open file even if that was renamed or deleted.
    pub(crate) entry: PathBuf,
    /// Its text: a path, or a name such as `socket:[4711]`.
    pub(crate) path: PathBuf,
    pub(crate) target: FDTarget,
}

impl Link {
    /// Returns `None` if the descriptor has been closed meanwhile.
    pub(crate) fn read(pid: u32, number: RawFd) -> Option<Self> {
        let entry = PathBuf::from(format!("/proc/{pid}/fd/{number}"));
        let path = fs::read_link(&entry).ok()?;
        let text = path.to_string_lossy();
        let target = text.parse().unwrap_or(FDTarget::Path(path.clone()));
        Some(Self {
            entry,
            target,
            path,
        })
    }
}

/// Checks that `/proc` belongs to the PID namespace of this process. If it belongs to another one, process numbers
/// refer to other processes there.
///
/// # Errors
///
/// `NotFound` if there is no `/proc`, `Unsupported` if it belongs to another PID namespace.
pub fn check_proc() -> io::Result<()> {
    let own = fs::read_link("/proc/self");
    match own {
        Ok(own) if own.as_os_str() == &*std::process::id().to_string() => Ok(()),
        // The link is dangling if this process is not visible there.
        _ if fs::symlink_metadata("/proc/self").is_ok() => Err(io::Error::new(
            ErrorKind::Unsupported,
            "/proc belongs to another PID namespace",
        )),
        _ => Err(io::Error::new(
            ErrorKind::NotFound,
            "there is no /proc here",
        )),
    }
}

/// Lists the numbers of a process's descriptors. The directory is read to its end before anything else, because in this
/// process its own descriptor is one of them.
pub(crate) fn numbers(pid: u32) -> io::Result<Vec<RawFd>> {
    let mut numbers = fs::read_dir(format!("/proc/{pid}/fd"))?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<Vec<OsString>>>()?
        .iter()
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect::<Vec<RawFd>>();
    numbers.sort_unstable();
    Ok(numbers)
}
