//! Well-known services, recognized by their address.

use std::ffi::OsStr;

use procfs::process::Process;

/// Well-known services that desktop apps connect to.
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
    /// Returns its name for people.
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

/// The variables that say where a bus is.
const BUSES: [(&str, Service); 3] = [
    ("DBUS_SESSION_BUS_ADDRESS", Service::SessionBus),
    ("DBUS_SYSTEM_BUS_ADDRESS", Service::SystemBus),
    ("AT_SPI_BUS_ADDRESS", Service::AccessibilityBus),
];

/// The addresses of the buses, from the environment of a process.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Vec<(Service, String)>);

impl Addresses {
    /// Reads the environment that the process was started with, or our own if that is denied.
    pub(crate) fn of(pid: u32) -> Self {
        let theirs = Process::new(pid.cast_signed()).and_then(|process| process.environ());
        let variable = |name: &str| match &theirs {
            Ok(variables) => variables.get(OsStr::new(name)).cloned(),
            Err(_) => std::env::var_os(name),
        };
        let addresses = BUSES.iter().filter_map(|(name, service)| {
            let address = variable(name)?.into_string().ok()?;
            Some((*service, address))
        });
        Self(addresses.collect())
    }

    /// Returns the service with this address: first those in the environment, then the usual ones.
    pub(crate) fn service(&self, address: &str) -> Option<Service> {
        let told = self
            .0
            .iter()
            .find(|(_, buses)| names_address(buses, address));
        if let Some((service, _)) = told {
            return Some(*service);
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
            _ if folder.ends_with("/systemd/journal") || address == "/dev/log" => {
                Some(Service::Log)
            }
            _ => None,
        }
    }
}

/// Returns whether a list of D-Bus addresses, such as `unix:path=/run/user/1000/bus;…`, has this Unix address.
fn names_address(buses: &str, address: &str) -> bool {
    buses
        .split([';', ',', ':'])
        .any(|part| match part.split_once('=') {
            Some(("path", path)) => path == address,
            Some(("abstract", name)) => address.strip_prefix('@') == Some(name),
            _ => false,
        })
}
