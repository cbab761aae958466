//! The kinds of open descriptors, told apart by their link and by the file behind it.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use procfs::process::FDTarget;

use crate::fdinfo::FdInfo;
use crate::link::Link;

/// The kinds of open descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// `/dev/null`.
    Null,
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A terminal.
    Terminal,
    /// Another device.
    Device,
    /// A pipe, with or without a name.
    Pipe,
    /// A lock of logind: while it is open, the machine does not sleep or shut down.
    Inhibitor,
    /// A counter that wakes a main loop; see eventfd(2).
    Eventfd,
    /// A process; see pidfd_open(2).
    Pidfd,
    /// A set of descriptors to wait for; see epoll(7).
    Epoll,
    /// Watched files; see inotify(7).
    Inotify,
    /// A timer; see timerfd_create(2).
    Timerfd,
    /// Signals; see signalfd(2).
    Signalfd,
    /// Memory; see memfd_create(2).
    Memfd,
    /// A Unix socket.
    UnixSocket,
    /// A TCP socket.
    TcpSocket,
    /// A UDP socket.
    UdpSocket,
    /// A socket of another family, or one that cannot be looked at.
    Socket,
    /// Anything else.
    Other,
}

impl Kind {
    /// Returns its name for programs: lower case, one word or two with a hyphen.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::File => "file",
            Self::Directory => "directory",
            Self::Terminal => "terminal",
            Self::Device => "device",
            Self::Pipe => "pipe",
            Self::Inhibitor => "inhibitor",
            Self::Eventfd => "eventfd",
            Self::Pidfd => "pidfd",
            Self::Epoll => "epoll",
            Self::Inotify => "inotify",
            Self::Timerfd => "timerfd",
            Self::Signalfd => "signalfd",
            Self::Memfd => "memfd",
            Self::UnixSocket => "unix-socket",
            Self::TcpSocket => "tcp-socket",
            Self::UdpSocket => "udp-socket",
            Self::Socket => "socket",
            Self::Other => "other",
        }
    }

    /// Returns the kind of anything but a socket.
    pub(crate) fn of(link: &Link) -> Self {
        match &link.target {
            FDTarget::AnonInode(name) => match name.as_str() {
                "[eventfd]" => Self::Eventfd,
                "[pidfd]" => Self::Pidfd,
                "[eventpoll]" => Self::Epoll,
                "inotify" => Self::Inotify,
                "[timerfd]" => Self::Timerfd,
                "[signalfd]" => Self::Signalfd,
                _ => Self::Other,
            },
            FDTarget::MemFD(_) => Self::Memfd,
            _ => Self::of_file(link),
        }
    }

    fn of_file(link: &Link) -> Self {
        let Ok(status) = fs::metadata(&link.entry) else {
            return Self::Other;
        };
        let file = status.file_type();
        let device = (
            rustix::fs::major(status.rdev()),
            rustix::fs::minor(status.rdev()),
        );
        if file.is_fifo() && is_inhibitor(&link.path) {
            Self::Inhibitor
        } else if file.is_fifo() {
            Self::Pipe
        } else if file.is_dir() {
            Self::Directory
        } else if file.is_file() {
            Self::File
        } else if file.is_char_device() && device == (1, 3) {
            Self::Null
        } else if file.is_char_device() && is_terminal(device.0) {
            Self::Terminal
        } else if file.is_char_device() || file.is_block_device() {
            Self::Device
        } else {
            Self::Other
        }
    }
}

/// Returns whether it is an inhibitor of logind: the write end of a named pipe in a folder of its own; see
/// org.freedesktop.login1(5).
pub(crate) fn is_inhibitor(link: &Path) -> bool {
    link.parent()
        .is_some_and(|folder| folder.ends_with("systemd/inhibit"))
}

/// The major numbers of terminals; see the kernel's `admin-guide/devices.rst`.
fn is_terminal(major: u32) -> bool {
    // Consoles and serial lines, /dev/tty and its like, and the slaves of pseudoterminals.
    matches!(major, 4 | 5 | 136..=143)
}

/// Describes a descriptor for people.
pub(crate) fn describe(kind: Kind, link: &Link, details: &FdInfo) -> String {
    let shown = link.path.display();
    match kind {
        Kind::Null => "/dev/null".into(),
        Kind::File => format!("file {shown}"),
        Kind::Directory => format!("directory {shown}"),
        Kind::Terminal => format!("terminal {shown}"),
        Kind::Device => format!("device {shown}"),
        Kind::Pipe if link.path.is_absolute() => format!("named pipe {shown}"),
        Kind::Pipe => "pipe".into(),
        Kind::Inhibitor => format!("logind inhibitor {shown}"),
        Kind::Eventfd => "eventfd that wakes a main loop".into(),
        Kind::Pidfd => match details.pid() {
            Some(-1) => "pidfd of a process that has ended".into(),
            Some(pid) => format!("pidfd of process {pid}"),
            None => "pidfd".into(),
        },
        Kind::Epoll => "epoll set".into(),
        Kind::Inotify => "inotify watches".into(),
        Kind::Timerfd => "timer".into(),
        Kind::Signalfd => "signalfd".into(),
        Kind::Memfd => {
            let name = link.path.to_string_lossy();
            let name = name.strip_prefix("/memfd:").unwrap_or(&name);
            format!("memory {:?}", name.trim_end_matches(" (deleted)"))
        }
        _ => shown.to_string(),
    }
}
