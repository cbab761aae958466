//! A connection between an app and one child, over a socketpair.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use gio::DBusConnectionFlags as Flags;
use gio::prelude::*;
use rustix::io::ioctl_fionbio;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use serde::{Deserialize, Serialize};
use zbus::connection::Builder;
use zbus::{Connection, Guid};

use super::context::MainContext;
use super::error::{ConnectError, ConnectStep};
use super::handshake;
use super::open::{TIMEOUT, build, lacking, within};
use super::sleep::Sleep;
use super::socket::{Limits, Socket};
use crate::text::{Text, text};
use crate::wire::attach::Descriptor;
use crate::worker::{Ctx, Job};

/// How long a message of a peer may be, and with how many descriptors.
const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    descriptors: 16,
};
/// More cannot be sent at once: `SCM_MAX_FD` of the kernel.
const DESCRIPTORS_MAX: usize = 253;

/// How often a job that serves looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// Makes a private D-Bus connection between the app and one child: a socketpair, without a bus and without a socket in the
/// file system.
///
/// The first end is the app's. The second travels to the child: as a field of a job, or of a message or request, or as
/// `Command::fd(3, end)` of a program in any language. The child's end is a D-Bus *client*, as GDBus, libdbus, sd-bus and
/// zbus have it; the app's is the server. Both may then serve objects and call those of the other; there are no names, and
/// the destination of a call is ignored (zbus's proxies want one).
///
/// ```no_run
/// use legwork::bus::{self, PeerEnd};
/// use legwork::prelude::*;
///
/// struct Sums;
///
/// #[zbus::interface(
///     name = "org.example.Sums",
///     proxy(default_service = "org.example.Sums", default_path = "/org/example/Sums")
/// )]
/// impl Sums {
///     fn of(&self, numbers: Vec<u64>) -> u64 {
///         numbers.into_iter().sum()
///     }
/// }
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Serve {
///     bus: PeerEnd,
/// }
///
/// impl legwork::Job for Serve {
///     type Message = ();
///     type Output = ();
///     type Error = bus::ConnectError;
///
///     fn run(self, cx: &legwork::Ctx<Self>) -> Result<(), Self::Error> {
///         self.bus.serve(cx, |builder| builder.serve_at("/org/example/Sums", Sums))
///     }
/// }
///
/// legwork::jobs! { static JOBS = [Serve]; }
///
/// async fn in_the_app() -> Result<(), Box<dyn std::error::Error>> {
///     let (peer, end) = bus::peer()?;
///     let job = Serve { bus: end }.spawn();
///     let connection = peer.connect().await?;
///     let sums = SumsProxy::new(&connection).await?;
///     // If the worker dies meanwhile, the error is the job's own.
///     let sum = bus::call(job.status(), sums.of(vec![1, 2, 3])).await?;
///     assert_eq!(sum, 6);
///     Ok(())
/// }
/// # fn main() {}
/// ```
///
/// # Who is at the other end
///
/// Whoever was handed the descriptor, and whom it hands it on to. The credentials of a socketpair are those of the process
/// that made it, the app, so they say nothing, and are not looked at.
///
/// # Errors
///
/// `EMFILE`, `ENFILE`: no descriptor is left.
pub fn peer() -> io::Result<(Peer, PeerEnd)> {
    let (app, child) = socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    ioctl_fionbio(&app, true)?;
    let peer = Peer {
        socket: app,
        limits: LIMITS,
        timeout: TIMEOUT,
    };
    Ok((peer, PeerEnd(child.into())))
}

/// The app's end of a connection to one child. From [`peer`].
///
/// `Send` and `Sync`. Dropping it closes the connection.
#[derive(Debug)]
pub struct Peer {
    socket: OwnedFd,
    limits: Limits,
    timeout: Duration,
}

impl Peer {
    /// Sets how long a message of the child may be, with its header, in bytes. The default is 1 MiB. A longer one ends the
    /// connection before memory is taken for it.
    ///
    /// A `GDBusConnection` has a limit of its own, which is D-Bus's 128 MiB.
    pub fn message_limit(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// Sets how many descriptors may come with a message of the child, at most 253. The default is 16. More end the
    /// connection, and are never in the app.
    pub fn descriptor_limit(mut self, descriptors: usize) -> Self {
        self.limits.descriptors = descriptors.min(DESCRIPTORS_MAX);
        self
    }

    /// Sets how long to wait for the child to authenticate, which a job does when it uses its [`PeerEnd`]. The default is
    /// 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Opens the connection, on the main context of the thread that awaits it.
    ///
    /// # Errors
    ///
    /// [`ConnectStep::Authenticate`] if the child has ended, has closed its end, or does not speak D-Bus;
    /// [`ConnectStep::Timeout`].
    pub async fn connect(self) -> Result<Connection, ConnectError> {
        self.connect_with(|builder| builder).await
    }

    /// Opens the connection, and first sets what zbus's builder can set: the objects that the child may call from the first
    /// message on. A runtime that is set here is replaced.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_with(
        self,
        set: impl FnOnce(Builder<'static>) -> Builder<'static>,
    ) -> Result<Connection, ConnectError> {
        let what = || text!("the child");
        let context = MainContext::thread_default();
        let context = context.map_err(|error| lacking(&what(), error))?;
        let sleep = Sleep::new(context.executor(), self.timeout);
        let open = async {
            let socket = Socket::new(context.executor(), self.socket)?;
            let guid = Guid::generate();
            let descriptors = handshake::serve(&socket, &guid).await?;
            let socket = socket.split(self.limits, descriptors);
            let builder = set(Builder::authenticated_socket(socket, guid).p2p());
            builder.runtime(context.clone()).build().await
        };
        match within(sleep, open).await {
            Some(opened) => opened.map_err(|error| ConnectError::of(what(), error)),
            None => Err(ConnectError::late(what(), self.timeout)),
        }
    }

    /// Opens the connection as a `GDBusConnection`, for an app that uses GDBus. GIO's worker thread reads it.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_gio(self) -> Result<gio::DBusConnection, ConnectError> {
        let what = || text!("the child");
        let fault = |error: glib::Error| {
            let text = text!(
                "{service} does not authenticate this connection: {error}",
                service = what(),
                error = Text::of(error.message())
            );
            ConnectError::new(ConnectStep::Authenticate, text).because(error)
        };
        let context = MainContext::thread_default();
        let context = context.map_err(|error| lacking(&what(), error))?;
        let sleep = Sleep::new(context.executor(), self.timeout);
        let socket = gio::Socket::from_fd(self.socket).map_err(fault)?;
        let stream = socket.connection_factory_create_connection();
        let flags = Flags::AUTHENTICATION_SERVER | Flags::AUTHENTICATION_ALLOW_ANONYMOUS;
        let guid = gio::dbus_generate_guid();
        let opened = gio::DBusConnection::new_future(&stream, Some(&guid), flags, None);
        match within(sleep, opened).await {
            Some(opened) => opened.map_err(fault),
            None => Err(ConnectError::late(what(), self.timeout)),
        }
    }
}

/// The child's end of a connection to the app. From [`peer`].
///
/// It travels in a job's own value, in messages and requests, as [`Descriptor`](crate::Descriptor)s do: only in a Legwork
/// frame. The sender's own is closed when it is dropped; until then the app does not see that the child has gone.
///
/// In a program of another language it is the descriptor of a connected socket, on which a D-Bus client authenticates:
/// `Command::fd(3, end)`. `From` also makes it a `UnixStream`, for a job that has a runtime of its own:
/// `zbus::connection::Builder::unix_stream(end.into()).p2p()`.
#[derive(Debug, Serialize, Deserialize)]
pub struct PeerEnd(Descriptor);

impl PeerEnd {
    /// Opens the connection, on the main context of the thread that awaits it. A job has none that runs: use
    /// [`serve`](Self::serve), or run one.
    ///
    /// # Errors
    ///
    /// [`ConnectStep::Authenticate`] if the app has closed its end, [`ConnectStep::Timeout`] if it does not connect within
    /// 10 s.
    pub async fn connect_with(
        self,
        set: impl FnOnce(Builder<'static>) -> Builder<'static>,
    ) -> Result<Connection, ConnectError> {
        let what = || text!("the app");
        let context = MainContext::thread_default();
        let context = context.map_err(|error| lacking(&what(), error))?;
        let builder = set(Builder::unix_stream(self.into()).p2p());
        build(builder, &context, what(), TIMEOUT).await
    }

    /// Serves objects to the app, until that closes the connection or asks the job to stop: for the body of
    /// [`Job::run`](crate::Job::run). Whether it was asked to stop is said by [`Ctx::check`](crate::Ctx::check).
    ///
    /// The connection has a main context of its own, on this thread, which is the thread's default meanwhile. Methods run one
    /// at a time, so what takes long belongs on a thread of the job, or into several jobs.
    ///
    /// # Errors
    ///
    /// As [`connect_with`](Self::connect_with).
    pub fn serve<J: Job>(
        self,
        cx: &Ctx<J>,
        set: impl FnOnce(Builder<'static>) -> Builder<'static>,
    ) -> Result<(), ConnectError> {
        let context = glib::MainContext::new();
        let serve = async {
            let connection = self.connect_with(set).await?;
            let runtime = MainContext::thread_default();
            let runtime = runtime.map_err(|error| lacking(&text!("the app"), error))?;
            while !cx.is_cancelled() {
                let sleep = Sleep::new(runtime.executor(), LOOK);
                if within(sleep, connection.closed()).await.is_some() {
                    break;
                }
            }
            Ok(())
        };
        let served = context.with_thread_default(|| context.block_on(serve));
        served.map_err(|error| lacking(&text!("the app"), io::Error::other(error)))?
    }
}

impl AsFd for PeerEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<PeerEnd> for OwnedFd {
    fn from(end: PeerEnd) -> Self {
        end.0.into()
    }
}

impl From<PeerEnd> for UnixStream {
    fn from(end: PeerEnd) -> Self {
        OwnedFd::from(end).into()
    }
}
