//! One open descriptor, and the list of all that a process has.

use std::io;
use std::os::fd::RawFd;
use std::path::PathBuf;

use rustix::fs::OFlags;

use crate::fdinfo::FdInfo;
use crate::kind::{self, Kind};
use crate::link::{self, Link};
use crate::network::Network;
use crate::object::Object;
use crate::service::Service;
use crate::socket::{self, Socket};

/// One open descriptor of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DescriptorInfo {
    /// Its number in that process.
    pub number: RawFd,
    /// What it is.
    pub kind: Kind,
    /// What it is, for a person: `eventfd`, `file /etc/hosts`, `connected to /run/user/1000/bus
    /// (session bus)`.
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
    /// Who is at the other end of a socket, where its address tells.
    pub service: Option<Service>,
    /// What it leads to, where that can be recognised in another process.
    pub object: Option<Object>,
    /// What a socket is connected to, if that is on this machine. Both ends of a pipe are one object.
    pub other_end: Option<Object>,
    /// The link in `/proc/PID/fd`: a path, or a name such as `socket:[4711]`.
    pub link: PathBuf,
}

/// The open descriptors of a process, in the order of their numbers.
///
/// May wait for a file system that does not answer, as stat(2) does; call it from another thread
/// than the main one.
///
/// # Errors
///
/// `NotFound` if there is no such process (or no `/proc`), `PermissionDenied` if it belongs to another user,
/// `Unsupported` if `/proc` is that of another PID namespace.
pub fn list(pid: u32) -> io::Result<Vec<DescriptorInfo>> {
    link::check_proc()?;
    let network = Network::of(pid);
    let numbers = link::numbers(pid)?.into_iter();
    Ok(numbers
        .filter_map(|number| describe(&network, pid, number))
        .collect())
}

/// `None`: closed meanwhile.
fn describe(network: &Network, pid: u32, number: RawFd) -> Option<DescriptorInfo> {
    let link = Link::read(pid, number)?;
    let details = FdInfo::read(pid, number)?;
    let object = Object::of(&link, || Some(details.clone()));
    let socket = match object {
        Some(Object::Socket(inode)) => socket::look_at(network, number, inode),
        _ => {
            let kind = Kind::of(&link);
            Socket::new(kind, kind::describe(kind, &link, &details))
        }
    };
    let flags = details.flags();
    let (readable, writable) = details.access();
    Some(DescriptorInfo {
        number,
        kind: socket.kind,
        description: socket.description,
        close_on_exec: flags.contains(OFlags::CLOEXEC),
        nonblocking: flags.contains(OFlags::NONBLOCK),
        readable,
        writable,
        listening: socket.listening,
        service: socket.service,
        object,
        other_end: socket.other_end.map(Object::Socket),
        link: link.path,
    })
}
