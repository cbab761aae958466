//! What a process has open: every descriptor, in words.
//!
//! Reads `/proc/PID/fd` and `/proc/PID/fdinfo` (see proc_pid_fd(5) and proc_pid_fdinfo(5)) and says what each
//! descriptor is: the wakeup eventfd of a main loop, the connection to the session bus, the display. It is for
//! diagnosis, to see with one's own eyes that a child holds none of them. The command `legwork doctor` is its face in a
//! terminal.
//!
//! It is a look at something that moves: a descriptor that is closed meanwhile is left out. And it is only a look:
//! nothing is taken from the process, nothing is stopped, and what is ready to be read stays there.
//!
//! | to know | ask |
//! |---|---|
//! | what is open, and what each is connected to | [`list`] |
//! | what a child that inherits it could do, and what some have done | [`DescriptorInfo::harm`] |
//! | who else holds it, or its other end | [`holders`](mod@holders) |
//! | whether a main loop that waits for it is woken | [`readiness`](mod@readiness) |
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

mod harm;
mod holders;
mod internet_table;
mod kind;
mod object;
mod readiness;
mod service;
mod socket;
mod unix_table;

use std::{
    ffi::OsString,
    fs, io,
    os::fd::RawFd,
    path::{Path, PathBuf},
};

pub use harm::{Harm, Scene};
pub use holders::{End, Holder, holders};
pub use kind::Kind;
pub use object::Object;
pub use readiness::{Readiness, readiness};
pub use service::Service;
use socket::Network;

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
    /// Whether it was opened for reading.
    pub readable: bool,
    /// Whether it was opened for writing.
    pub writable: bool,
    /// Whether it is a socket that waits for connections.
    pub listening: bool,
    /// Who is at the other end of a socket, where it can be told by its address.
    pub service: Option<Service>,
    /// What it leads to, where that can be known again in another process.
    pub object: Option<Object>,
    /// What a socket is connected to, if that is on this machine. Both ends of a pipe are one object.
    pub other_end: Option<Object>,
    /// The link in `/proc/PID/fd`: a path, or such as `socket:[4711]`.
    pub link: PathBuf,
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
    let network = Network::of(pid);
    let numbers = numbers(&process)?.into_iter();
    Ok(numbers
        .filter_map(|number| look_at(&network, &process, number))
        .collect())
}

/// Read to the end first: if this is our own process, the open directory is one of the descriptors.
fn numbers(process: &Path) -> io::Result<Vec<RawFd>> {
    let mut numbers = fs::read_dir(process.join("fd"))?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<Vec<OsString>>>()?
        .iter()
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect::<Vec<RawFd>>();
    numbers.sort_unstable();
    Ok(numbers)
}

/// `None`: closed meanwhile.
fn look_at(network: &Network, process: &Path, number: RawFd) -> Option<DescriptorInfo> {
    let entry = process.join("fd").join(number.to_string());
    let link = fs::read_link(&entry).ok()?;
    let details = fs::read_to_string(process.join("fdinfo").join(number.to_string())).ok()?;
    let flags = open_flags(&details);
    let (readable, writable) = access(&details);
    let mut info = DescriptorInfo {
        number,
        kind: Kind::Other,
        description: String::new(),
        close_on_exec: flags & libc::O_CLOEXEC != 0,
        nonblocking: flags & libc::O_NONBLOCK != 0,
        readable,
        writable,
        listening: false,
        service: None,
        object: Object::of(&entry, &link, || details.clone()),
        other_end: None,
        link,
    };
    if let Some(Object::Socket(inode)) = info.object {
        let socket = socket::look_at(network, number, inode);
        info.kind = socket.kind;
        info.service = socket.service;
        info.description = socket.description;
        info.listening = socket.listening;
        info.other_end = socket.other_end.map(Object::Socket);
    } else {
        info.kind = kind::of(&entry, &info.link);
        info.description = kind::describe(info.kind, &info.link, &details);
    }
    Some(info)
}

/// The octal `flags:` of fdinfo, with `O_CLOEXEC` standing for the descriptor's own flag.
fn open_flags(details: &str) -> i32 {
    field(details, "flags:")
        .and_then(|flags| i32::from_str_radix(flags, 8).ok())
        .unwrap_or_default()
}

/// Whether it was opened for reading, and for writing.
fn access(details: &str) -> (bool, bool) {
    let flags = open_flags(details);
    if flags & libc::O_PATH != 0 {
        return (false, false);
    }
    match flags & libc::O_ACCMODE {
        libc::O_RDONLY => (true, false),
        libc::O_WRONLY => (false, true),
        _ => (true, true),
    }
}

fn field<'a>(details: &'a str, name: &str) -> Option<&'a str> {
    details
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}
