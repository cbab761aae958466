//! The process that is looked at, or why there is none to look at.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, getuid, pidfd_open};

use super::{Failure, OWN_FAILURE, USAGE};

/// A process that runs.
pub(super) struct Subject {
    pub(super) pid: u32,
    /// As in `/proc/PID/comm`.
    pub(super) name: String,
    /// The file that it executes, where that may be read.
    pub(super) program: Option<PathBuf>,
    /// Its user.
    user: Option<u32>,
    /// So that another process of the same number is not taken for it.
    pidfd: OwnedFd,
}

impl Subject {
    /// The process of this number, if it is one that can be looked at.
    pub(super) fn find(pid: u32) -> Result<Self, Failure> {
        if pid == std::process::id() {
            let words = format!("process {pid} is this command itself");
            return Err(Failure::new(USAGE, words));
        }
        let gone = || Failure::new(OWN_FAILURE, format!("there is no process {pid}"));
        let status = match fs::read_to_string(file(pid, "status")) {
            Ok(status) => status,
            Err(_) if !Path::new("/proc/self").exists() => {
                return Err(Failure::new(OWN_FAILURE, "there is no /proc here"));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(gone()),
            Err(error) => return Err(format!("process {pid}: {error}").into()),
        };
        let name = field(&status, "Name").unwrap_or_default().to_owned();
        let number = |name| field(&status, name)?.parse::<u32>().ok();
        if let Some(process) = number("Tgid").filter(|process| *process != pid) {
            let words = format!("{pid} is not a process but a thread of process {process}");
            return Err(Failure::new(OWN_FAILURE, words));
        }
        if is_kernel_thread(pid) {
            let words = format!(
                "{pid} ({name}) is a thread of the kernel: it has neither descriptors nor children"
            );
            return Err(Failure::new(OWN_FAILURE, words));
        }
        if field(&status, "State").is_some_and(|state| state.starts_with(['Z', 'X'])) {
            let parent = number("PPid").unwrap_or_default();
            let words = format!(
                "{pid} ({name}) has ended, and its parent, {}, has not waited for it",
                title(parent)
            );
            return Err(Failure::new(OWN_FAILURE, words));
        }
        let raw = Pid::from_raw(pid.cast_signed()).ok_or_else(gone)?;
        let pidfd = pidfd_open(raw, PidfdFlags::empty()).map_err(|_| gone())?;
        let user = field(&status, "Uid").and_then(|users| {
            let effective = users.split_ascii_whitespace().nth(1);
            effective?.parse().ok()
        });
        Ok(Self {
            pid,
            name,
            program: fs::read_link(file(pid, "exe")).ok(),
            user,
            pidfd,
        })
    }

    /// `process 4711 (name)`.
    pub(super) fn title(&self) -> String {
        format!("process {} ({})", self.pid, self.name)
    }

    /// One of its files under `/proc`.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        file(self.pid, name)
    }

    /// Its threads, the main thread first.
    pub(super) fn threads(&self) -> Vec<u32> {
        let mut threads = numbers(&self.file("task"));
        threads.sort_unstable_by_key(|thread| (*thread != self.pid, *thread));
        threads
    }

    /// Sleeps for a time; whether the process has ended meanwhile.
    pub(super) fn nap(&self, time: Duration) -> bool {
        let time = Timespec::try_from(time).unwrap_or_default();
        let mut polled = [PollFd::new(&self.pidfd, PollFlags::IN)];
        poll(&mut polled, Some(&time)).is_ok_and(|ready| ready > 0)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.nap(Duration::ZERO)
    }

    /// Why a part of it cannot be read.
    pub(super) fn why(&self, error: &io::Error) -> String {
        if error.kind() != ErrorKind::PermissionDenied {
            return error.to_string();
        }
        let own = getuid().as_raw();
        match self.user {
            Some(user) if user != own => {
                format!("it belongs to user {user}, and this command runs as user {own}")
            }
            _ => "it has rights that this command has not, or has asked not to be looked at".into(),
        }
    }
}

/// A process for a person: its number and name.
pub(super) fn title(pid: u32) -> String {
    match fs::read_to_string(file(pid, "comm")) {
        Ok(name) => format!("process {pid} ({})", name.trim_end()),
        Err(_) => format!("process {pid}"),
    }
}

pub(super) fn file(pid: u32, name: &str) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join(name)
}

/// The entries of a folder that are numbers.
pub(super) fn numbers(folder: &Path) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// One line of `/proc/PID/status`.
pub(super) fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

/// What follows the name in a `stat` file of proc(5): the third field and the rest.
pub(super) fn stat(path: &Path) -> Option<Vec<String>> {
    let text = fs::read_to_string(path).ok()?;
    // The name may hold anything, parentheses and spaces too.
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split_ascii_whitespace().map(str::to_owned).collect())
}

fn is_kernel_thread(pid: u32) -> bool {
    /// From the kernel's `include/linux/sched.h`.
    const PF_KTHREAD: u32 = 0x0020_0000;
    let flags = stat(&file(pid, "stat")).and_then(|fields| fields.get(6)?.parse::<u32>().ok());
    flags.is_some_and(|flags| flags & PF_KTHREAD != 0)
}
