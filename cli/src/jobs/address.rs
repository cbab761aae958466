//! Where the session bus is.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;

/// Connects to the session bus: to the first address that answers, as the D-Bus specification says, "Server Addresses".
/// Only sockets of this machine are tried.
pub(super) fn connect() -> Result<UnixStream, String> {
    let address = env::var("DBUS_SESSION_BUS_ADDRESS").unwrap_or_default();
    let mut why = "its address names no socket of this machine".to_owned();
    let sockets: Vec<_> = match address.as_str() {
        "" => {
            let folder = env::var_os("XDG_RUNTIME_DIR");
            let folder = folder.ok_or("DBUS_SESSION_BUS_ADDRESS is not set")?;
            vec![SocketAddr::from_pathname(Path::new(&folder).join("bus"))]
        }
        address => address.split(';').filter_map(socket).collect(),
    };
    for socket in sockets {
        match socket.and_then(|socket| UnixStream::connect_addr(&socket)) {
            Ok(stream) => return Ok(stream),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

/// `unix:path=/run/user/1000/bus,guid=…`, or `unix:abstract=…`.
fn socket(address: &str) -> Option<io::Result<SocketAddr>> {
    let pairs = address.strip_prefix("unix:")?.split(',');
    pairs
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| {
            let value = unescape(value)?;
            match key {
                "path" => Some(SocketAddr::from_pathname(OsString::from_vec(value))),
                "abstract" => Some(SocketAddr::from_abstract_name(value)),
                _ => None,
            }
        })
}

/// `%2c` is a comma. `None` if an escape is incomplete.
fn unescape(value: &str) -> Option<Vec<u8>> {
    let mut bytes = value.bytes();
    let mut unescaped = Vec::new();
    while let Some(byte) = bytes.next() {
        unescaped.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            other => other,
        });
    }
    Some(unescaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_their_escapes_and_what_is_no_socket_is_none() {
        let path = |address| Some(socket(address)?.ok()?.as_pathname()?.to_owned());
        assert_eq!(path("unix:path=/a%2cb,guid=0f").unwrap(), Path::new("/a,b"));
        assert_eq!(path("unix:guid=0f,path=/a").unwrap(), Path::new("/a"));
        let name = socket("unix:abstract=/tmp/dbus-x").unwrap().unwrap();
        assert_eq!(name.as_abstract_name(), Some(&b"/tmp/dbus-x"[..]));
        for address in [
            "",
            "tcp:host=localhost",
            "unix:path=/a%2",
            "unix:",
            "unix:dir=/tmp",
        ] {
            assert!(socket(address).is_none(), "{address}");
        }
    }
}
