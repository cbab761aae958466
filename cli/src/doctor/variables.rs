//! Variables that name a descriptor, or a token for one use.

use std::ffi::OsStr;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;

use legwork::spawn::{ONE_SHOT_VARIABLES, named_descriptors};
use legwork_inspect::DescriptorInfo;

use super::subject::Subject;

/// A variable that a child should not inherit.
pub(super) struct Variable {
    pub(super) name: String,
    /// `None` for a token: it is nobody's business.
    pub(super) value: Option<String>,
    /// The descriptors that it names.
    pub(super) names: Vec<Named>,
    /// What a child that finds it believes.
    pub(super) belief: &'static str,
}

/// A descriptor that a variable names.
pub(super) struct Named {
    pub(super) number: RawFd,
    /// What is open there now; `None`: nothing.
    pub(super) is: Option<String>,
}

/// Those in the environment that the process was started with. What it has changed since cannot be seen from outside.
pub(super) fn of(subject: &Subject, open: &[DescriptorInfo]) -> io::Result<Vec<Variable>> {
    let environment = std::fs::read(subject.file("environ"))?;
    let variables = environment.split(|byte| *byte == 0).filter_map(|variable| {
        let at = variable.iter().position(|byte| *byte == b'=')?;
        let text = |bytes| OsStr::from_bytes(bytes).to_string_lossy().into_owned();
        Some((text(&variable[..at]), text(&variable[at + 1..])))
    });
    Ok(variables
        .filter_map(|(name, value)| judge(name, value, open))
        .collect())
}

fn judge(name: String, value: String, open: &[DescriptorInfo]) -> Option<Variable> {
    let numbers = named_descriptors(name.as_ref(), value.as_ref());
    if numbers.is_empty() && !ONE_SHOT_VARIABLES.contains(&&*name) {
        return None;
    }
    let names = numbers.into_iter().map(|number| {
        let info = open.iter().find(|info| info.number == number);
        let is = info.map(|info| info.description.clone());
        Named { number, is }
    });
    let is_token = ["DESKTOP_STARTUP_ID", "XDG_ACTIVATION_TOKEN"].contains(&&*name);
    Some(Variable {
        belief: belief(&name),
        names: names.collect(),
        value: (!is_token).then_some(value),
        name,
    })
}

fn belief(name: &str) -> &'static str {
    match name {
        "WAYLAND_SOCKET" => "that its connection to the compositor is there",
        "LISTEN_FDS" | "LISTEN_FDNAMES" | "LISTEN_PID" | "LISTEN_PIDFDID" => {
            "that systemd has handed it sockets, from 3 on"
        }
        "NOTIFY_SOCKET" | "FDSTORE" => "that it is the service, and speaks to systemd in its name",
        "WATCHDOG_PID" | "WATCHDOG_USEC" => "that it has to feed the watchdog of the service",
        "DBUS_STARTER_ADDRESS" | "DBUS_STARTER_BUS_TYPE" => "that the bus has activated it",
        "DESKTOP_STARTUP_ID" | "XDG_ACTIVATION_TOKEN" => {
            "that the right to take the focus, once, is its own"
        }
        "GIO_LAUNCHED_DESKTOP_FILE" | "GIO_LAUNCHED_DESKTOP_FILE_PID" => {
            "that the launcher started it"
        }
        "DESKTOP_AUTOSTART_ID" => "that the session manager started it",
        "NODE_CHANNEL_FD" | "NODE_CHANNEL_SERIALIZATION_MODE" => {
            "that a parent of Node.js speaks to it"
        }
        "MAKEFLAGS" | "MFLAGS" | "CARGO_MAKEFLAGS" => "that the jobserver of make is there",
        _ => "that what is meant for it is there",
    }
}
