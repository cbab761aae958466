//! What the mailbox uses of async-channel, with its steps apart: a value is put in, and then a waker is called while the
//! list of wakers is locked.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

#[derive(Debug)]
struct Shared<T> {
    capacity: usize,
    /// The values, and whether it is closed.
    state: Mutex<(VecDeque<T>, bool)>,
    waker: Mutex<Option<Waker>>,
}

#[derive(Debug)]
pub struct Sender<T>(Arc<Shared<T>>);

#[derive(Debug)]
pub struct Receiver<T>(Arc<Shared<T>>);

#[derive(Debug)]
pub enum TrySendError<T> {
    Full(T),
    Closed(T),
}

pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        capacity,
        state: Mutex::new((VecDeque::new(), false)),
        waker: Mutex::new(None),
    });
    (Sender(shared.clone()), Receiver(shared))
}

impl<T> Shared<T> {
    fn wake(&self) {
        let mut waker = self.waker.lock().unwrap();
        if let Some(waker) = waker.take() {
            waker.wake();
        }
    }

    fn close(&self) {
        self.state.lock().unwrap().1 = true;
        self.wake();
    }

    /// `None`: empty. `Some(None)`: and closed.
    fn take(&self) -> Option<Option<T>> {
        let (values, closed) = &mut *self.state.lock().unwrap();
        values.pop_front().map(Some).or(closed.then_some(None))
    }
}

impl<T> Sender<T> {
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        {
            let (values, closed) = &mut *self.0.state.lock().unwrap();
            match () {
                () if *closed => return Err(TrySendError::Closed(value)),
                () if values.len() == self.0.capacity => return Err(TrySendError::Full(value)),
                () => values.push_back(value),
            }
        }
        self.0.wake();
        Ok(())
    }

    pub fn is_closed(&self) -> bool {
        self.0.state.lock().unwrap().1
    }

    pub fn close(&self) {
        self.0.close();
    }
}

impl<T> Receiver<T> {
    pub fn try_recv(&self) -> Result<T, &'static str> {
        self.0.take().flatten().ok_or("nothing is there")
    }

    pub(crate) fn len(&self) -> usize {
        self.0.state.lock().unwrap().0.len()
    }

    pub fn close(&self) {
        self.0.close();
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(next) = self.0.take() {
            return Poll::Ready(next);
        }
        *self.0.waker.lock().unwrap() = Some(cx.waker().clone());
        // What came before the waker was there called none.
        match self.0.take() {
            Some(next) => Poll::Ready(next),
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.close();
        let values = std::mem::take(&mut self.0.state.lock().unwrap().0);
        drop(values);
    }
}
