//! A call that ends with the child.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use glib::prelude::*;

use super::context::MainContext;
use super::sleep::Sleep;
use crate::child::{Error, ErrorKind};
use crate::model::{State, Status};
use crate::text::text;

/// How long to wait for the one of two that comes second: the child's end after its connection is lost, or what it had sent
/// after its end. Both come within a few milliseconds, unless something that the child has started holds the connection.
const SECOND: Duration = Duration::from_millis(500);

/// Why a [`call`] has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The child has ended before it answered: why, as its handle says it.
    Ended(Error),
    /// The call itself failed, and the child runs on.
    Call(E),
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended(error) => error.fmt(f),
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error> std::error::Error for CallError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Ended(error) => error.source(),
            Self::Call(error) => error.source(),
        }
    }
}

/// Awaits a call to a child by D-Bus, and no longer than the child lives: if that dies, the error is the job's or the
/// program's own (a signal, a panic, an exit code), at once, and not that a connection was closed.
///
/// `status` is that of the child at the other end, from its handle. `call` is any future of a `zbus` proxy, a GDBus call, or
/// several of them. A child that has answered and then ended has answered.
///
/// ```no_run
/// # async fn example(job: legwork::CommandHandle, connection: zbus::Connection) {
/// use legwork::bus::{CallError, call};
///
/// let peer = zbus::fdo::PeerProxy::new(&connection, "org.example", "/").await.unwrap();
/// match call(job.status(), peer.ping()).await {
///     Ok(()) => println!("it is there"),
///     Err(CallError::Ended(error)) => eprintln!("{error}"), // "…: killed by SIGSEGV (…)"
///     Err(CallError::Call(error)) => eprintln!("{error}"),
///     Err(_) => (),
/// }
/// # }
/// ```
///
/// For the thread and context of the child, as its status. Dropping the future drops the call.
pub async fn call<T, E: std::error::Error + 'static>(
    status: &Status,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, CallError<E>> {
    let mut call = pin!(call);
    let mut ended = End::of(status);
    let mut failed = None;
    let first = poll_fn(|cx| {
        match call.as_mut().poll(cx) {
            Poll::Ready(Ok(answer)) => return Poll::Ready(Ok(answer)),
            Poll::Ready(Err(error)) => {
                failed = Some(error);
                return Poll::Ready(Err(()));
            }
            Poll::Pending => (),
        }
        ended.poll(cx).map(|()| Err(()))
    });
    if let Ok(answer) = first.await {
        return Ok(answer);
    }
    // The other of the two.
    let mut time = MainContext::thread_default()
        .ok()
        .map(|context| Sleep::new(context.executor(), SECOND));
    let mut is_over = |cx: &mut Context<'_>| match &mut time {
        Some(time) => Pin::new(time).poll(cx),
        None => Poll::Ready(()),
    };
    match failed {
        Some(error) => {
            if !is_lost(&error) {
                return Err(CallError::Call(error));
            }
            poll_fn(|cx| match ended.poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => is_over(cx),
            })
            .await;
            if status.running() {
                return Err(CallError::Call(error));
            }
        }
        None => {
            let last = poll_fn(|cx| match call.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready(answer.ok()),
                Poll::Pending => is_over(cx).map(|()| None),
            });
            if let Some(answer) = last.await {
                return Ok(answer);
            }
        }
    }
    Err(CallError::Ended(why(status)))
}

/// Whether it is the connection that has failed, and not the call.
fn is_lost(error: &(dyn std::error::Error + 'static)) -> bool {
    if let Some(zbus::fdo::Error::ZBus(error)) = error.downcast_ref() {
        return is_lost(error);
    }
    if let Some(error) = error.downcast_ref::<zbus::Error>() {
        return match error {
            zbus::Error::InputOutput(error) => error.kind() != std::io::ErrorKind::TimedOut,
            zbus::Error::FDO(error) => is_lost(&**error),
            _ => false,
        };
    }
    if let Some(error) = error.downcast_ref::<glib::Error>() {
        // ConnectionClosed is the same number as BrokenPipe.
        return error.matches(gio::IOErrorEnum::Closed)
            || error.matches(gio::IOErrorEnum::BrokenPipe);
    }
    error.source().is_some_and(is_lost)
}

/// Why a child that has ended did not answer.
fn why(status: &Status) -> Error {
    let failure = status.failure();
    let failure = failure.and_then(|error| error.downcast_ref().map(Error::copy));
    failure.unwrap_or_else(|| {
        let text = match status.state() {
            State::Finished => text!("it has ended without an answer to the call"),
            _ => text!("it has closed its connection"),
        };
        Error::new(ErrorKind::Exit, &status.label(), text)
    })
}

/// Waits for the end of a child.
struct End {
    status: Status,
    waiting: Rc<RefCell<Option<Waker>>>,
    handler: Option<glib::SignalHandlerId>,
}

impl End {
    fn of(status: &Status) -> Self {
        let waiting = Rc::<RefCell<Option<Waker>>>::default();
        let wakes = waiting.clone();
        let handler = status.connect_running_notify(move |_| {
            let waker = wakes.take();
            waker.into_iter().for_each(Waker::wake);
        });
        Self {
            status: status.clone(),
            waiting,
            handler: Some(handler),
        }
    }

    fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if !self.status.running() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let before = self.waiting.replace(Some(waker));
        drop(before);
        Poll::Pending
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(handler) = self.handler.take() {
            self.status.disconnect(handler);
        }
    }
}
