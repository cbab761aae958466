//! The process to examine, or why it cannot be examined.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use procfs::ProcError;
use procfs::process::{Process, StatFlags, Status, Task};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::proc::{AnyStatus, io_error, is_copy, stat};
use crate::failure::Failure;

/// A process that runs.
pub(super) struct Subject {
    pub(super) pid: u32,
    /// The thread whose files in `/proc` are read: the first one, or another if the first one has ended.
    pub(super) thread: u32,
    /// Its name, from `/proc/PID/comm`.
    pub(super) name: String,
    /// The file that it executes, if that can be read.
    pub(super) program: Option<PathBuf>,
    /// Its status at the start.
    pub(super) status: Status,
    pub(super) parent: i32,
    /// The process that it was forked from, if it has never executed a program.
    pub(super) copy_of: Option<Parent>,
    /// Its files in `/proc`, never those of a later process with the same number.
    pub(super) process: Process,
    pidfd: OwnedFd,
}

/// The process that started it.
pub(super) struct Parent {
    pub(super) pid: i32,
    pub(super) name: String,
    pub(super) threads: i64,
}

impl Subject {
    /// Finds the process with this number.
    pub(super) fn find(pid: u32) -> Result<Self, Failure> {
        if pid == std::process::id() {
            let sentence = format!("process {pid} is this command itself");
            return Err(Failure::Usage(sentence));
        }
        let gone = || Failure::Own(format!("there is no process {pid}"));
        let read = |number: u32| {
            let process = Process::new(number.cast_signed())?;
            let AnyStatus(status) = process.read("status")?;
            Ok((process.stat()?, status, process))
        };
        let first = read(pid);
        // A process whose first thread has ended looks like a zombie, but its other threads run.
        let other = match &first {
            Ok((stat, status, process)) if stat.state == 'Z' && status.tgid == status.pid => {
                process
                    .tasks()
                    .into_iter()
                    .flatten()
                    .flatten()
                    .find(|task| {
                        task.stat()
                            .is_ok_and(|stat| !matches!(stat.state, 'Z' | 'X'))
                    })
            }
            _ => None,
        };
        let thread = other.map_or(pid, |task| task.tid.cast_unsigned());
        let found = if thread == pid { first } else { read(thread) };
        let (found, status, process) = found.map_err(|error| match error {
            ProcError::NotFound(_) => gone(),
            error => Failure::Own(format!("process {pid}: {}", io_error(error))),
        })?;
        let copy_of = is_copy(&found).then(|| stat(found.ppid)).flatten();
        let (name, parent) = (found.comm, found.ppid);
        let why_not = if status.tgid.cast_unsigned() != pid {
            format!(
                "{pid} is not a process but a thread of process {}",
                status.tgid
            )
        } else if found.flags & StatFlags::PF_KTHREAD.bits() != 0 {
            format!("{pid} ({name}) is a kernel thread: it has neither descriptors nor children")
        } else if matches!(found.state, 'Z' | 'X') {
            let parent = stat(found.ppid).map(|parent| parent.comm);
            format!(
                "{pid} ({name}) has ended, and its parent, process {} ({}), has not waited for it",
                found.ppid,
                parent.unwrap_or_default()
            )
        } else {
            String::new()
        };
        if !why_not.is_empty() {
            return Err(why_not.into());
        }
        let raw = Pid::from_raw(pid.cast_signed()).ok_or_else(gone)?;
        Ok(Self {
            pid,
            thread,
            name,
            program: process.exe().ok(),
            status,
            parent,
            copy_of: copy_of.map(|parent| Parent {
                pid: parent.pid,
                name: parent.comm,
                threads: parent.num_threads,
            }),
            process,
            pidfd: pidfd_open(raw, PidfdFlags::empty()).map_err(|_| gone())?,
        })
    }

    /// Iterates over its threads, each of which holds a descriptor of this command open.
    pub(super) fn threads(&self) -> impl Iterator<Item = Task> {
        self.process.tasks().into_iter().flatten().flatten()
    }

    /// Sleeps for a time; returns whether the process has ended.
    pub(super) fn nap(&self, time: Duration) -> bool {
        let time = Timespec::try_from(time).unwrap_or_default();
        let mut polled = [PollFd::new(&self.pidfd, PollFlags::IN)];
        poll(&mut polled, Some(&time)).is_ok_and(|ready| ready > 0)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.nap(Duration::ZERO)
    }
}

/// `process 4711 (name)`.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({})", self.pid, self.name)
    }
}
