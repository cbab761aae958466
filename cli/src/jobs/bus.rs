//! A connection to the session bus: blocking, on this thread.
//!
//! `legwork run` is this program as well and has to start fast, so there is neither GIO nor an executor in it: what is
//! sent are calls with at most one string, what comes is read one message after another.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use zbus::wire::serialized::{Context, Data};
use zbus::wire::{BE, LE, to_bytes};
use zbus::{Type, Variant};

use super::address;

/// The name, and the interface, of the bus itself.
pub(super) const BUS: &str = "org.freedesktop.DBus";
const BUS_PATH: &str = "/org/freedesktop/DBus";

/// How long the bus may take for what it does itself.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// The longest message that is read; what is longer is left out, whoever has sent it.
const LONGEST: usize = 16 << 20;
/// The longest message of all.
const PERMITTED: usize = 128 << 20;
/// The bytes of a message of which the length of the whole follows.
const FIXED: usize = 16;

/// The types of a message.
const CALL: u8 = 1;
const REPLY: u8 = 2;
const ERROR: u8 = 3;
/// The fields of a header.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SENDER: u8 = 7;
const SIGNATURE: u8 = 8;

/// See the module.
pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
    unread: Vec<u8>,
    /// So many bytes that are still to come are left out.
    left_out: usize,
}

/// A message that was received.
#[derive(Default)]
pub(super) struct Message {
    pub(super) path: String,
    pub(super) interface: String,
    pub(super) member: String,
    pub(super) sender: String,
    /// The serial of the call that it answers; 0 if it answers none.
    pub(super) reply_to: u32,
    /// The name of the error, if it is one.
    pub(super) error: Option<String>,
    signature: String,
    body: Vec<u8>,
    is_big_endian: bool,
}

impl Message {
    /// Returns its arguments, if they have these types.
    pub(super) fn arguments<T: DeserializeOwned + Type>(&self) -> Option<T> {
        let expected = T::SIGNATURE.to_string_no_parens();
        if expected != self.signature {
            return None;
        }
        let endian = if self.is_big_endian { BE } else { LE };
        let body = Data::new(&self.body[..], Context::new(endian, 0));
        Some(body.deserialize().ok()?.0)
    }
}

impl Bus {
    /// Connects to the session bus, and says hello.
    pub(super) fn connect() -> Result<Self, String> {
        let failed = |why: String| format!("the session bus cannot be reached: {why}");
        let said = |error: std::io::Error| match error.kind() {
            ErrorKind::WouldBlock => failed("it does not answer".to_owned()),
            _ => failed(error.to_string()),
        };
        let mut stream = address::connect().map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(said)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(said)?;
        // Who this is the bus asks the kernel.
        stream
            .write_all(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")
            .map_err(said)?;
        for expected in ["DATA", "OK "] {
            let line = line(&mut stream).map_err(said)?;
            if !line.starts_with(expected) {
                return Err(failed("it has refused this user".to_owned()));
            }
        }
        let mut bus = Bus {
            stream,
            serial: 0,
            unread: Vec::new(),
            left_out: 0,
        };
        let hello = bus.ask("Hello", None)?;
        match bus.answer(hello)? {
            Some(reply) if reply.error.is_none() => Ok(bus),
            _ => Err(failed("it has not said hello".to_owned())),
        }
    }

    /// Calls a method of the bus itself, and returns the serial.
    pub(super) fn ask(&mut self, method: &str, argument: Option<&str>) -> Result<u32, String> {
        self.call(BUS, BUS_PATH, BUS, method, argument)
    }

    /// Calls a method, and returns the serial of the call.
    pub(super) fn call(
        &mut self,
        destination: &str,
        path: &str,
        interface: &str,
        method: &str,
        argument: Option<&str>,
    ) -> Result<u32, String> {
        self.serial += 1;
        let message = call(self.serial, destination, path, interface, method, argument)
            .map_err(|error| format!("{method} cannot be called: {error}"))?;
        let sent = self.stream.write_all(&message);
        sent.map_err(|error| format!("the session bus takes no more calls: {error}"))?;
        Ok(self.serial)
    }

    /// Waits for the answer to a call. Whatever comes before it is ignored. `None` if the time is over.
    pub(super) fn answer(&mut self, serial: u32) -> Result<Option<Message>, String> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.receive(Some(until))? {
                Some(message) if message.reply_to != serial => (),
                answer => return Ok(answer),
            }
        }
    }

    /// Waits for the next message, or until the time is over.
    pub(super) fn receive(&mut self, until: Option<Instant>) -> Result<Option<Message>, String> {
        loop {
            self.leave_out();
            match length(&self.unread)? {
                Some(length) if length > LONGEST => {
                    self.left_out = length;
                    continue;
                }
                Some(length) if length <= self.unread.len() => {
                    let rest = self.unread.split_off(length);
                    let message = std::mem::replace(&mut self.unread, rest);
                    return read(&message).map(Some);
                }
                _ => (),
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
            let failed = |error| format!("the session bus cannot be read: {error}");
            self.stream.set_read_timeout(left).map_err(failed)?;
            let mut bytes = [0; 16 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err("the session bus has closed the connection".to_owned()),
                Ok(count) => self.unread.extend_from_slice(&bytes[..count]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::Interrupted => (),
                    _ => return Err(failed(error)),
                },
            }
        }
    }

    fn leave_out(&mut self) {
        let here = self.left_out.min(self.unread.len());
        self.unread.drain(..here);
        self.left_out -= here;
    }
}

