//! The session bus: the existing one, or one for this test.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A session bus. A bus that was started for the test ends with it.
#[derive(Debug)]
pub struct SessionBus {
    address: String,
    daemon: Option<Child>,
}

impl SessionBus {
    /// The variable in which programs look for its address.
    pub const VARIABLE: &str = "DBUS_SESSION_BUS_ADDRESS";

    /// Returns the session's own bus if this process has one, otherwise a new one.
    pub fn get() -> Self {
        if let Ok(address) = std::env::var(Self::VARIABLE) {
            return Self {
                address,
                daemon: None,
            };
        }
        let mut daemon = Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--nopidfile", "--print-address=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon, where there is no session bus");
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().expect("piped above"))
            .read_line(&mut address)
            .expect("the address of the bus");
        Self {
            address: address.trim().to_owned(),
            daemon: Some(daemon),
        }
    }

    /// Returns its address.
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for SessionBus {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}
