//! A bounded channel from the hub to a future, whose wakers never run under a lock.
//!
//! The queue is an `async-channel`. That crate (event-listener 5) calls a waker while it holds its
//! own lock, so that a waker which drops the receiving end, as a handle's may, would wait for
//! itself for ever. Here the channel sees only a [`WakerSlot`]; the real waker is called by the side
//! that put something in, once the channel has released its lock.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use async_channel::{Receiver, Sender, TrySendError};
use futures_core::Stream;

/// The end into which values are put.
#[derive(Debug)]
pub(crate) struct Outlet<T> {
    sender: Sender<T>,
    slot: Arc<WakerSlot>,
}

/// The end from which a future takes values. `Send` if `T` is: it needs no main loop.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    receiver: Pin<Box<Receiver<T>>>,
    slot: Arc<WakerSlot>,
}

#[derive(Debug, Default)]
pub(crate) struct WakerSlot {
    waker: Mutex<Option<Waker>>,
    called: AtomicBool,
    hung_up: AtomicBool,
}

/// Why nothing could be put in.
#[derive(Debug)]
pub(crate) enum PutError<T> {
    Full,
    /// The other end is gone.
    Closed(T),
}

/// A channel for at most `capacity` values (at least 1).
pub(crate) fn mailbox<T>(capacity: usize) -> (Outlet<T>, Mailbox<T>) {
    let (sender, receiver) = async_channel::bounded(capacity.max(1));
    let slot = Arc::<WakerSlot>::default();
    (
        Outlet {
            sender,
            slot: slot.clone(),
        },
        Mailbox {
            receiver: Box::pin(receiver),
            slot,
        },
    )
}

impl<T> Outlet<T> {
    pub(crate) fn put(&self, value: T) -> Result<(), PutError<T>> {
        let result = self.sender.try_send(value).map_err(|error| match error {
            TrySendError::Full(_) => PutError::Full,
            TrySendError::Closed(value) => PutError::Closed(value),
        });
        self.slot.wake_if_called();
        result
    }

    /// Whether the other end is gone.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Returns what [ends](WakerSlot::hang_up) the wait on another thread, where the values may not go.
    pub(crate) fn waker_slot(&self) -> Arc<WakerSlot> {
        self.slot.clone()
    }

    /// No more will come.
    pub(crate) fn close(&self) {
        self.sender.close();
        self.slot.wake_if_called();
    }
}

impl<T> Drop for Outlet<T> {
    fn drop(&mut self) {
        self.close();
    }
}

impl<T> Mailbox<T> {
    /// The next value; `None` when no more will come.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        // The old waker is dropped once the lock is released: that may run the app's code.
        let waker = cx.waker().clone();
        let old = self.slot.lock().replace(waker);
        drop(old);
        let slot = Waker::from(self.slot.clone());
        // Read before the queue, and after the waker is in its slot for whoever hangs up now.
        let hung_up = self.slot.hung_up.load(SeqCst);
        let next = self
            .receiver
            .as_mut()
            .poll_next(&mut Context::from_waker(&slot));
        match next {
            Poll::Pending if hung_up => Poll::Ready(None),
            next => next,
        }
    }

    /// No more is put in; what is there can still be taken.
    pub(crate) fn close(&self) {
        self.receiver.close();
    }

    /// How many values are there.
    pub(crate) fn len(&self) -> usize {
        self.receiver.len()
    }

    /// The next value if it is there already.
    pub(crate) fn try_next(&mut self) -> Option<T> {
        self.receiver.try_recv().ok()
    }
}

impl WakerSlot {
    fn lock(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls the real waker if the channel has called this one.
    fn wake_if_called(&self) {
        if self.called.swap(false, AcqRel) {
            self.wake_up();
        }
    }

    /// No more will come. From any thread.
    pub(crate) fn hang_up(&self) {
        self.hung_up.store(true, SeqCst);
        self.wake_up();
    }

    fn wake_up(&self) {
        let waker = self.lock().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Wake for WakerSlot {
    fn wake(self: Arc<Self>) {
        self.called.store(true, Release);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.called.store(true, Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag() -> (Arc<Flag>, Waker) {
        let flag = Arc::<Flag>::default();
        (flag.clone(), Waker::from(flag))
    }

    #[derive(Default)]
    struct Flag(AtomicBool);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Release);
        }
    }

    #[test]
    fn a_value_wakes_the_one_who_waits() {
        let (outlet, mut mailbox) = mailbox(1);
        let (woken, waker) = flag();
        let mut cx = Context::from_waker(&waker);
        assert!(mailbox.poll_next(&mut cx).is_pending());
        outlet.put(1).unwrap();
        assert!(woken.0.load(Acquire));
        assert!(matches!(outlet.put(2), Err(PutError::Full)));
        assert_eq!(mailbox.poll_next(&mut cx), Poll::Ready(Some(1)));
        drop(outlet);
        assert_eq!(mailbox.poll_next(&mut cx), Poll::Ready(None));
    }

    #[test]
    fn a_waker_may_drop_the_mailbox() {
        struct Dropper(Mutex<Option<Mailbox<u8>>>, AtomicBool);
        impl Wake for Dropper {
            fn wake(self: Arc<Self>) {
                let mailbox = self.0.lock().unwrap().take();
                self.1.store(mailbox.is_some(), Release);
            }
        }
        let (outlet, mut mailbox) = mailbox(1);
        let dropper = Arc::new(Dropper(Mutex::new(None), AtomicBool::new(false)));
        let waker = Waker::from(dropper.clone());
        assert!(
            mailbox
                .poll_next(&mut Context::from_waker(&waker))
                .is_pending()
        );
        *dropper.0.lock().unwrap() = Some(mailbox);
        outlet.put(1).unwrap();
        assert!(dropper.1.load(Acquire));
        assert!(matches!(outlet.put(2), Err(PutError::Closed(2))));
    }
}
