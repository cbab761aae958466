//! Opens connections to buses.

use std::future::{IntoFuture, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use zbus::connection::Builder;
use zbus::{Address, Connection};

use super::context::MainContext;
use super::error::{ConnectError, ConnectStep};
use super::executor::context_is_gone;
use super::sleep::Sleep;
use super::task;
use crate::text::{Text, text};

/// How long to wait for a connection.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// Opens a connection to the session bus, with a unique name of its own: the app's `GDBusConnection` is left alone.
///
/// ```no_run
/// # async fn example() -> Result<(), legwork::bus::ConnectError> {
/// let connection = legwork::bus::session().await?;
/// let service = legwork::bus::session()
///     .configure(|builder| builder.name("org.example.Service"))
///     .await?;
/// # Ok(()) }
/// ```
pub fn session() -> Open {
    Open::new(text!("the session bus"), Address::session())
}

/// Opens a connection to the system bus.
pub fn system() -> Open {
    Open::new(text!("the system bus"), Address::system())
}

/// Opens a connection to the bus at an [address](https://dbus.freedesktop.org/doc/dbus-specification.html#addresses), such
/// as `unix:path=/run/user/1000/bus`.
pub fn address(address: &str) -> Open {
    Open::new(text!("the D-Bus server"), Address::try_from(address)).at(address)
}

/// A connection that is yet to be opened: await it.
///
/// Awaiting it gives a `zbus::Connection` on a main context, or a [`ConnectError`] that names the bus, the step and what
/// was tried. The future is `Send`; dropping it gives the attempt up.
#[must_use = "nothing is opened until it is awaited"]
pub struct Open {
    what: Text,
    builder: Result<Builder<'static>, zbus::Error>,
    runtime: Option<MainContext>,
    timeout: Duration,
}

impl Open {
    fn new(name: Text, address: zbus::Result<Address>) -> Self {
        let what = match &address {
            Ok(address) => at(&name, Text::quoted(address.to_string())),
            Err(_) => name,
        };
        Self {
            what,
            builder: address.map(Builder::address),
            runtime: None,
            timeout: TIMEOUT,
        }
    }

    /// Names the address as the caller has written it.
    fn at(mut self, address: &str) -> Self {
        self.what = at(&text!("the D-Bus server"), Text::quoted(address));
        self
    }

    /// Sets what zbus's builder can set: interfaces that are served from the first message on, names, a timeout of calls.
    ///
    /// A runtime that is set here is replaced.
    pub fn configure(mut self, set: impl FnOnce(Builder<'static>) -> Builder<'static>) -> Self {
        self.builder = self.builder.map(set);
        self
    }

    /// Sets the main context. The default is that of the thread that calls `await` first.
    pub fn on(mut self, context: &MainContext) -> Self {
        self.runtime = Some(context.clone());
        self
    }

    /// Sets how long to wait for the connection. The default is 10 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn open(self) -> Result<Connection, ConnectError> {
        let builder = (self.builder).map_err(|error| ConnectError::of(self.what.clone(), error))?;
        let runtime = match self.runtime {
            Some(runtime) => runtime,
            None => MainContext::thread_default().map_err(|error| lacking(&self.what, error))?,
        };
        build(builder, &runtime, self.what, self.timeout).await
    }
}

fn at(name: &Text, address: Text) -> Text {
    text!(
        "{service} at {address}",
        service = name.clone(),
        address = address
    )
}

/// There is nothing to run it on.
pub(super) fn lacking(what: &Text, error: std::io::Error) -> ConnectError {
    let text = text!(
        "a connection to {service} cannot be prepared: {error}",
        service = what.clone(),
        error = Text::of(&error)
    );
    ConnectError::new(ConnectStep::Prepare, text).because(error)
}

/// Opens a connection by a task of its own: zbus reads for as long as a server writes, and can panic at what that says.
pub(super) async fn build(
    builder: Builder<'static>,
    runtime: &MainContext,
    what: Text,
    timeout: Duration,
) -> Result<Connection, ConnectError> {
    let executor = runtime.executor();
    if executor.is_gone() {
        return Err(lacking(&what, context_is_gone()));
    }
    let sleep = Sleep::new(executor, timeout);
    let task = task::spawn(
        executor,
        "connecting",
        builder.runtime(runtime.clone()).build(),
    );
    let opened = match within(sleep, task).await {
        Some(Ok(opened)) => opened,
        Some(Err(lost)) => Err(zbus::Error::InputOutput(lost.into())),
        None => return Err(ConnectError::late(what, timeout)),
    };
    opened.map_err(|error| ConnectError::of(what, error))
}

/// Returns the output of `future`, or `None` if the time was over before.
pub(super) async fn within<T>(sleep: Sleep, future: impl Future<Output = T>) -> Option<T> {
    let (mut sleep, mut future) = (sleep, pin!(future));
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        Pin::new(&mut sleep).poll(cx).map(|()| None)
    })
    .await
}

impl IntoFuture for Open {
    type Output = Result<Connection, ConnectError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open")
            .field("what", &self.what.to_string())
            .finish_non_exhaustive()
    }
}
