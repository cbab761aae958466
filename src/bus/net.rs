//! Connects sockets without a thread.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, getpeername, socket_with,
    sockopt,
};
use zbus::runtime::traits::PollIo;
use zbus::runtime::{Interest, IoSource};

use super::executor::{Executor, context_is_gone};
use super::io::RegisteredIoSource;
use super::sleep::Sleep;

/// The first and the longest wait before a listener with a full backlog is tried again.
const FIRST_WAIT: Duration = Duration::from_millis(2);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Connects to a socket in the file system, or to an abstract one if the path begins with a zero byte.
pub(super) async fn unix(executor: &Arc<Executor>, path: &Path) -> io::Result<IoSource> {
    let address = match path.as_os_str().as_bytes() {
        [0, name @ ..] => SocketAddrUnix::new_abstract_name(name)?,
        _ => SocketAddrUnix::new(path)?,
    };
    let mut wait = FIRST_WAIT;
    loop {
        let socket = new_socket(AddressFamily::UNIX)?;
        match connect(&socket, &address) {
            Ok(()) => return Ok(socket.into()),
            // Its backlog is full; nothing can be watched for room in it.
            Err(Errno::AGAIN) => Sleep::new(executor, wait).await,
            Err(Errno::INTR) => (),
            Err(error) => return Err(error.into()),
        }
        if executor.is_gone() {
            return Err(context_is_gone());
        }
        wait = (2 * wait).min(LONGEST_WAIT);
    }
}

/// Connects to an address and port.
pub(super) async fn tcp(executor: &Arc<Executor>, address: SocketAddr) -> io::Result<IoSource> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let socket = new_socket(family)?;
    let begun = connect(&socket, &address);
    let source = IoSource::from(socket);
    match begun {
        Ok(()) => return Ok(source),
        Err(Errno::INPROGRESS | Errno::INTR) => (),
        Err(error) => return Err(error.into()),
    }
    let registered = RegisteredIoSource::new(executor, source.clone())?;
    poll_fn(|cx| registered.poll_io(cx, Interest::Writable, || settled(&source))).await?;
    // No longer watched: zbus registers it again.
    drop(registered);
    Ok(source)
}

fn new_socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(family, SocketType::STREAM, flags, None)?)
}

/// Whether the connection is there; until then it would block.
fn settled(socket: &IoSource) -> io::Result<()> {
    sockopt::socket_error(socket)??;
    match getpeername(socket) {
        Ok(_) => Ok(()),
        Err(Errno::NOTCONN) => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(error.into()),
    }
}
