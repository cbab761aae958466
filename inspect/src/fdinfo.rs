//! The files in `/proc/PID/fdinfo`; see proc_pid_fdinfo(5). procfs does not read them.

use std::fs;
use std::os::fd::RawFd;

use rustix::fs::OFlags;

/// The text of one file, with one field per line.
#[derive(Clone)]
pub(crate) struct FdInfo(String);

impl FdInfo {
    /// Returns `None` if the descriptor has been closed, or if the file cannot be read.
    pub(crate) fn read(pid: u32, number: RawFd) -> Option<Self> {
        // Drivers write the names of their clients there, which may be any bytes.
        let text = fs::read(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
        Some(Self::parse(&text))
    }

    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(String::from_utf8_lossy(text).into_owned())
    }

    /// The flags of open(2), including `CLOEXEC`, which belongs to the descriptor.
    pub(crate) fn flags(&self) -> OFlags {
        let flags = self.field("flags:");
        let flags = flags.and_then(|flags| u32::from_str_radix(flags, 8).ok());
        OFlags::from_bits_retain(flags.unwrap_or_default())
    }

    /// Whether it was opened for reading, and for writing.
    pub(crate) fn access(&self) -> (bool, bool) {
        let flags = self.flags();
        match flags & OFlags::ACCMODE {
            _ if flags.contains(OFlags::PATH) => (false, false),
            OFlags::RDONLY => (true, false),
            OFlags::WRONLY => (false, true),
            _ => (true, true),
        }
    }

    /// The number that the kernel gave an eventfd (since Linux 5.2).
    pub(crate) fn eventfd_id(&self) -> Option<u64> {
        self.field("eventfd-id:")?.parse().ok()
    }

    /// The count of an eventfd. Reading the eventfd itself would reset it.
    pub(crate) fn eventfd_count(&self) -> Option<u64> {
        u64::from_str_radix(self.field("eventfd-count:")?, 16).ok()
    }

    /// How often a timer has expired since it was read.
    pub(crate) fn timer_ticks(&self) -> Option<u64> {
        self.field("ticks:")?.parse().ok()
    }

    /// The process of a pidfd, -1 if it has ended.
    pub(crate) fn pid(&self) -> Option<i64> {
        self.field("Pid:")?.parse().ok()
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.0.lines();
        lines
            .find_map(|line| line.strip_prefix(name))
            .map(str::trim)
    }
}
