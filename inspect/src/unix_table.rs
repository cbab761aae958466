//! Every Unix socket of the machine with its name and its other end, as the kernel lists them.
//!
//! They are read by sock_diag(7) over netlink, as `ss` does, which needs no rights over the process that holds a
//! socket. If that is denied, as in some sandboxes, `/proc/PID/net/unix` is read, which has the names but not the other
//! ends. It is parsed here because procfs drops the flag of a listening socket, and fails at a name that is not UTF-8,
//! which any process on the machine may bind.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SOCK_DIAG, recv, send,
    socket_with,
};

/// One end of a connection, or a listening socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnixSocket {
    /// Its own address, with `@` for an abstract one.
    pub(crate) name: Option<String>,
    /// The inode of its other end.
    pub(crate) peer: Option<u64>,
    pub(crate) listening: bool,
    /// How many bytes can be read.
    pub(crate) waiting: Option<u64>,
}

/// All sockets, by inode.
#[derive(Debug, Default)]
pub(crate) struct UnixTable(HashMap<u64, UnixSocket>);

impl UnixTable {
    /// Reads the table that the process sees.
    pub(crate) fn read(pid: u32) -> Self {
        let asked = ask_the_kernel();
        Self(asked.unwrap_or_else(|_| {
            let text = fs::read(format!("/proc/{pid}/net/unix")).unwrap_or_default();
            by_lines(&text)
        }))
    }

    pub(crate) fn get(&self, inode: u64) -> Option<&UnixSocket> {
        self.0.get(&inode)
    }

    /// Returns the address of the other end: that of the listening socket that accepted it.
    pub(crate) fn name_of_peer(&self, inode: u64) -> Option<&str> {
        let peer = self.0.get(&inode)?.peer?;
        self.0.get(&peer)?.name.as_deref()
    }
}

// From the kernel's `include/uapi/linux/{netlink,sock_diag,unix_diag}.h`.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x1 | 0x300;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const HEADER: usize = 16;
const UNIX_DIAG_MSG: usize = 16;
const UDIAG_SHOW_NAME_PEER_RQLEN: u32 = 0x01 | 0x04 | 0x10;
const UNIX_DIAG_NAME: u16 = 0;
const UNIX_DIAG_PEER: u16 = 2;
const UNIX_DIAG_RQLEN: u16 = 4;
/// `TCP_LISTEN`, which is used for Unix sockets as well.
const LISTENING: u8 = 10;

fn ask_the_kernel() -> rustix::io::Result<HashMap<u64, UnixSocket>> {
    let (family, flags) = (AddressFamily::NETLINK, SocketFlags::CLOEXEC);
    let socket = socket_with(family, SocketType::RAW, flags, Some(SOCK_DIAG))?;
    send(&socket, &request(), SendFlags::empty())?;
    let mut sockets = HashMap::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let (_, length) = recv(&socket, &mut *buffer, RecvFlags::empty())?;
        let mut messages = &buffer[..length];
        if messages.is_empty() {
            return Ok(sockets);
        }
        while let Some((kind, body, rest)) = next_message(messages) {
            match kind {
                NLMSG_DONE => return Ok(sockets),
                NLMSG_ERROR => {
                    let code = word(body, 0).unwrap_or_default().cast_signed();
                    return Err(rustix::io::Errno::from_raw_os_error(-code));
                }
                _ => {
                    if let Some((inode, socket)) = entry(body) {
                        sockets.insert(inode, socket);
                    }
                }
            }
            messages = rest;
        }
    }
}

/// `struct nlmsghdr` and `struct unix_diag_req`: all of them, whatever their state.
fn request() -> Vec<u8> {
    let mut body = vec![AddressFamily::UNIX.as_raw() as u8, 0, 0, 0];
    let any_state = u32::MAX;
    let no_cookie = [u32::MAX; 2];
    for word in [any_state, 0, UDIAG_SHOW_NAME_PEER_RQLEN] {
        body.extend(word.to_ne_bytes());
    }
    for word in no_cookie {
        body.extend(word.to_ne_bytes());
    }
    let length = (HEADER + body.len()) as u32;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    // Sequence number and port, which the kernel ignores.
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// Type and body of the first message, and what follows it.
pub(crate) fn next_message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = word(bytes, 0)? as usize;
    let body = bytes.get(HEADER..length)?;
    let next = length.next_multiple_of(4).min(bytes.len());
    Some((half(bytes, 4)?, body, &bytes[next..]))
}

