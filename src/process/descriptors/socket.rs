//! What a socket is connected to.
//!
//! `/proc` tells no more than a number, and `/proc/net/unix` names a socket's own address only, which the client's
//! end of a connection rarely has. So a duplicate of the descriptor is taken for a moment (pidfd_getfd(2)) and
//! asked for its peer. Where that is not allowed, it stays a socket without words.

use std::{
    ffi::OsStr,
    net::SocketAddr,
    os::{
        fd::{OwnedFd, RawFd},
        unix::ffi::OsStrExt,
    },
};

use rustix::{
    net::{
        AddressFamily, SocketAddrAny, SocketAddrUnix, SocketType, getpeername, getsockname, sockopt,
    },
    process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open},
};

use super::Kind;

/// Well-known peers of a desktop app.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Service {
    /// The D-Bus session bus.
    SessionBus,
    /// The D-Bus system bus.
    SystemBus,
    /// The D-Bus bus of assistive technologies.
    AccessibilityBus,
    /// The X server.
    X11,
    /// The Wayland compositor.
    Wayland,
    /// PulseAudio or PipeWire.
    Sound,
    /// The system's log.
    Log,
}

impl Service {
    /// Its name for a person.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SessionBus => "session bus",
            Self::SystemBus => "system bus",
            Self::AccessibilityBus => "accessibility bus",
            Self::X11 => "X11 display",
            Self::Wayland => "Wayland display",
            Self::Sound => "sound server",
            Self::Log => "system log",
        }
    }
}

pub(super) struct Socket {
    pub(super) kind: Kind,
    pub(super) description: String,
    pub(super) service: Option<Service>,
}

impl Socket {
    fn new(kind: Kind, description: impl Into<String>) -> Self {
        Self {
            kind,
            description: description.into(),
            service: None,
        }
    }
}

pub(super) fn look_at(pid: u32, number: RawFd) -> Socket {
    let Some(socket) = borrow(pid, number) else {
        return Socket::new(Kind::Socket, "socket");
    };
    let family = sockopt::socket_domain(&socket).ok();
    let stream = sockopt::socket_type(&socket).is_ok_and(|kind| kind == SocketType::STREAM);
    match family {
        Some(AddressFamily::UNIX) => unix(&socket),
        Some(AddressFamily::INET | AddressFamily::INET6) if stream => {
            internet(&socket, Kind::TcpSocket, "TCP")
        }
        Some(AddressFamily::INET | AddressFamily::INET6) => {
            internet(&socket, Kind::UdpSocket, "UDP")
        }
        Some(AddressFamily::NETLINK) => Socket::new(Kind::Socket, "netlink socket"),
        _ => Socket::new(Kind::Socket, "socket"),
    }
}

/// A duplicate of another process' descriptor, close-on-exec, and gone when this look is over.
fn borrow(pid: u32, number: RawFd) -> Option<OwnedFd> {
    let process = Pid::from_raw(pid.try_into().ok()?)?;
    let process = pidfd_open(process, PidfdFlags::empty()).ok()?;
    pidfd_getfd(process, number, PidfdGetfdFlags::empty()).ok()
}

fn unix(socket: &OwnedFd) -> Socket {
    let peer = getpeername(socket).ok().flatten();
    if let Some(peer) = peer.and_then(name) {
        let service = service(&peer);
        let known = service.map_or(String::new(), |service| format!(" ({})", service.name()));
        return Socket {
            kind: Kind::UnixSocket,
            description: format!("connected to {peer}{known}"),
            service,
        };
    }
    let own = getsockname(socket).ok().and_then(name);
    let listens = sockopt::socket_acceptconn(socket).unwrap_or(false);
    Socket::new(
        Kind::UnixSocket,
        match own {
            Some(own) if listens => format!("listens at {own}"),
            Some(own) => format!("Unix socket {own}"),
            None => "Unix socket without a name".into(),
        },
    )
}

/// A Unix address as people write it, with `@` for the abstract ones.
fn name(address: SocketAddrAny) -> Option<String> {
    let address = SocketAddrUnix::try_from(address).ok()?;
    let shown = |bytes: &[u8]| OsStr::from_bytes(bytes).to_string_lossy().into_owned();
    match (address.path_bytes(), address.abstract_name()) {
        (Some(path), _) => Some(shown(path)),
        // An empty name is none: the other end of a socketpair.
        (None, Some(name)) if !name.is_empty() => Some(format!("@{}", shown(name))),
        _ => None,
    }
}

/// Known by its address: those of the app's own session first, then the customary ones.
fn service(address: &str) -> Option<Service> {
    let by_variable = [
        ("DBUS_SESSION_BUS_ADDRESS", Service::SessionBus),
        ("DBUS_SYSTEM_BUS_ADDRESS", Service::SystemBus),
        ("AT_SPI_BUS_ADDRESS", Service::AccessibilityBus),
    ]
    .into_iter()
    .find(|(variable, _)| {
        std::env::var(variable).is_ok_and(|buses| names_address(&buses, address))
    });
    if let Some((_, service)) = by_variable {
        return Some(service);
    }
    let (folder, file) = address.rsplit_once('/').unwrap_or(("", address));
    match file {
        "bus" if folder.starts_with("/run/user/") => Some(Service::SessionBus),
        "system_bus_socket" => Some(Service::SystemBus),
        _ if folder.contains("/at-spi") => Some(Service::AccessibilityBus),
        _ if folder.ends_with("/.X11-unix") => Some(Service::X11),
        _ if file.starts_with("wayland-") => Some(Service::Wayland),
        _ if file.starts_with("pipewire-") => Some(Service::Sound),
        "native" if folder.ends_with("/pulse") => Some(Service::Sound),
        _ if folder.ends_with("/systemd/journal") || address == "/dev/log" => Some(Service::Log),
        _ => None,
    }
}

/// Whether a list of D-Bus addresses, such as `unix:path=/run/user/1000/bus;…`, names this Unix address.
fn names_address(buses: &str, address: &str) -> bool {
    buses
        .split([';', ',', ':'])
        .any(|part| match part.split_once('=') {
            Some(("path", path)) => path == address,
            Some(("abstract", name)) => address.strip_prefix('@') == Some(name),
            _ => false,
        })
}

fn internet(socket: &OwnedFd, kind: Kind, name: &str) -> Socket {
    let address = |address: SocketAddrAny| SocketAddr::try_from(address).ok();
    let peer = getpeername(socket).ok().flatten().and_then(address);
    let own = getsockname(socket).ok().and_then(address);
    let listens = sockopt::socket_acceptconn(socket).unwrap_or(false);
    Socket::new(
        kind,
        match (peer, own) {
            (Some(peer), _) => format!("{name} connection to {peer}"),
            (None, Some(own)) if listens => format!("{name} socket listening at {own}"),
            (None, Some(own)) if own.port() != 0 => format!("{name} socket at {own}"),
            _ => format!("{name} socket"),
        },
    )
}
