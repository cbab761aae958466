//! A session bus for one test, which may stop it, kill it, or let others in.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use legwork::gio::{Cancellable, DBusConnection, DBusConnectionFlags};
use rustix::process::{Pid, Signal, kill_process};

/// A bus that ends with the test.
#[derive(Debug)]
pub struct PrivateBus {
    address: String,
    daemon: Child,
}

impl PrivateBus {
    /// Starts a session bus.
    pub fn start() -> Self {
        Self::start_with(&["--session"])
    }

    /// Starts a bus with these arguments of dbus-daemon(1).
    pub fn start_with(arguments: &[&str]) -> Self {
        let mut daemon = Command::new("dbus-daemon")
            .args(arguments)
            .args(["--nofork", "--nopidfile", "--print-address=1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon");
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().expect("piped above"))
            .read_line(&mut address)
            .expect("the address of the bus");
        let address = address.trim().to_owned();
        assert!(!address.is_empty(), "dbus-daemon has not started");
        Self { address, daemon }
    }

    /// Returns its address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns a new connection to it.
    pub fn connect(&self) -> DBusConnection {
        let flags = DBusConnectionFlags::AUTHENTICATION_CLIENT
            | DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
        DBusConnection::for_address_sync(&self.address, flags, None, Cancellable::NONE)
            .expect("a connection to the bus")
    }

    /// Sends the daemon a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.daemon), signal).expect("it has not been reaped");
    }

    /// Kills the daemon.
    pub fn kill(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

impl Drop for PrivateBus {
    fn drop(&mut self) {
        self.kill();
    }
}