/// `struct unix_diag_msg` and its attributes.
pub(crate) fn entry(body: &[u8]) -> Option<(u64, UnixSocket)> {
    let inode = word(body, 4)?;
    let mut socket = UnixSocket {
        listening: *body.get(2)? == LISTENING,
        ..UnixSocket::default()
    };
    let mut rest = body.get(UNIX_DIAG_MSG..)?;
    while let (Some(length), Some(kind)) = (half(rest, 0), half(rest, 2)) {
        let Some(value) = rest.get(4..usize::from(length)) else {
            break;
        };
        match kind {
            UNIX_DIAG_NAME => socket.name = name(value),
            // 0: not accepted yet.
            UNIX_DIAG_PEER => {
                socket.peer = word(value, 0).filter(|peer| *peer != 0).map(u64::from);
            }
            UNIX_DIAG_RQLEN => socket.waiting = word(value, 0).map(u64::from),
            _ => {}
        }
        let next = usize::from(length).next_multiple_of(4).min(rest.len());
        rest = &rest[next..];
    }
    if socket.listening {
        // In a listening socket, this is the number of connections.
        socket.waiting = None;
    }
    Some((u64::from(inode), socket))
}

/// A path, perhaps with a NUL at its end, or an abstract name after a NUL.
fn name(bytes: &[u8]) -> Option<String> {
    let shown = |bytes| OsStr::from_bytes(bytes).to_string_lossy().into_owned();
    match bytes.split_first()? {
        (0, []) => None,
        (0, name) => Some(format!("@{}", shown(name))),
        _ => Some(shown(bytes.strip_suffix(&[0]).unwrap_or(bytes))),
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_ne_bytes(*bytes))
}

/// `Num RefCount Protocol Flags Type St Inode Path`, one a line; an abstract name begins with `@` there already.
pub(crate) fn by_lines(text: &[u8]) -> HashMap<u64, UnixSocket> {
    /// `__SO_ACCEPTCON`
    const ACCEPTS: u32 = 1 << 16;
    let lines = text.split(|byte| *byte == b'\n').skip(1);
    lines
        .filter_map(|line| {
            let line = OsStr::from_bytes(line).to_string_lossy();
            let mut fields = line.split_ascii_whitespace();
            let flags = u32::from_str_radix(fields.nth(3)?, 16).ok()?;
            let inode = fields.nth(2)?.parse().ok()?;
            let socket = UnixSocket {
                name: fields.next().map(str::to_owned),
                listening: flags & ACCEPTS != 0,
                ..UnixSocket::default()
            };
            Some((inode, socket))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn inode(socket: impl AsFd) -> u64 {
        rustix::fs::fstat(socket).unwrap().st_ino
    }

    #[test]
    fn the_kernel_names_both_ends_of_a_connection() {
        let folder = tempfile_folder();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let (server, _) = listener.accept().unwrap();
        let table = UnixTable(ask_the_kernel().unwrap());
        let shown = path.to_str().unwrap();
        assert_eq!(table.name_of_peer(inode(&client)), Some(shown));
        let ours = table.get(inode(&client)).unwrap();
        assert_eq!(ours.peer, Some(inode(&server)));
        assert_eq!(ours.waiting, Some(0));
        assert!(table.get(inode(&listener)).unwrap().listening);

        let text = fs::read("/proc/self/net/unix").unwrap();
        let listed = by_lines(&text).remove(&inode(&listener)).unwrap();
        assert_eq!(listed.name.as_deref(), Some(shown));
        assert!(listed.listening);
        fs::remove_dir_all(folder).unwrap();
    }

    fn tempfile_folder() -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("legwork-table-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        folder
    }

    #[test]
    fn an_answer_that_is_cut_is_no_answer() {
        assert_eq!(next_message(&[20, 0, 0, 0, 1, 0]), None);
        assert_eq!(entry(&[1, 1, 1]), None);
        // An attribute that claims to be longer than what is left.
        let mut body = vec![0; UNIX_DIAG_MSG];
        body.extend([0xff, 0xff, 0, 0, b'x']);
        assert_eq!(entry(&body), Some((0, UnixSocket::default())));
        // And one of no length does not turn for ever.
        body.truncate(UNIX_DIAG_MSG);
        body.extend([0, 0, 0, 0]);
        assert_eq!(entry(&body), Some((0, UnixSocket::default())));
    }
}
