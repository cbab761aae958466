//! The TCP and UDP sockets of a process' network, as `/proc/PID/net` lists them; see proc_pid_net(5).

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use super::Kind;

/// One end of a connection, or what waits for some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InternetSocket {
    pub(super) kind: Kind,
    pub(super) own: SocketAddr,
    /// `None`: it is connected to nobody.
    pub(super) peer: Option<SocketAddr>,
    pub(super) listening: bool,
    /// Bytes that wait to be read.
    pub(super) waiting: Option<u64>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct InternetTable {
    by_inode: HashMap<u64, InternetSocket>,
    /// The inode of each that is connected, by its own address and its peer's.
    by_ends: HashMap<(SocketAddr, SocketAddr), u64>,
}

impl InternetTable {
    /// As the process sees them.
    pub(super) fn read(pid: u32) -> Self {
        let files = [
            ("tcp", Kind::TcpSocket),
            ("tcp6", Kind::TcpSocket),
            ("udp", Kind::UdpSocket),
            ("udp6", Kind::UdpSocket),
        ];
        let mut by_inode = HashMap::new();
        for (file, kind) in files {
            let text = fs::read_to_string(format!("/proc/{pid}/net/{file}")).unwrap_or_default();
            by_inode.extend(text.lines().skip(1).filter_map(|line| entry(line, kind)));
        }
        let by_ends = by_inode
            .iter()
            .filter_map(|(inode, socket)| Some((ends(socket.own, socket.peer?), *inode)))
            .collect();
        Self { by_inode, by_ends }
    }

    pub(super) fn get(&self, inode: u64) -> Option<&InternetSocket> {
        self.by_inode.get(&inode)
    }

    /// The other end, if it is on this machine, too.
    pub(super) fn other_end(&self, own: SocketAddr, peer: SocketAddr) -> Option<u64> {
        self.by_ends.get(&ends(peer, own)).copied()
    }
}

/// An address of the old protocol is the same when a socket of the new one has it.
fn ends(own: SocketAddr, peer: SocketAddr) -> (SocketAddr, SocketAddr) {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    (plain(own), plain(peer))
}

/// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …`
fn entry(line: &str, kind: Kind) -> Option<(u64, InternetSocket)> {
    /// `TCP_LISTEN`
    const LISTENING: &str = "0A";
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let own = address(fields.get(1)?)?;
    let peer = address(fields.get(2)?)?;
    let listening = *fields.get(3)? == LISTENING;
    let (_, waiting) = fields.get(4)?.split_once(':')?;
    let inode = fields.get(9)?.parse().ok()?;
    // Sockets that are closed and wait for late packets have none.
    if inode == 0 {
        return None;
    }
    let socket = InternetSocket {
        kind,
        own,
        peer: (peer.port() != 0).then_some(peer),
        listening,
        waiting: u64::from_str_radix(waiting, 16).ok().filter(|_| !listening),
    };
    Some((inode, socket))
}

/// `0100007F:1F90`: words of the address as the processor reads them, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::with_capacity(16);
    for word in address.as_bytes().chunks(8) {
        if word.len() < 8 {
            return None;
        }
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    let address: IpAddr = match bytes.len() {
        4 => Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into(),
        16 => Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
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
            // A machine may do without the newer one.
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
    fn a_line_that_is_none_is_left_out() {
        assert_eq!(entry("", Kind::TcpSocket), None);
        assert_eq!(address("0100007F"), None);
        assert_eq!(address("01:1"), None);
        assert_eq!(address("0100007Fé:1"), None);
    }
}
