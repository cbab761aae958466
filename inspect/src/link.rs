//! The links in `/proc/PID/fd`; see proc_pid_fd(5).
//!
//! Listed and read by hand: procfs has a link's text only as far as it is UTF-8, makes four system
//! calls of the one, and would show its own open directory among the descriptors of this process.
//! What a link says is procfs's to parse.

use std::ffi::OsString;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::RawFd;
use std::path::PathBuf;

use procfs::process::FDTarget;

/// Where a descriptor leads.
pub(crate) struct Link {
    /// The link itself, which leads to the open file whatever became of its name.
    pub(crate) entry: PathBuf,
    /// Its text: a path, or a name such as `socket:[4711]`.
    pub(crate) path: PathBuf,
    pub(crate) target: FDTarget,
}

impl Link {
    /// `None`: closed meanwhile.
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

/// Whether `/proc` shows the processes by the numbers that they have here: in a PID namespace of its own, it may be that
/// of another, in which any number is a stranger's.
///
/// # Errors
///
/// `NotFound` if there is no `/proc`, `Unsupported` if it is that of another PID namespace.
pub fn check_proc() -> io::Result<()> {
    let own = fs::read_link("/proc/self");
    match own {
        Ok(own) if own.as_os_str() == &*std::process::id().to_string() => Ok(()),
        // It leads nowhere if this process is not among those that are shown.
        _ if fs::symlink_metadata("/proc/self").is_ok() => Err(io::Error::new(
            ErrorKind::Unsupported,
            "the /proc here is that of another PID namespace",
        )),
        _ => Err(io::Error::new(
            ErrorKind::NotFound,
            "there is no /proc here",
        )),
    }
}

/// The numbers of a process's descriptors. Read to the end first: in this process, the open
/// directory is one of them.
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
