//! The kinds of open descriptors, told apart by their link and by the file behind it.

use std::{
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt},
    },
    path::Path,
};

use super::field;

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
    /// A lock of logind's: as long as it is open, the machine does not sleep or shut down.
    Inhibitor,
    /// A counter to wake a main loop with; see eventfd(2).
    Eventfd,
    /// A process; see pidfd_open(2).
    Pidfd,
    /// A set of descriptors waited for; see epoll(7).
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
    /// A socket of another family, or one that may not be looked at.
    Socket,
    /// Anything else.
    Other,
}

impl Kind {
    /// Its name for a program: lower case, one word or two with a hyphen.
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
}

/// The kind of what is no socket.
pub(super) fn of(entry: &Path, link: &Path) -> Kind {
    let name = link.as_os_str().as_bytes();
    match name {
        b"anon_inode:[eventfd]" => return Kind::Eventfd,
        b"anon_inode:[pidfd]" => return Kind::Pidfd,
        b"anon_inode:[eventpoll]" => return Kind::Epoll,
        b"anon_inode:inotify" => return Kind::Inotify,
        b"anon_inode:[timerfd]" => return Kind::Timerfd,
        b"anon_inode:[signalfd]" => return Kind::Signalfd,
        _ if name.starts_with(b"anon_inode:") => return Kind::Other,
        _ if name.starts_with(b"/memfd:") => return Kind::Memfd,
        _ => {}
    }
    // Follows the link to the open file itself, whatever became of its name.
    let Ok(status) = fs::metadata(entry) else {
        return Kind::Other;
    };
    let file = status.file_type();
    let device = (
        rustix::fs::major(status.rdev()),
        rustix::fs::minor(status.rdev()),
    );
    if file.is_fifo() && is_inhibitor(link) {
        Kind::Inhibitor
    } else if file.is_fifo() {
        Kind::Pipe
    } else if file.is_dir() {
        Kind::Directory
    } else if file.is_file() {
        Kind::File
    } else if file.is_char_device() && device == (1, 3) {
        Kind::Null
    } else if file.is_char_device() && is_terminal(device.0) {
        Kind::Terminal
    } else if file.is_char_device() || file.is_block_device() {
        Kind::Device
    } else {
        Kind::Other
    }
}

/// logind hands out the writing ends of pipes that it keeps in one folder; see org.freedesktop.login1(5).
pub(super) fn is_inhibitor(link: &Path) -> bool {
    link.parent()
        .is_some_and(|folder| folder.ends_with("systemd/inhibit"))
}

/// The major numbers of terminals; see the kernel's `admin-guide/devices.rst`.
fn is_terminal(major: u32) -> bool {
    // Consoles and serial lines, /dev/tty and its like, and the slaves of pseudoterminals.
    matches!(major, 4 | 5 | 136..=143)
}

/// In words; `details` is what fdinfo says.
pub(super) fn describe(kind: Kind, link: &Path, details: &str) -> String {
    let shown = link.display();
    match kind {
        Kind::Null => "/dev/null".into(),
        Kind::File => format!("file {shown}"),
        Kind::Directory => format!("directory {shown}"),
        Kind::Terminal => format!("terminal {shown}"),
        Kind::Device => format!("device {shown}"),
        Kind::Pipe if link.is_absolute() => format!("named pipe {shown}"),
        Kind::Pipe => "pipe".into(),
        Kind::Inhibitor => format!("inhibitor of logind's, {shown}"),
        Kind::Eventfd => "eventfd, by which main loops are woken".into(),
        Kind::Pidfd => match field(details, "Pid:") {
            Some("-1") => "pidfd of a process that has ended".into(),
            Some(pid) => format!("pidfd of process {pid}"),
            None => "pidfd".into(),
        },
        Kind::Epoll => "epoll set".into(),
        Kind::Inotify => "inotify watches".into(),
        Kind::Timerfd => "timer".into(),
        Kind::Signalfd => "signalfd".into(),
        Kind::Memfd => {
            let name = link.to_string_lossy();
            let name = name.strip_prefix("/memfd:").unwrap_or(&name);
            format!(
                "memory {:?}",
                name.strip_suffix(" (deleted)").unwrap_or(name)
            )
        }
        _ => shown.to_string(),
    }
}
