//! Notices a reader that waits for a stream of messages that nobody takes from.
//!
//! zbus reads the messages of a connection in one task, and puts each into the queue of every stream that wants it. While
//! one of these queues is full it reads nothing, neither for other streams nor the replies to calls. So the task either
//! waits for its socket, or for a stream: the second is seen here, and told to the log if it lasts.

use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};
use std::time::Duration;

use super::executor::Executor;
use super::io::waits_to_read;
use super::sleep::Sleep;

/// How long a reader may wait for a stream.
const PATIENCE: Duration = Duration::from_secs(2);

/// What zbus calls the task. Only for diagnostics, as is what is done with it.
const READER: &str = "socket reader";

/// See the module.
#[derive(Default)]
pub(super) struct Stalled {
    since: Option<Sleep>,
    /// Whether the log has been told.
    told: bool,
}

impl Stalled {
    /// Returns a watch for a task of this name, if it is a reader.
    pub(super) fn for_task(name: &str) -> Option<Self> {
        (name == READER).then(Self::default)
    }

    /// Polls the reader.
    pub(super) fn watch<T>(
        &mut self,
        executor: &Weak<Executor>,
        reader: Pin<&mut impl Future<Output = T>>,
        cx: &mut Context<'_>,
    ) -> Poll<T> {
        let (polled, reads) = waits_to_read(|| reader.poll(cx));
        if polled.is_ready() || reads {
            (self.since, self.told) = (None, false);
            return polled;
        }
        if !self.told
            && let Some(executor) = executor.upgrade()
        {
            let since = (self.since).get_or_insert_with(|| Sleep::new(&executor, PATIENCE));
            if Pin::new(since).poll(cx).is_ready() && !executor.is_gone() {
                self.told = true;
                self.since = None;
                glib::g_warning!(
                    "legwork",
                    "a D-Bus connection is not read: for {} s a MessageStream, or a stream of signals, has been full. \
                     Everything behind it waits as well, replies too. Take from the stream, or drop it",
                    PATIENCE.as_secs()
                );
            }
        }
        polled
    }
}
