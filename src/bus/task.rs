//! A future that an executor polls, and the handle to it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use async_task::FallibleTask;
use zbus::runtime::traits::TaskHandle;

use super::executor::{Executor, lock};
use super::stalled::Stalled;

/// A task on a main context. zbus has it from its runtime.
///
/// Resolves to what the task has produced, or to an error if the task has panicked or its context is gone. Dropping it
/// cancels the task, whose future is then dropped on the context.
#[must_use = "dropping it cancels the task"]
pub struct Task<T>(Option<FallibleTask<T>>);

/// Has `future` polled by `executor`.
pub(super) fn spawn<T: Send + 'static>(
    executor: &Arc<Executor>,
    name: &str,
    future: impl Future<Output = T> + Send + 'static,
) -> Task<T> {
    let (key, weak) = (executor.new_key(), Arc::downgrade(executor));
    let tracked = Tracked {
        executor: weak.clone(),
        key,
        stalled: Stalled::for_task(name),
        future: Box::pin(future),
    };
    let schedule = move |runnable| {
        // Without an executor it is dropped.
        if let Some(executor) = weak.upgrade() {
            executor.schedule(runnable);
        }
    };
    let (runnable, task) = async_task::spawn(tracked, schedule);
    lock(&executor.tasks).insert(key, runnable.waker());
    runnable.schedule();
    Task(Some(task.fallible()))
}

/// Removes itself from the executor's tasks when it ends, however it does.
struct Tracked<F> {
    executor: Weak<Executor>,
    key: u64,
    stalled: Option<Stalled>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        match &mut this.stalled {
            None => this.future.as_mut().poll(cx),
            Some(stalled) => stalled.watch(&this.executor, this.future.as_mut(), cx),
        }
    }
}

impl<F> Drop for Tracked<F> {
    fn drop(&mut self) {
        if let Some(executor) = self.executor.upgrade() {
            let waker = lock(&executor.tasks).remove(&self.key);
            drop(waker);
        }
    }
}

impl<T> Future for Task<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let lost = || io::Error::other("the task has panicked, or its main context is gone");
        match &mut self.0 {
            Some(task) => Pin::new(task).poll(cx).map(|done| done.ok_or_else(lost)),
            None => Poll::Ready(Err(lost())),
        }
    }
}

impl<T: Send + 'static> TaskHandle<T> for Task<T> {
    fn detach(mut self) {
        if let Some(task) = self.0.take() {
            task.detach();
        }
    }
}

impl<T> std::fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").finish_non_exhaustive()
    }
}
