//! Work that goes on beside a job, on its context.

use std::future::Future;
use std::time::Duration;

use glib::{JoinHandle, MainContext, Priority};

use crate::PRIORITY;
use crate::text::{Text, text};

/// How long a surface may take to answer before it counts as unavailable.
const PATIENCE: Duration = Duration::from_secs(5);

/// A future that runs on the thread's default context, below drawing, until it ends or this is dropped.
pub(super) struct Task(JoinHandle<()>);

impl Task {
    pub(super) fn spawn(future: impl Future<Output = ()> + 'static) -> Self {
        Task(spawn(future))
    }

    /// Runs a future to its end.
    pub(super) fn detach(future: impl Future<Output = ()> + 'static) {
        drop(spawn(future));
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn spawn(future: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
    MainContext::ref_thread_default().spawn_local_with_priority(Priority::from(PRIORITY), future)
}

/// Waits for an answer of `who` for as long as it is worth waiting. What comes later is dropped when it comes: a
/// value that has something to give back does that in its `Drop`.
pub(super) async fn answer<T: 'static>(
    who: &str,
    future: impl Future<Output = Result<T, Text>> + 'static,
) -> Result<T, Text> {
    let (sender, receiver) = async_channel::bounded(1);
    // It sees the end of the call, however late.
    Task::detach(async move {
        let _ = sender.try_send(future.await);
    });
    match glib::future_with_timeout(PATIENCE, receiver.recv()).await {
        Ok(Ok(answer)) => answer,
        _ => Err(text!(
            "{service} has not answered within {time}",
            service = who,
            time = PATIENCE
        )),
    }
}
