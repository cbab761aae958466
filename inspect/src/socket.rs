//! What a socket is connected to.
//!
//! A duplicate of the descriptor is taken for a moment and asked for its peer. Where none may be had,
//! the kernel's lists of sockets tell, by the inode. Of a socket that is in neither, nothing is known
//! but that it is one.

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

/// What was found out about a socket.
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
    let stream = sockopt::socket_type(&socket).is_ok_and(|kind| kind == SocketType::STREAM);
    let listening = sockopt::socket_acceptconn(&socket).unwrap_or(false);
    let own = getsockname(&socket).ok();
    let peer = getpeername(&socket).ok().flatten();
    match sockopt::socket_domain(&socket).ok() {
        Some(AddressFamily::UNIX) => {
            let ends = Ends::new(own, peer, listening, name);
            unix(network, inode, ends)
        }
        Some(AddressFamily::INET | AddressFamily::INET6) => {
            let kind = if stream {
                Kind::TcpSocket
            } else {
                Kind::UdpSocket
            };
            let ends = Ends::new(own, peer, listening, |address| address.try_into().ok());
            internet(network, kind, ends)
        }
        Some(AddressFamily::NETLINK) => Socket::new(Kind::Socket, "netlink socket"),
        _ => Socket::new(Kind::Socket, "socket"),
    }
}

/// The two addresses of a socket.
struct Ends<A> {
    own: Option<A>,
    peer: Option<A>,
    listening: bool,
}

impl<A> Ends<A> {
    fn new(
        own: Option<SocketAddrAny>,
        peer: Option<SocketAddrAny>,
        listening: bool,
        address: impl Fn(SocketAddrAny) -> Option<A>,
    ) -> Self {
        Self {
            own: own.and_then(&address),
            peer: peer.and_then(&address),
            listening,
        }
    }
}

/// By the kernel's lists alone.
fn in_tables(network: &Network, inode: u64) -> Option<Socket> {
    if let Some(socket) = network.unix().get(inode) {
        let ends = Ends {
            own: socket.name.clone(),
            peer: network.unix().name_of_peer(inode).map(str::to_owned),
            listening: socket.listening,
        };
        return Some(unix(network, inode, ends));
    }
    let socket = network.internet().get(inode)?;
    let ends = Ends {
        own: Some(socket.own),
        peer: socket.peer,
        listening: socket.listening,
    };
    Some(internet(network, socket.kind, ends))
}

fn unix(network: &Network, inode: u64, ends: Ends<String>) -> Socket {
    let service = ends
        .peer
        .as_ref()
        .and_then(|peer| network.addresses().service(peer));
    let description = match (ends.peer, ends.own) {
        (Some(peer), _) => {
            let known = service.map_or(String::new(), |service| format!(" ({})", service.name()));
            format!("connected to {peer}{known}")
        }
        (None, Some(own)) if ends.listening => format!("listens at {own}"),
        (None, Some(own)) => format!("Unix socket {own}"),
        (None, None) => "Unix socket without a name".into(),
    };
    let listed = network.unix().get(inode);
    Socket {
        kind: Kind::UnixSocket,
        description,
        service,
        listening: ends.listening,
        other_end: listed.and_then(|socket| socket.peer),
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

fn internet(network: &Network, kind: Kind, ends: Ends<SocketAddr>) -> Socket {
    let name = if kind == Kind::TcpSocket {
        "TCP"
    } else {
        "UDP"
    };
    let description = match (ends.peer, ends.own) {
        (Some(peer), _) => format!("{name} connection to {peer}"),
        (None, Some(own)) if ends.listening => format!("{name} socket listening at {own}"),
        (None, Some(own)) if own.port() != 0 => format!("{name} socket at {own}"),
        _ => format!("{name} socket"),
    };
    let other_end = match (ends.own, ends.peer) {
        (Some(own), Some(peer)) => network.internet().other_end(own, peer),
        _ => None,
    };
    Socket {
        listening: ends.listening,
        other_end,
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
