//! The child's environment: the app's variables, without those that are meant for the app alone.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, OsString};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;

use super::error::{SpawnError, Step};
use crate::text::{Text, text};

/// Variables that a child never gets from the app by inheritance, only by
/// [`Plan::env`](super::Plan::env).
///
/// Each names a descriptor that the child does not have, or a token that only the app may use, and
/// once. The same holds for every variable with [`named_descriptors`].
pub const ONE_SHOT_VARIABLES: &[&str] = &[
    // wl_display_connect(3): a connected descriptor.
    "WAYLAND_SOCKET",
    // sd_listen_fds(3): descriptors from 3 on, meant for one process.
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
    // sd_notify(3): a child would speak in the name of the app's service.
    "NOTIFY_SOCKET",
    "FDSTORE",
    // sd_watchdog_enabled(3).
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    // D-Bus specification, "Starting services": the app was activated, the child was not.
    "DBUS_STARTER_ADDRESS",
    "DBUS_STARTER_BUS_TYPE",
    // Startup notification and xdg-activation: one window's right to take the focus.
    "DESKTOP_STARTUP_ID",
    "XDG_ACTIVATION_TOKEN",
    // The session manager's: one program's registration.
    "DESKTOP_AUTOSTART_ID",
    // The channel to a parent of Node.js, whose descriptor is in NODE_CHANNEL_FD.
    "NODE_CHANNEL_SERIALIZATION_MODE",
    // GDesktopAppInfo: which launcher started the app.
    "GIO_LAUNCHED_DESKTOP_FILE",
    "GIO_LAUNCHED_DESKTOP_FILE_PID",
];

/// What the plan changes in the environment.
#[derive(Debug, Default)]
pub(super) struct Environment {
    cleared: bool,
    /// `None`: the variable is removed.
    changes: BTreeMap<OsString, Option<OsString>>,
}

impl Environment {
    pub(super) fn set(&mut self, name: OsString, value: OsString) {
        self.changes.insert(name, Some(value));
    }

    pub(super) fn remove(&mut self, name: OsString) {
        self.changes.insert(name, None);
    }

    pub(super) fn clear(&mut self) {
        self.cleared = true;
        self.changes.clear();
    }

    /// The strings `NAME=value` for the child, built from the app's variables as they are now.
    pub(super) fn strings(&self) -> Result<Strings, SpawnError> {
        let mut strings = Strings::with_capacity();
        if !self.cleared {
            // Under the lock that `std::env::set_var` takes; a walk over `environ` would not be.
            for (name, value) in std::env::vars_os() {
                if !is_one_shot(&name, &value) && !self.changes.contains_key(&name) {
                    strings.push(&[name.as_bytes(), b"=", value.as_bytes()]);
                }
            }
        }
        for (name, value) in &self.changes {
            let Some(value) = value else { continue };
            check(name, value)?;
            strings.push(&[name.as_bytes(), b"=", value.as_bytes()]);
        }
        Ok(strings)
    }
}

/// C strings in one block of memory: dozens are made while the thread that starts a child waits.
#[derive(Debug, Default)]
pub(super) struct Strings {
    block: Vec<u8>,
    starts: Vec<usize>,
}

impl Strings {
    /// With the capacity that a desktop's environment needs.
    fn with_capacity() -> Self {
        Strings {
            block: Vec::with_capacity(8 * 1024),
            starts: Vec::with_capacity(128),
        }
    }

    /// Adds one, made of parts that contain no NUL byte.
    fn push(&mut self, parts: &[&[u8]]) {
        self.starts.push(self.block.len());
        for part in parts {
            self.block.extend_from_slice(part);
        }
        self.block.push(0);
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &CStr> {
        self.starts.iter().map(|start| {
            CStr::from_bytes_until_nul(&self.block[*start..]).expect("`push` ends each with NUL")
        })
    }
}

fn is_one_shot(name: &OsStr, value: &OsStr) -> bool {
    ONE_SHOT_VARIABLES.iter().any(|one_shot| name == *one_shot)
        || !named_descriptors(name, value).is_empty()
}

/// The first descriptor of sd_listen_fds(3).
const LISTEN_FDS_START: RawFd = 3;
/// More than anybody passes; the number in a variable can be any.
const LISTEN_FDS_MOST: usize = 64;

/// The descriptors that a variable names, by its own name and its value. A child does not have
/// them, and does not inherit the variable.
///
/// Known are `LISTEN_FDS` (sd_listen_fds(3)), `WAYLAND_SOCKET`, `BASH_XTRACEFD`, the jobserver of
/// make in `MAKEFLAGS`, `MFLAGS` and `CARGO_MAKEFLAGS`, and numbers in variables whose names end in
/// `_FD`, such as `NODE_CHANNEL_FD` and `BORG_PASSPHRASE_FD`.
pub fn named_descriptors(name: &OsStr, value: &OsStr) -> Vec<RawFd> {
    let number = |text: &str| text.parse().ok().filter(|number: &RawFd| *number >= 0);
    // Few values are looked at, and each start asks this of every variable.
    let value = || value.to_str().unwrap_or_default();
    match name.as_bytes() {
        b"LISTEN_FDS" => {
            let count = number(value()).unwrap_or_default();
            let end = LISTEN_FDS_START.saturating_add(count);
            (LISTEN_FDS_START..end).take(LISTEN_FDS_MOST).collect()
        }
        b"MAKEFLAGS" | b"MFLAGS" | b"CARGO_MAKEFLAGS" => value()
            .split_ascii_whitespace()
            .filter_map(|flag| {
                flag.strip_prefix("--jobserver-auth=")
                    .or_else(|| flag.strip_prefix("--jobserver-fds="))
            })
            .flat_map(|pair| pair.split(',').filter_map(number))
            .collect(),
        b"WAYLAND_SOCKET" | b"BASH_XTRACEFD" => number(value()).into_iter().collect(),
        name if name.ends_with(b"_FD") => number(value()).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn check(name: &OsStr, value: &OsStr) -> Result<(), SpawnError> {
    let has_nul = |text: &OsStr| text.as_bytes().contains(&0);
    let shown = Text::quoted(name);
    let sentence = if name.is_empty() {
        text!(
            "the environment variable {name} has an empty name",
            name = shown
        )
    } else if name.as_bytes().contains(&b'=') {
        text!(
            "the environment variable {name} has a '=' in its name",
            name = shown
        )
    } else if has_nul(name) || has_nul(value) {
        text!(
            "the environment variable {name} contains a NUL byte",
            name = shown
        )
    } else {
        return Ok(());
    };
    Err(SpawnError::refused(Step::Environment, sentence))
}
