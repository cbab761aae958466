//! zbus's runtime on a main context.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use zbus::runtime::IoSource;
use zbus::runtime::traits::Runtime;

use super::executor::Executor;
use super::io::RegisteredIoSource;
use super::net;
use super::sleep::Sleep;
use super::task::{self, Task};
use crate::main_loop::PRIORITY;

/// A `GMainContext` as the runtime of zbus connections: no helper thread, and no loop beside the app's.
///
/// Sockets, timers and tasks of a connection are handled by the thread that runs the context: at
/// [`PRIORITY`](crate::PRIORITY), which is just below GTK's drawing, unless [`with_priority`](Self::with_priority) says
/// another; and for at most [`SLICE`](crate::SLICE) or 64 polls of tasks in one iteration, so that a peer that floods the
/// app delays itself and not the frames. While nothing happens, nothing wakes the loop.
///
/// [`session`](super::session), [`system`](super::system) and [`address`](super::address) use that of the thread's default
/// context by themselves. Any other builder of zbus takes it:
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use legwork::bus::MainContext;
///
/// let connection = zbus::connection::Builder::address("unix:path=/run/example/bus")
///     .runtime(MainContext::thread_default()?)
///     .build()
///     .await?;
/// # Ok(()) }
/// ```
///
/// All connections of a context and a priority share one source and one epoll descriptor, which stay until the context is
/// gone.
///
/// # Threads and contexts
///
/// `Send` and `Sync`; clones are the same runtime. Tasks may be spawned, woken and dropped on any thread, and run only on
/// the context. It does not keep the context alive: once that is gone, all tasks are dropped, so that connections close
/// and calls under way fail. A context that exists and does not run delays everything.
///
/// A task that panics is dropped, and logged as critical; the app lives on. A process forked from the app can use none of
/// it.
///
/// # What is not done here
///
/// What zbus cannot do without blocking (names of TCP hosts, files of `nonce-tcp:` addresses, the groups of a peer) is done
/// by a thread of GIO's pool; connections over Unix sockets need none of that. Programs are not started: a `unixexec:` or
/// `ibus:` address is an error that says so.
#[derive(Clone)]
pub struct MainContext(Arc<Executor>);

impl MainContext {
    /// Returns the runtime on the thread's default context: on the main thread, that of the app.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`: the app has no descriptor left for it. It needs two, the first time.
    pub fn thread_default() -> io::Result<Self> {
        Self::new(&glib::MainContext::ref_thread_default())
    }

    /// Returns the runtime on a context, which any thread may run.
    ///
    /// # Errors
    ///
    /// As [`thread_default`](Self::thread_default).
    pub fn new(context: &glib::MainContext) -> io::Result<Self> {
        Self::with_priority(context, PRIORITY)
    }

    /// Returns the runtime on a context, at another priority. Lower numbers come first: at
    /// [`glib::Priority::DEFAULT`] a flood of messages keeps GTK from drawing.
    ///
    /// # Errors
    ///
    /// As [`thread_default`](Self::thread_default).
    pub fn with_priority(context: &glib::MainContext, priority: i32) -> io::Result<Self> {
        Executor::of(context, priority).map(Self)
    }

    pub(super) fn executor(&self) -> &Arc<Executor> {
        &self.0
    }
}

impl Runtime for MainContext {
    type RegisteredIoSource = RegisteredIoSource;
    type Sleep = Sleep;
    type Task<T>
        = Task<T>
    where
        T: Send + 'static;

    fn register_io_source(&self, source: IoSource) -> io::Result<RegisteredIoSource> {
        RegisteredIoSource::new(&self.0, source)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(&self.0, duration)
    }

    fn spawn<T>(&self, name: &str, future: impl Future<Output = T> + Send + 'static) -> Task<T>
    where
        T: Send + 'static,
    {
        task::spawn(&self.0, name, future)
    }

    fn connect_tcp(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<IoSource>> + Send {
        net::tcp(&self.0, address)
    }

    fn connect_unix(&self, path: &Path) -> impl Future<Output = io::Result<IoSource>> + Send {
        net::unix(&self.0, path)
    }

    fn spawn_process(
        &self,
        command: Command,
        _stdin: Stdio,
        _stdout: Stdio,
        _stderr: Stdio,
    ) -> io::Result<Pin<Box<dyn Future<Output = io::Result<ExitStatus>> + Send + 'static>>> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "Legwork does not start programs for a D-Bus address (unixexec:, ibus:), here {:?}. Start it by \
                 legwork::Command, and hand it one end of legwork::bus::peer()",
                command.get_program()
            ),
        ))
    }

    fn spawn_blocking<T>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Pin<Box<dyn Future<Output = T> + Send + 'static>>
    where
        T: Send + 'static,
    {
        // Not by the handle that GIO returns: that is woken on the default context of the calling thread, which may be
        // one that nobody runs.
        let (done, result) = async_channel::bounded(1);
        drop(gio::spawn_blocking(move || {
            let _ = done.try_send(work());
        }));
        Box::pin(async move {
            match result.recv().await {
                Ok(result) => result,
                // The work has panicked, and there is no value to return.
                Err(_) => pending().await,
            }
        })
    }
}

impl std::fmt::Debug for MainContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MainContext")
            .field("gone", &self.0.is_gone())
            .finish_non_exhaustive()
    }
}
