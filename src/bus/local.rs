//! A value that is used on its thread alone, in a handle that may go anywhere.

use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, ThreadId};

use zbus::runtime::traits::TaskHandle;

use super::context::MainContext;
use super::executor::Executor;
use super::task;

thread_local! {
    /// The values of this thread, by the numbers that their handles know.
    static VALUES: Values = const { Values(RefCell::new(None)) };
}

struct Values(RefCell<Option<HashMap<u64, Rc<dyn Any>>>>);

impl Drop for Values {
    fn drop(&mut self) {
        // As glib's own guards: a widget that outlives the thread's other variables may not be able to end.
        mem::forget(self.0.take());
    }
}

/// A widget, or another value that must stay on its thread, in a handle that is `Send` and `Sync`.
///
/// zbus wants its interfaces to be `Send`, and widgets are not. On a connection of the app's own context methods run on
/// that context's thread, so that [`with`](Self::with) has the value there. From another thread it has nothing, and
/// [`run`](Self::run) takes a closure to the value.
///
/// When the handle is dropped, on whichever thread, the value is dropped on its own, by the main context. If that is gone,
/// the value is leaked when the thread ends.
///
/// ```
/// use legwork::bus::Local;
///
/// struct Title {
///     label: Local<std::rc::Rc<String>>, // a gtk::Label in an app
/// }
///
/// # #[cfg(any())]
/// #[zbus::interface(name = "org.example.Title")]
/// impl Title {
///     fn set(&self, text: &str) {
///         self.label.with(|label| label.set_text(text));
///     }
/// }
/// let label = Local::new(std::rc::Rc::new(String::from("Title")))?;
/// assert_eq!(label.with(|label| label.len()), Some(5));
/// std::thread::spawn(move || assert_eq!(label.with(|label| label.len()), None));
/// # std::io::Result::Ok(())
/// ```
pub struct Local<T: 'static> {
    key: u64,
    thread: ThreadId,
    executor: Arc<Executor>,
    value: PhantomData<fn() -> T>,
}

impl<T> Local<T> {
    /// Keeps `value` on this thread, whose default main context drops it in the end.
    ///
    /// # Errors
    ///
    /// As [`MainContext::thread_default`]; the value is dropped.
    pub fn new(value: T) -> io::Result<Self> {
        let executor = MainContext::thread_default()?.executor().clone();
        let key = executor.new_key();
        let value: Rc<dyn Any> = Rc::new(value);
        let put = |values: &Values| {
            let mut values = values.0.borrow_mut();
            values.get_or_insert_default().insert(key, value);
        };
        (VALUES.try_with(put)).map_err(|_| io::Error::other("this thread is ending"))?;
        Ok(Self {
            key,
            thread: thread::current().id(),
            executor,
            value: PhantomData,
        })
    }

    /// Calls `f` with the value, on the value's thread; on any other it returns `None` and does not call it.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        with(self.thread, self.key, f)
    }

    /// Calls `f` with the value, from any thread: on the value's own at once, otherwise in an iteration of its main context.
    /// `None` if the context is gone, or is run by another thread.
    ///
    /// `f` is called even if the future is dropped after its first poll.
    pub async fn run<R: Send + 'static>(
        &self,
        f: impl FnOnce(&T) -> R + Send + 'static,
    ) -> Option<R> {
        if self.is_here() {
            return self.with(f);
        }
        let (done, result) = async_channel::bounded(1);
        let (thread, key) = (self.thread, self.key);
        task::spawn(&self.executor, "a call of a local value", async move {
            if let Some(returned) = with(thread, key, f) {
                let _ = done.try_send(returned);
            }
        })
        .detach();
        result.recv().await.ok()
    }

    fn is_here(&self) -> bool {
        self.thread == thread::current().id()
    }
}

fn with<T: 'static, R>(thread: ThreadId, key: u64, f: impl FnOnce(&T) -> R) -> Option<R> {
    if thread != thread::current().id() {
        return None;
    }
    // Nothing is borrowed while `f` runs.
    let find = |values: &Values| values.0.borrow().as_ref()?.get(&key).cloned();
    let value = VALUES.try_with(find).ok().flatten()?;
    value.downcast_ref().map(f)
}

fn forget(thread: ThreadId, key: u64) {
    if thread == thread::current().id() {
        let take = |values: &Values| values.0.borrow_mut().as_mut()?.remove(&key);
        // Dropped with nothing borrowed.
        drop(VALUES.try_with(take));
    }
}

impl<T> Drop for Local<T> {
    fn drop(&mut self) {
        if self.is_here() {
            return forget(self.thread, self.key);
        }
        let (thread, key) = (self.thread, self.key);
        task::spawn(&self.executor, "the end of a local value", async move {
            forget(thread, key);
        })
        .detach();
    }
}

impl<T> std::fmt::Debug for Local<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Local").finish_non_exhaustive()
    }
}

const _: fn() = || {
    fn both<T: Send + Sync>() {}
    both::<Local<Rc<()>>>();
};
