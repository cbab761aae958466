//! A timer of an executor.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::executor::{Executor, lock};

/// A future that ends once a time has passed, or when the main context is gone. zbus has it from its runtime.
pub struct Sleep {
    executor: Arc<Executor>,
    /// `None` is a time that the clock cannot represent: never.
    until: Option<Instant>,
    /// Of its timer, once it has been polled.
    key: Option<u64>,
}

impl Sleep {
    pub(super) fn new(executor: &Arc<Executor>, duration: Duration) -> Self {
        Self {
            executor: executor.clone(),
            until: Instant::now().checked_add(duration),
            key: None,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.until else {
            return Poll::Pending;
        };
        if until <= Instant::now() || self.executor.is_gone() {
            return Poll::Ready(());
        }
        let key = self.key.unwrap_or_else(|| self.executor.new_key());
        self.key = Some(key);
        let waker = cx.waker().clone();
        let mut timers = lock(&self.executor.timers);
        let first = timers.first();
        let replaced = timers.set(until, key, waker);
        let is_first = timers.first() != first;
        drop(timers);
        drop(replaced);
        if is_first {
            self.executor.timers_changed();
        }
        // It may have gone before the timer was there.
        if self.executor.is_gone() {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let (Some(until), Some(key)) = (self.until, self.key) {
            // The clock may ring once for it in vain.
            let removed = lock(&self.executor.timers).remove(until, key);
            drop(removed);
        }
    }
}

impl std::fmt::Debug for Sleep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sleep")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}
