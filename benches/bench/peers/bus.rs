//! Calls by D-Bus to a child: on the main context, by zbus's own runtime with its helper thread, and by GDBus with its
//! worker. All by the same child, which runs zbus inside `block_on`. Built with the feature `bus`.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use gio::prelude::*;
use glib::MainContext;
use legwork::bus::{Peer, peer};
use legwork_benches::clock;
use zbus::connection::{Builder, Connection};
use zbus::{Guid, Message};

use super::native::{Child, Program, inherited_end};
use crate::Result;

const PATH: &str = "/org/legwork/Bench";
const INTERFACE: &str = "org.legwork.Bench";
const BYTES: [u8; 64] = [1; 64];

/// Starts the child of a control. Returns the app's end.
pub(crate) fn start(control: &str) -> Result<(Peer, Child)> {
    let (peer, end) = peer()?;
    let child = Program::new(&std::env::current_exe()?, &["--control", control])?
        .spawn_with_end(&OwnedFd::from(end))?;
    Ok((peer, child))
}

/// How the app's end is read.
pub(crate) enum Line {
    /// On the main context, or by zbus's helper thread: as the connection was built.
    Zbus(Connection),
    /// By zbus inside its own `block_on`, and no main loop: the least that a call can take.
    BlockOn(Connection),
    /// By GDBus's worker thread.
    Gdbus(gio::DBusConnection),
}

impl Line {
    pub(crate) fn on_the_context(context: &MainContext) -> Result<(Self, Child)> {
        let (peer, child) = start("bus")?;
        let connection = context.with_thread_default(|| context.block_on(peer.connect()))??;
        Ok((Self::Zbus(connection), child))
    }

    pub(crate) fn with_a_helper_thread(context: &MainContext) -> Result<(Self, Child)> {
        let (stream, child) = plain()?;
        let server = Builder::unix_stream(stream).server(Guid::generate()).p2p();
        Ok((Self::Zbus(context.block_on(server.build())?), child))
    }

    pub(crate) fn in_block_on() -> Result<(Self, Child)> {
        let (stream, child) = plain()?;
        let server = Builder::unix_stream(stream).server(Guid::generate()).p2p();
        Ok((Self::BlockOn(zbus::block_on(server.build())?), child))
    }

    pub(crate) fn by_gdbus(context: &MainContext) -> Result<(Self, Child)> {
        let (peer, child) = start("bus")?;
        let connection = context.with_thread_default(|| context.block_on(peer.connect_gio()))??;
        Ok((Self::Gdbus(connection), child))
    }

    /// Calls so often, one after the other, and returns the nanoseconds of each.
    pub(crate) fn call(&self, context: &MainContext, calls: usize) -> Result<Vec<f64>> {
        match self {
            Self::Zbus(connection) => context
                .with_thread_default(|| context.block_on(timed(calls, || zbus_call(connection))))?,
            Self::BlockOn(connection) => zbus::block_on(timed(calls, || zbus_call(connection))),
            Self::Gdbus(connection) => context.with_thread_default(|| {
                context.block_on(timed(calls, || gdbus_call(connection)))
            })?,
        }
    }
}

fn plain() -> Result<(UnixStream, Child)> {
    let (ours, theirs) = UnixStream::pair()?;
    let child = Program::new(&std::env::current_exe()?, &["--control", "bus"])?
        .spawn_with_end(&theirs.into())?;
    Ok((ours, child))
}

async fn timed<F: Future<Output = Result<()>>>(
    calls: usize,
    call: impl Fn() -> F,
) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let started = clock::now();
        call().await?;
        times.push((clock::now() - started) as f64);
    }
    Ok(times)
}

async fn zbus_call(connection: &Connection) -> Result<()> {
    let reply = connection
        .call_method(None::<&str>, PATH, Some(INTERFACE), "Echo", &(&BYTES[..],))
        .await?;
    let bytes: Vec<u8> = reply.body().deserialize()?;
    assert_eq!(bytes.len(), BYTES.len());
    Ok(())
}

async fn gdbus_call(connection: &gio::DBusConnection) -> Result<()> {
    let parameters = (BYTES.to_vec(),).to_variant();
    let reply = connection
        .call_future(
            None,
            PATH,
            INTERFACE,
            "Echo",
            Some(&parameters),
            None,
            gio::DBusCallFlags::NONE,
            -1,
        )
        .await?;
    let (bytes,) = reply.get::<(Vec<u8>,)>().ok_or("another type")?;
    assert_eq!(bytes.len(), BYTES.len());
    Ok(())
}

struct Service;

#[zbus::interface(name = "org.legwork.Bench")]
impl Service {
    fn echo(&self, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }
}

/// The child: serves until it is killed.
pub(crate) fn serve() -> Result<()> {
    let stream = UnixStream::from(inherited_end());
    zbus::block_on(async {
        let connection = Builder::unix_stream(stream)
            .p2p()
            .serve_at(PATH, Service)
            .build()
            .await?;
        connection.closed().await;
        Ok(())
    })
}

/// The child that sends signals as fast as they are read.
pub(crate) fn flood() -> Result<()> {
    let mut stream = UnixStream::from(inherited_end());
    stream.write_all(b"\0AUTH ANONYMOUS\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")?;
    let (mut answers, mut byte) = (0, [0]);
    while answers < 2 {
        stream.read_exact(&mut byte)?;
        answers += usize::from(byte == *b"\n");
    }
    let signal = Message::signal(PATH, INTERFACE, "Flooded").build(&(&BYTES[..],))?;
    let many = signal.data().repeat(1000);
    while stream.write_all(&many).is_ok() {}
    Ok(())
}
