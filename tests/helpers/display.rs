//! An X server: the existing one, or one for this test.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

/// An X server. A server that was started for the test ends with it.
#[derive(Debug)]
pub struct Display {
    name: String,
    server: Option<Child>,
}

impl Display {
    /// The variable in which programs look for its name.
    pub const VARIABLE: &str = "DISPLAY";

    /// Returns the session's own display if it accepts connections of this user, otherwise a new one.
    pub fn get() -> Self {
        if let Ok(name) = std::env::var(Self::VARIABLE)
            && connect(&name).is_ok()
        {
            return Self { name, server: None };
        }
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-nolisten", "tcp", "-noreset"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb, where there is no display");
        let mut number = String::new();
        BufReader::new(server.stdout.take().expect("piped above"))
            .read_line(&mut number)
            .expect("the number of the display");
        Self {
            name: format!(":{}", number.trim()),
            server: Some(server),
        }
    }

    /// Returns its name, such as `:7`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            // Terminated, not killed, so that it removes its lock and its socket.
            let pid = rustix::process::Pid::from_child(server);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = server.wait();
        }
    }
}

/// Connects a client: the first exchange of the X protocol, without authorization data.
///
/// # Errors
///
/// There is no such display on this machine, or it requires authorization.
pub fn connect(name: &str) -> std::io::Result<UnixStream> {
    let number = name
        .strip_prefix(':')
        .and_then(|name| name.split('.').next());
    let path = format!("/tmp/.X11-unix/X{}", number.ok_or(ErrorKind::NotFound)?);
    let mut stream = UnixStream::connect(path)?;
    // Little-endian, protocol 11.0, no name and no authorization data.
    let request = [b'l', 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    stream.write_all(&request)?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer)?;
    if answer[0] != 1 {
        return Err(ErrorKind::PermissionDenied.into());
    }
    let length = usize::from(u16::from_le_bytes([answer[6], answer[7]])) * 4;
    stream.read_exact(&mut vec![0; length])?;
    Ok(stream)
}
