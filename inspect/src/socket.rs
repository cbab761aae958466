//! What a socket is connected to.
//!
//! The descriptor is duplicated for a moment to ask for its peer. If that is denied, the peer is looked up in the
//! kernel's lists of sockets, by the inode. If it is not in the lists either, it is described as a socket and nothing
//! more.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;

use rustix::net::{
    AddressFamily, SocketAddrAny, SocketAddrUnix, SocketType, getpeername, getsockname, sockopt,
};

use crate::duplicate::duplicate;
use crate::kind::Kind;
use crate::network::Network;
use crate::service::Service;

/// What is known about a socket.
pub(crate) struct Socket {
    pub(crate) kind: Kind,
    pub(crate) description: String,
    pub(crate) service: Option<Service>,
    pub(crate) listening: bool,
    /// The inode of the other end, if it is on this machine.
    pub(crate) other_end: Option<u64>,
}

impl Socket {
    pub(crate) fn new(kind: Kind, description: impl Into<String>) -> Self {
        Self {
            kind,
            description: description.into(),
            service: None,
            listening: false,
            other_end: None,
        }
    }
}

pub(crate) fn look_at(network: &Network, number: RawFd, inode: u64) -> Socket {
    let Some(socket) = duplicate(network.pid, number) else {
        return in_tables(network, inode).unwrap_or_else(|| Socket::new(Kind::Socket, "socket"));
    };
    let listening = sockopt::socket_acceptconn(&socket).unwrap_or(false);
    let own = getsockname(&socket).ok();
    let peer = getpeername(&socket).ok().flatten();
    match sockopt::socket_domain(&socket).ok() {
        Some(AddressFamily::UNIX) => {
            let (own, peer) = (own.and_then(name), peer.and_then(name));
            unix(network, inode, own, peer, listening)
        }
        Some(AddressFamily::INET | AddressFamily::INET6) => {
            let kind = match sockopt::socket_type(&socket) {
                Ok(SocketType::STREAM) => Kind::TcpSocket,
                _ => Kind::UdpSocket,
            };
            let address = |address: SocketAddrAny| SocketAddr::try_from(address).ok();
            let (own, peer) = (own.and_then(address), peer.and_then(address));
            internet(network, kind, own, peer, listening)
        }
        Some(AddressFamily::NETLINK) => Socket::new(Kind::Socket, "netlink socket"),
        _ => Socket::new(Kind::Socket, "socket"),
    }
}

/// Describes a socket by the kernel's lists alone.
fn in_tables(network: &Network, inode: u64) -> Option<Socket> {
    if let Some(socket) = network.unix().get(inode) {
        let peer = network.unix().name_of_peer(inode).map(str::to_owned);
        let own = socket.name.clone();
        return Some(unix(network, inode, own, peer, socket.listening));
    }
    let socket = network.internet().get(inode)?;
    let (own, peer) = (Some(socket.own), socket.peer);
    Some(internet(network, socket.kind, own, peer, socket.listening))
}

fn unix(
    network: &Network,
    inode: u64,
    own: Option<String>,
    peer: Option<String>,
    listening: bool,
) -> Socket {
    let service = peer
        .as_ref()
        .and_then(|peer| network.addresses().service(peer));
    let description = match (peer, own, service) {
        (Some(peer), _, Some(service)) => format!("connected to {peer} ({})", service.name()),
        (Some(peer), _, None) => format!("connected to {peer}"),
        (None, Some(own), _) if listening => format!("listening at {own}"),
        (None, Some(own), _) => format!("Unix socket {own}"),
        (None, None, _) => "Unix socket without a name".into(),
    };
    let listed = network.unix().get(inode);
    Socket {
        service,
        listening,
        other_end: listed.and_then(|socket| socket.peer),
        ..Socket::new(Kind::UnixSocket, description)
    }
}

/// A Unix address as people write it, with `@` for the abstract ones.
fn name(address: SocketAddrAny) -> Option<String> {
    let address = SocketAddrUnix::try_from(address).ok()?;
    let shown = |bytes: &[u8]| OsStr::from_bytes(bytes).to_string_lossy().into_owned();
    match (address.path_bytes(), address.abstract_name()) {
        (Some(path), _) => Some(shown(path)),
        // An end of a socketpair has an empty name.
        (None, Some(name)) if !name.is_empty() => Some(format!("@{}", shown(name))),
        _ => None,
    }
}

fn internet(
    network: &Network,
    kind: Kind,
    own: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    listening: bool,
) -> Socket {
    let name = match kind {
        Kind::TcpSocket => "TCP",
        _ => "UDP",
    };
    let description = match (peer, own) {
        (Some(peer), _) => format!("{name} connection to {peer}"),
        (None, Some(own)) if listening => format!("{name} socket listening at {own}"),
        (None, Some(own)) if own.port() != 0 => format!("{name} socket at {own}"),
        _ => format!("{name} socket"),
    };
    let ends = own.zip(peer);
    Socket {
        listening,
        other_end: ends.and_then(|(own, peer)| network.internet().other_end(own, peer)),
        ..Socket::new(kind, description)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    /// The same by a duplicate and by the kernel's lists.
    fn both_ways(socket: impl AsFd) -> [String; 2] {
        let network = Network::of(std::process::id());
        let inode = rustix::fs::fstat(&socket).unwrap().st_ino;
        let by_duplicate = look_at(&network, socket.as_fd().as_raw_fd(), inode);
        let by_lists = in_tables(&network, inode).unwrap();
        assert_eq!(by_duplicate.kind, by_lists.kind);
        assert_eq!(by_duplicate.service, by_lists.service);
        assert_eq!(by_duplicate.listening, by_lists.listening);
        assert_eq!(by_duplicate.other_end, by_lists.other_end);
        [by_duplicate, by_lists].map(|socket| socket.description)
    }

    #[test]
    fn without_the_rights_of_a_debugger_the_lists_tell_the_same() {
        let folder = std::env::temp_dir().join(format!("legwork-socket-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let path = folder.join("wayland-0");
        let unix = UnixListener::bind(&path).unwrap();
        let to_unix = UnixStream::connect(&path).unwrap();
        let _accepted = unix.accept().unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let to_tcp = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        let (pair, _other) = UnixStream::pair().unwrap();
        let all = [
            both_ways(&unix),
            both_ways(&to_unix),
            both_ways(&tcp),
            both_ways(&to_tcp),
            both_ways(&pair),
        ];
        std::fs::remove_dir_all(folder).unwrap();
        for [by_duplicate, by_lists] in all {
            assert_eq!(by_duplicate, by_lists);
        }
    }
}