/// A line of the exchange before the first message; byte by byte, to leave what follows.
fn line(stream: &mut UnixStream) -> std::io::Result<String> {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while !line.ends_with(b"\r\n") && line.len() < 512 {
        stream.read_exact(&mut byte)?;
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

type Header<'a> = (u8, u8, u8, u8, u32, u32, Vec<(u8, Variant<'a>)>);

fn call(
    serial: u32,
    destination: &str,
    path: &str,
    interface: &str,
    method: &str,
    argument: Option<&str>,
) -> zbus::Result<Vec<u8>> {
    let little = Context::new(LE, 0);
    let body = argument.map(|text| to_bytes(little, text)).transpose()?;
    let body = body.as_ref().map_or(&[][..], |body| body.bytes());
    let mut fields = vec![
        (PATH, Variant::from(zbus::ObjectPath::try_from(path)?)),
        (INTERFACE, Variant::from(interface)),
        (MEMBER, Variant::from(method)),
        (DESTINATION, Variant::from(destination)),
    ];
    if argument.is_some() {
        fields.push((SIGNATURE, Variant::from(<&str>::SIGNATURE.clone())));
    }
    let header: Header<'_> = (b'l', CALL, 0, 1, body.len() as u32, serial, fields);
    let mut message = to_bytes(little, &header)?.bytes().to_vec();
    message.resize(message.len().next_multiple_of(8), 0);
    message.extend_from_slice(body);
    Ok(message)
}

/// The length of the message that these bytes begin with, once that is there.
fn length(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(fixed) = bytes.get(..FIXED) else {
        return Ok(None);
    };
    let number = |at: usize| {
        let bytes = [fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]];
        let number = match fixed[0] {
            b'B' => u32::from_be_bytes(bytes),
            _ => u32::from_le_bytes(bytes),
        };
        number as usize
    };
    let (body, fields) = (number(4), number(12));
    if !matches!(fixed[0], b'B' | b'l') || fields > PERMITTED || body > PERMITTED {
        return Err("the session bus has sent what is no message".to_owned());
    }
    Ok(Some((FIXED + fields).next_multiple_of(8) + body))
}

fn read(message: &[u8]) -> Result<Message, String> {
    let is_big_endian = message[0] == b'B';
    let endian = if is_big_endian { BE } else { LE };
    let data = Data::new(message, Context::new(endian, 0));
    let invalid = |error| format!("the session bus has sent an invalid message: {error}");
    let (header, length) = data.deserialize::<Header<'_>>().map_err(invalid)?;
    let (_, kind, _, _, _, _, fields) = header;
    let mut read = Message {
        body: message[length.next_multiple_of(8)..].to_vec(),
        is_big_endian,
        ..Message::default()
    };
    for (field, value) in fields {
        match (field, value) {
            (PATH, Variant::ObjectPath(path)) => read.path = path.as_str().to_owned(),
            (INTERFACE, Variant::Str(name)) => read.interface = name.to_string(),
            (MEMBER, Variant::Str(name)) => read.member = name.to_string(),
            (SENDER, Variant::Str(name)) => read.sender = name.to_string(),
            (ERROR_NAME, Variant::Str(name)) if kind == ERROR => {
                read.error = Some(name.to_string())
            }
            (REPLY_SERIAL, Variant::U32(serial)) if matches!(kind, REPLY | ERROR) => {
                read.reply_to = serial;
            }
            (SIGNATURE, Variant::Signature(signature)) => {
                read.signature = signature.to_string_no_parens();
            }
            _ => (),
        }
    }
    Ok(read)
}
