//! Jobs that serve an interface to their app, or misbehave at some step of it.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use legwork::Ctx;
use legwork::bus::PeerEnd;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::{Deserialize, Serialize};
use zbus::Message;

use crate::subject::{PATH, Subject};

/// What the job does with its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum How {
    /// Serves until the app closes the connection.
    Serve,
    /// Kills itself before it has said anything.
    DieFirst,
    /// Kills itself in the middle of the authentication.
    DieInAuthentication,
    /// Panics with its end in its hands.
    Panic,
    /// Closes its end and returns.
    Return,
    /// Says nothing, and runs on until it is stopped.
    SayNothing,
    /// Says what is not D-Bus.
    Garbage,
    /// Authenticates, and then sends what is at fault.
    Send(Fault),
    /// Sends signals until the app has had enough.
    Flood,
}

/// A message that is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Fault {
    /// The header of a message of 128 MiB.
    Huge,
    /// A message that is one byte longer than the limit, whole.
    JustTooLong,
    /// A type that is not known.
    UnknownType,
    /// A body that is not what its signature says.
    WrongBody,
    /// Bytes that are no message.
    NoMessage,
    /// 253 descriptors, and again.
    Descriptors,
    /// Half a message.
    Half,
}

/// See [`How`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Serve {
    /// Its end of the connection.
    pub bus: PeerEnd,
    /// What it does.
    pub how: How,
}

impl legwork::Job for Serve {
    type Message = ();
    type Output = ();
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn run(self, cx: &Ctx<Self>) -> Result<(), Self::Error> {
        match self.how {
            How::Serve => {
                (self.bus).serve(cx, |builder| builder.serve_at(PATH, Subject))?;
                Ok(cx.check()?)
            }
            How::DieFirst => std::process::abort(),
            How::Panic => panic!("on purpose"),
            How::Return => Ok(()),
            how => misbehave(how, self.bus.into(), cx),
        }
    }
}

type Result<T, E> = std::result::Result<T, E>;

fn misbehave(
    how: How,
    mut socket: UnixStream,
    cx: &Ctx<Serve>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    match how {
        How::DieInAuthentication => {
            socket.write_all(b"\0AUTH EXTER")?;
            std::process::abort();
        }
        How::Garbage => {
            // Until the app has closed its end.
            let noise: Vec<u8> = (0..=255).cycle().take(1 << 16).collect();
            while socket.write_all(&noise).is_ok() {}
        }
        How::Send(fault) => {
            authenticate(&mut socket)?;
            send(fault, &mut socket)?;
            wait(cx);
        }
        How::Flood => {
            authenticate(&mut socket)?;
            let signal = signal()?;
            // Many in one write, as fast as it goes.
            let many = signal.data().repeat(1000);
            while socket.write_all(&many).is_ok() {}
        }
        _ => wait(cx),
    }
    Ok(())
}

fn wait(cx: &Ctx<Serve>) {
    while !cx.is_cancelled() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn authenticate(socket: &mut UnixStream) -> std::io::Result<()> {
    socket.write_all(b"\0AUTH ANONYMOUS\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")?;
    let mut answers = 0;
    let mut byte = [0];
    while answers < 2 {
        socket.read_exact(&mut byte)?;
        answers += usize::from(byte == *b"\n");
    }
    Ok(())
}

fn signal() -> zbus::Result<Message> {
    Message::signal(PATH, "org.legwork.Subject", "Flooded").build(&("a signal",))
}

fn send(
    fault: Fault,
    socket: &mut UnixStream,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let good = signal()?.data().to_vec();
    let mut bytes = good.clone();
    match fault {
        Fault::Huge => {
            bytes[4..8].copy_from_slice(&(128u32 << 20).to_le_bytes());
            bytes.truncate(16);
        }
        Fault::JustTooLong => {
            let rest = bytes.len();
            bytes = Message::signal(PATH, "org.legwork.Subject", "Flooded")
                .build(&("x".repeat((1 << 20) + 1 - rest + "a signal".len()),))?
                .data()
                .to_vec();
            assert_eq!(bytes.len(), (1 << 20) + 1);
        }
        Fault::UnknownType => bytes[1] = 9,
        Fault::WrongBody => {
            // The length of the string: more than the body has.
            let body = bytes.len() - "a signal".len() - 1 - 4;
            bytes[body..body + 4].copy_from_slice(&1000u32.to_le_bytes());
        }
        Fault::NoMessage => bytes = b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        Fault::Half => bytes.truncate(bytes.len() - 3),
        Fault::Descriptors => {
            let null = OwnedFd::from(std::fs::File::open("/dev/null")?);
            let many = [null.as_fd(); 253];
            let mut space =
                vec![std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
            loop {
                let mut control = SendAncillaryBuffer::new(&mut space);
                control.push(SendAncillaryMessage::ScmRights(&many));
                let parts = [std::io::IoSlice::new(&good)];
                if sendmsg(&*socket, &parts, &mut control, SendFlags::NOSIGNAL).is_err() {
                    return Ok(());
                }
            }
        }
    }
    // The app may close its end in the middle.
    let _ = socket.write_all(&bytes);
    if fault == Fault::Half {
        let _ = socket.shutdown(std::net::Shutdown::Write);
    }
    Ok(())
}

/// Asks the session bus for its own name there.
#[derive(Debug, Serialize, Deserialize)]
pub struct AskTheBus;

impl legwork::Job for AskTheBus {
    type Message = ();
    type Output = String;
    type Error = legwork::bus::ConnectError;

    fn run(self, _: &Ctx<Self>) -> Result<String, Self::Error> {
        let context = legwork::glib::MainContext::new();
        let ask = async {
            let connection = legwork::bus::session().await?;
            Ok(connection
                .unique_name()
                .map(ToString::to_string)
                .unwrap_or_default())
        };
        context
            .with_thread_default(|| context.block_on(ask))
            .expect("nobody else has it")
    }
}

legwork::jobs! {
    /// The jobs of the worker program.
    pub static JOBS = [Serve, AskTheBus];
}
