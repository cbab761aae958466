//! The TCP and UDP sockets of a process's network; see proc_pid_net(5).

use std::collections::HashMap;
use std::net::SocketAddr;

use procfs::net::TcpState;
use procfs::process::Process;

use crate::kind::Kind;

/// One end of a connection, or a listening socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InternetSocket {
    pub(crate) kind: Kind,
    pub(crate) own: SocketAddr,
    /// `None` if it is not connected.
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) listening: bool,
    /// How many bytes can be read.
    pub(crate) waiting: Option<u64>,
}

/// All sockets.
#[derive(Debug, Default)]
pub(crate) struct InternetTable {
    by_inode: HashMap<u64, InternetSocket>,
    /// The inode of each that is connected, by its own address and its peer's.
    by_ends: HashMap<(SocketAddr, SocketAddr), u64>,
}

impl InternetTable {
    /// Reads the table that the process sees; empty if it cannot be read.
    pub(crate) fn read(pid: u32) -> Self {
        let Ok(process) = Process::new(pid.cast_signed()) else {
            return Self::default();
        };
        let tcp = [process.tcp(), process.tcp6()];
        let tcp = tcp.into_iter().flatten().flatten().map(|tcp| {
            let listening = tcp.state == TcpState::Listen;
            let socket = InternetSocket {
                kind: Kind::TcpSocket,
                own: tcp.local_address,
                peer: connected(tcp.remote_address),
                listening,
                // In a listening socket, this is the number of connections.
                waiting: (!listening).then_some(tcp.rx_queue.into()),
            };
            (tcp.inode, socket)
        });
        let udp = [process.udp(), process.udp6()];
        let udp = udp.into_iter().flatten().flatten().map(|udp| {
            let socket = InternetSocket {
                kind: Kind::UdpSocket,
                own: udp.local_address,
                peer: connected(udp.remote_address),
                listening: false,
                waiting: Some(udp.rx_queue.into()),
            };
            (udp.inode, socket)
        });
        // Sockets that are closed and wait for late packets have no inode.
        let by_inode: HashMap<_, _> = tcp.chain(udp).filter(|(inode, _)| *inode != 0).collect();
        let by_ends = by_inode
            .iter()
            .filter_map(|(inode, socket)| Some((ends(socket.own, socket.peer?), *inode)))
            .collect();
        Self { by_inode, by_ends }
    }

    pub(crate) fn get(&self, inode: u64) -> Option<&InternetSocket> {
        self.by_inode.get(&inode)
    }

    /// Returns the other end, if it is on this machine.
    pub(crate) fn other_end(&self, own: SocketAddr, peer: SocketAddr) -> Option<u64> {
        self.by_ends.get(&ends(peer, own)).copied()
    }
}

fn connected(peer: SocketAddr) -> Option<SocketAddr> {
    (peer.port() != 0).then_some(peer)
}

/// Converts an IPv4 address that is mapped to IPv6 back to IPv4.
fn ends(own: SocketAddr, peer: SocketAddr) -> (SocketAddr, SocketAddr) {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    (plain(own), plain(peer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        net::{TcpListener, TcpStream},
        os::fd::AsFd,
    };

    fn inode(socket: impl AsFd) -> u64 {
        rustix::fs::fstat(socket).unwrap().st_ino
    }

    #[test]
    fn both_ends_of_a_connection_on_this_machine_are_found() {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            // IPv6 may be missing.
            let Ok(listener) = TcpListener::bind(local) else {
                continue;
            };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            let table = InternetTable::read(std::process::id());
            let ours = table.get(inode(&client)).unwrap();
            assert_eq!(ours.own, client.local_addr().unwrap());
            assert_eq!(ours.peer, Some(client.peer_addr().unwrap()));
            let other_end = table.other_end(ours.own, ours.peer.unwrap());
            assert_eq!(other_end, Some(inode(&server)));
            assert!(table.get(inode(&listener)).unwrap().listening);
        }
    }
    #[test]
    fn what_cannot_be_read_is_an_empty_table() {
        assert!(InternetTable::read(u32::MAX).by_inode.is_empty());
    }
}
