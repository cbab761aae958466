//! What a process has open: every descriptor, in words.
//!
//! Reads `/proc/PID/fd` and `/proc/PID/fdinfo` (see proc_pid_fd(5) and proc_pid_fdinfo(5)) and says what each
//! descriptor is: the wakeup eventfd of a main loop, the connection to the session bus, the display. It is for
//! diagnosis, to see with one's own eyes that a child holds none of them.
//!
//! It is a look at something that moves: a descriptor that is closed meanwhile is left out.
//!
//! ```
//! use legwork::process::descriptors::{self, Kind};
//! use legwork::spawn::{Plan, Program};
//!
//! let child = Plan::new(Program::name("sleep")).arg("1000").spawn()?;
//! let open = descriptors::list(child.pid())?;
//! assert_eq!(open.len(), 3);
//! assert!(open.iter().all(|descriptor| descriptor.kind == Kind::Null));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod socket;

use std::{
    ffi::OsString,
    fs, io,
    os::{
        fd::RawFd,
        unix::{
            ffi::OsStrExt,
            fs::{FileTypeExt, MetadataExt},
        },
    },
    path::{Path, PathBuf},
};

pub use socket::Service;

/// One open descriptor of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescriptorInfo {
    /// Its number in that process.
    pub number: RawFd,
    /// What it is.
    pub kind: Kind,
    /// What it is, for a person: `eventfd`, `file /etc/hosts`, `connected to /run/user/1000/bus (session bus)`.
    pub description: String,
    /// Whether it is closed when the process executes another program.
    pub close_on_exec: bool,
    /// Whether reading and writing never wait.
    pub nonblocking: bool,
    /// Who is at the other end of a socket, where it can be told by its address.
    pub service: Option<Service>,
    /// The link in `/proc/PID/fd`: a path, or such as `socket:[4711]`.
    pub link: PathBuf,
}

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

/// The open descriptors of a process, in the order of their numbers.
///
/// May wait for a file system that does not answer, as stat(2) does; then not for the main thread.
///
/// # Errors
///
/// `NotFound` if there is no such process, `PermissionDenied` if it belongs to somebody else.
pub fn list(pid: u32) -> io::Result<Vec<DescriptorInfo>> {
    let process = Path::new("/proc").join(pid.to_string());
    // Read to its end first: if this is our own process, the open directory is one of the descriptors.
    let mut numbers = fs::read_dir(process.join("fd"))?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<Vec<OsString>>>()?
        .iter()
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect::<Vec<RawFd>>();
    numbers.sort_unstable();
    Ok(numbers
        .into_iter()
        .filter_map(|number| look_at(pid, &process, number))
        .collect())
}

/// `None`: closed meanwhile.
fn look_at(pid: u32, process: &Path, number: RawFd) -> Option<DescriptorInfo> {
    let entry = process.join("fd").join(number.to_string());
    let link = fs::read_link(&entry).ok()?;
    let details = fs::read_to_string(process.join("fdinfo").join(number.to_string())).ok()?;
    let flags = open_flags(&details);
    let mut info = DescriptorInfo {
        number,
        kind: Kind::Other,
        description: String::new(),
        close_on_exec: flags & libc::O_CLOEXEC != 0,
        nonblocking: flags & libc::O_NONBLOCK != 0,
        service: None,
        link,
    };
    if info.link.as_os_str().as_bytes().starts_with(b"socket:[") {
        let socket = socket::look_at(pid, number);
        info.kind = socket.kind;
        info.service = socket.service;
        info.description = socket.description;
    } else {
        info.kind = kind(&entry, &info.link);
        info.description = describe(info.kind, &info.link, &details);
    }
    Some(info)
}

/// The octal `flags:` of fdinfo, with `O_CLOEXEC` standing for the descriptor's own flag.
fn open_flags(details: &str) -> i32 {
    field(details, "flags:")
        .and_then(|flags| i32::from_str_radix(flags, 8).ok())
        .unwrap_or_default()
}

fn field<'a>(details: &'a str, name: &str) -> Option<&'a str> {
    details
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

fn kind(entry: &Path, link: &Path) -> Kind {
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
    if file.is_fifo() {
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

/// The major numbers of terminals; see the kernel's `admin-guide/devices.rst`.
fn is_terminal(major: u32) -> bool {
    // Consoles and serial lines, /dev/tty and its like, and the slaves of pseudoterminals.
    matches!(major, 4 | 5 | 136..=143)
}

fn describe(kind: Kind, link: &Path, details: &str) -> String {
    let shown = link.display();
    match kind {
        Kind::Null => "/dev/null".into(),
        Kind::File => format!("file {shown}"),
        Kind::Directory => format!("directory {shown}"),
        Kind::Terminal => format!("terminal {shown}"),
        Kind::Device => format!("device {shown}"),
        Kind::Pipe if link.is_absolute() => format!("named pipe {shown}"),
        Kind::Pipe => "pipe".into(),
        Kind::Eventfd => "eventfd, as main loops use to be woken".into(),
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
