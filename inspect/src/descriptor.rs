//! An open descriptor, and the list of all descriptors of a process.

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
    /// Whether reading and writing never block.
    pub nonblocking: bool,
    /// Whether it was opened for reading.
    pub readable: bool,
    /// Whether it was opened for writing.
    pub writable: bool,
    /// Whether it is a listening socket.
    pub listening: bool,
    /// The service at the other end of a socket, if its address is known.
    pub service: Option<Service>,
    /// The kernel object that it refers to, if that can be recognized in other processes.
    pub object: Option<Object>,
    /// The object that a socket is connected to, if it is on this machine. (Both ends of a pipe are one object.)
    pub other_end: Option<Object>,
    /// The link in `/proc/PID/fd`: a path, or a name such as `socket:[4711]`.
    pub link: PathBuf,
}

/// Lists the open descriptors of a process, by number.
///
/// It may block on a file system that does not respond, as stat(2) does, so do not call it on the main thread.
///
/// # Errors
///
/// `NotFound` if there is no such process (or no `/proc`), `PermissionDenied` if it belongs to another user,
/// `Unsupported` if `/proc` belongs to another PID namespace.
pub fn list(pid: u32) -> io::Result<Vec<DescriptorInfo>> {
    link::check_proc()?;
    let network = Network::of(pid);
    let numbers = link::numbers(pid)?.into_iter();
    Ok(numbers
        .filter_map(|number| describe(&network, pid, number))
        .collect())
}

/// Returns `None` if the descriptor has been closed meanwhile.
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
