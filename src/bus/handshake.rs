//! The server's side of D-Bus authentication, for a socket whose other end was handed to a child.
//!
//! Who it is follows from who was handed the descriptor, so nothing is verified: every mechanism that needs no secret is
//! accepted. What is settled is whether descriptors may be passed, and where the messages begin. zbus's own server would
//! look up the groups of the peer, in another thread.
//!
//! The specification: <https://dbus.freedesktop.org/doc/dbus-specification.html#auth-protocol>.

use std::io;

use zbus::Guid;

use super::socket::Socket;

/// The longest line that a peer may send, and how many.
const LINE_MAX: usize = 1024;
const LINES_MAX: usize = 32;

/// Where the conversation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begins,
    WaitsForData,
    WaitsForBegin { descriptors: bool },
}

/// What is to be done about a line.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Answer(String, State),
    /// The messages begin.
    Done {
        descriptors: bool,
    },
    Fault(String),
}

/// What a line of the client leads to.
fn turn(state: State, line: &str, guid: &str) -> Turn {
    let mut words = line.split(' ');
    let command = words.next().unwrap_or_default();
    let (first, second) = (words.next(), words.next());
    let accepted = || {
        let state = State::WaitsForBegin { descriptors: false };
        Turn::Answer(format!("OK {guid}"), state)
    };
    match (state, command, first) {
        (State::WaitsForBegin { descriptors }, "BEGIN", None) => Turn::Done { descriptors },
        (_, "BEGIN", _) => Turn::Fault("it began before it had authenticated".to_owned()),
        (State::WaitsForBegin { .. }, "NEGOTIATE_UNIX_FD", None) => Turn::Answer(
            "AGREE_UNIX_FD".to_owned(),
            State::WaitsForBegin { descriptors: true },
        ),
        (State::Begins, "AUTH", Some("ANONYMOUS")) => accepted(),
        (State::Begins, "AUTH", Some("EXTERNAL")) if second.is_some() => accepted(),
        (State::Begins, "AUTH", Some("EXTERNAL")) => {
            Turn::Answer("DATA".to_owned(), State::WaitsForData)
        }
        (State::WaitsForData, "DATA", _) => accepted(),
        (_, "AUTH" | "CANCEL" | "ERROR", _) => {
            Turn::Answer("REJECTED EXTERNAL ANONYMOUS".to_owned(), State::Begins)
        }
        _ => Turn::Answer("ERROR".to_owned(), state),
    }
}

/// Authenticates the client at the other end. Returns whether it takes descriptors.
pub(super) async fn serve(socket: &Socket, guid: &Guid<'_>) -> io::Result<bool> {
    let mut state = State::Begins;
    for number in 0..LINES_MAX {
        let line = socket.line(LINE_MAX).await?;
        let line = match number {
            0 => line
                .strip_prefix(b"\0")
                .ok_or_else(|| fault("its first byte is not 0"))?,
            _ => &line[..],
        };
        let line = std::str::from_utf8(line).map_err(|_| fault("a line of it is not text"))?;
        match turn(state, line, guid.as_str()) {
            Turn::Answer(answer, next) => {
                socket.send(format!("{answer}\r\n").as_bytes()).await?;
                state = next;
            }
            Turn::Done { descriptors } => return Ok(descriptors),
            Turn::Fault(said) => return Err(fault(&said)),
        }
    }
    Err(fault("it went on for too long"))
}

fn fault(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("it does not authenticate as a D-Bus client: {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the answers to these lines, and how it ends.
    fn talk(lines: &[&str]) -> (Vec<String>, Option<Result<bool, String>>) {
        let (mut state, mut answers) = (State::Begins, Vec::new());
        for line in lines {
            match turn(state, line, "1234") {
                Turn::Answer(answer, next) => {
                    answers.push(answer);
                    state = next;
                }
                Turn::Done { descriptors } => return (answers, Some(Ok(descriptors))),
                Turn::Fault(said) => return (answers, Some(Err(said))),
            }
        }
        (answers, None)
    }

    #[test]
    fn the_clients_that_there_are_get_through() {
        let (ok, agree) = ("OK 1234".to_owned(), "AGREE_UNIX_FD".to_owned());
        // zbus, libdbus.
        let zbus = ["AUTH EXTERNAL 31303030", "NEGOTIATE_UNIX_FD", "BEGIN"];
        assert_eq!(
            talk(&zbus),
            (vec![ok.clone(), agree.clone()], Some(Ok(true)))
        );
        // sd-bus.
        let sd_bus = ["AUTH EXTERNAL", "DATA", "NEGOTIATE_UNIX_FD", "BEGIN"];
        let answers = vec!["DATA".to_owned(), ok.clone(), agree.clone()];
        assert_eq!(talk(&sd_bus), (answers, Some(Ok(true))));
        // GDBus asks for the mechanisms first.
        let gdbus = ["AUTH", "AUTH EXTERNAL 30", "NEGOTIATE_UNIX_FD", "BEGIN"];
        let rejected = "REJECTED EXTERNAL ANONYMOUS".to_owned();
        let answers = vec![rejected.clone(), ok.clone(), agree];
        assert_eq!(talk(&gdbus), (answers, Some(Ok(true))));
        // Without descriptors, and by a mechanism that is not there.
        let other = ["AUTH DBUS_COOKIE_SHA1 00", "AUTH ANONYMOUS", "BEGIN"];
        assert_eq!(talk(&other), (vec![rejected, ok], Some(Ok(false))));
    }

    #[test]
    fn nobody_begins_before_it_is_accepted() {
        assert!(matches!(talk(&["BEGIN"]).1, Some(Err(_))));
        assert!(matches!(talk(&["AUTH EXTERNAL", "BEGIN"]).1, Some(Err(_))));
        let cancelled = ["AUTH ANONYMOUS", "CANCEL", "BEGIN"];
        assert!(matches!(talk(&cancelled).1, Some(Err(_))));
        assert_eq!(talk(&["NEGOTIATE_UNIX_FD"]).0, ["ERROR"]);
        assert_eq!(talk(&["", "HELO", "\u{0}"]).0, ["ERROR"; 3]);
    }
}
