//! The cgroup of version 2 that a process has for itself and all that it starts; see cgroups(7) and the kernel's
//! `Documentation/admin-guide/cgroup-v2.rst`.
//!
//! Held by its directory: once the cgroup is removed, every operation fails, and none reaches another cgroup that was
//! given the same name. Who made it, and how, is not known here.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::{fs, path};

use rustix::fs::{Mode, OFlags, open, openat};
use rustix::process::{Pid, Signal, kill_process};

/// Where the cgroups of version 2 are mounted, alone or beside those of version 1.
pub(super) const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// See the module.
#[derive(Debug)]
pub(crate) struct Cgroup {
    directory: OwnedFd,
    path: PathBuf,
    /// The kernel has killed a process in it because a limit of memory was reached.
    out_of_memory: AtomicBool,
}

impl Cgroup {
    /// The cgroup that a process is in, if it can be seen from here.
    pub(crate) fn of(pid: u32) -> io::Result<Cgroup> {
        let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        let own = own_path(&cgroups).ok_or(io::ErrorKind::Unsupported)?;
        let in_mount = |mount: &&str| {
            let path = Path::new(mount).join(own.trim_start_matches('/'));
            // Where both versions are mounted, the first directory is of version 1.
            path.join("cgroup.controllers").exists().then_some(path)
        };
        let path = MOUNTS.iter().find_map(in_mount);
        Cgroup::at(path.ok_or(io::ErrorKind::NotFound)?)
    }

    pub(crate) fn at(path: PathBuf) -> io::Result<Cgroup> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Cgroup {
            directory: open(&path, flags, Mode::empty())?,
            path,
            out_of_memory: AtomicBool::new(false),
        })
    }

    /// Its directory, in the mount of this process.
    pub(crate) fn path(&self) -> &path::Path {
        &self.path
    }

    /// Reads one of its files. They are short.
    pub(crate) fn read(&self, file: &str) -> io::Result<String> {
        let mut text = String::new();
        fs::File::from(self.open(file, OFlags::RDONLY)?).read_to_string(&mut text)?;
        Ok(text)
    }

    pub(crate) fn write(&self, file: &str, value: &str) -> io::Result<()> {
        fs::File::from(self.open(file, OFlags::WRONLY)?).write_all(value.as_bytes())
    }

    pub(crate) fn open(&self, file: &str, how: OFlags) -> io::Result<OwnedFd> {
        Ok(openat(
            &self.directory,
            file,
            how | OFlags::CLOEXEC,
            Mode::empty(),
        )?)
    }

    /// SIGKILL, for all that are in it, and those that they fork meanwhile.
    pub(crate) fn kill(&self) -> io::Result<()> {
        self.look_for_oom();
        match self.write("cgroup.kill", "1") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.kill_each(),
            killed => killed,
        }
    }

    /// The same before Linux 5.14. Frozen, they do not end, so that their numbers are their own. One that was just being
    /// forked is in the list of the next round.
    fn kill_each(&self) -> io::Result<()> {
        self.freeze(true)?;
        for _ in 0..3 {
            let members = self.read("cgroup.procs")?;
            let numbers = members.lines().filter_map(|line| line.parse().ok());
            for member in numbers.filter_map(Pid::from_raw) {
                let _ = kill_process(member, Signal::KILL);
            }
        }
        self.freeze(false)
    }

    /// Stops all that are in it, or has them go on. They can be killed meanwhile, and get no other signal.
    pub(crate) fn freeze(&self, frozen: bool) -> io::Result<()> {
        self.write("cgroup.freeze", if frozen { "1" } else { "0" })
    }

    /// Looks whether the kernel has killed a process in it for want of memory, and remembers that: soon after the last
    /// process has ended, the files are gone.
    pub(crate) fn look_for_oom(&self) {
        if let Ok(events) = self.read("memory.events") {
            self.note_events(&events);
        }
    }

    /// Remembers what is in `memory.events`.
    pub(crate) fn note_events(&self, events: &str) {
        if field(events, "oom_kill").is_some_and(|kills| kills > 0) {
            self.out_of_memory.store(true, Relaxed);
        }
    }

    pub(crate) fn is_out_of_memory(&self) -> bool {
        self.out_of_memory.load(Relaxed)
    }
}

/// The path of the cgroup of version 2 in a process's file of its cgroups.
pub(super) fn own_path(cgroups: &str) -> Option<&str> {
    cgroups.lines().find_map(|line| line.strip_prefix("0::"))
}

/// The number after a name, in a file of names and numbers.
pub(crate) fn field(text: &str, name: &str) -> Option<u64> {
    let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(' ')?.to_owned());
    text.lines().find_map(value)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spawn::{Plan, Program};

    #[test]
    fn an_older_kernel_kills_all_of_it_as_well() {
        let made = MOUNTS.iter().rev().find_map(|mount| {
            let path = PathBuf::from(format!("{mount}/legwork-unit-{}", std::process::id()));
            fs::create_dir(&path).ok()?;
            path.join("cgroup.freeze").exists().then_some(path)
        });
        let Some(path) = made else {
            println!("NOT TESTED: no cgroup can be made here");
            return;
        };
        let cgroup = Cgroup::at(path.clone()).unwrap();
        let mut child = Plan::new(Program::name("sh"))
            .args([
                "-c",
                "until grep -q legwork-unit /proc/self/cgroup; do :; done
                 setsid sleep 1000 & setsid sleep 1000 & wait",
            ])
            .spawn()
            .unwrap();
        cgroup
            .write("cgroup.procs", &child.pid().to_string())
            .unwrap();
        let members = || cgroup.read("cgroup.procs").unwrap().lines().count();
        while members() < 3 {
            std::thread::yield_now();
        }
        cgroup.kill_each().unwrap();
        assert_eq!(
            child.wait().unwrap().status.signal(),
            Some(crate::process::Signal::KILL)
        );
        while members() > 0 {
            std::thread::yield_now();
        }
        fs::remove_dir(path).unwrap();
    }
}
