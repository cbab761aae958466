//! The app's end of a job that runs in the process of its unit test, without a child and without a socket.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use super::link::lock;

/// Keeps what the job sends.
#[derive(Debug)]
pub(super) struct Here<M> {
    messages: Mutex<Vec<M>>,
    done: AtomicU64,
    total: AtomicU64,
    text: Mutex<String>,
}

impl<M> Here<M> {
    pub(super) fn new() -> Here<M> {
        Here {
            messages: Mutex::default(),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            text: Mutex::default(),
        }
    }

    /// The messages, in the order in which they were sent.
    pub(super) fn into_messages(self) -> Vec<M> {
        self.messages
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn message(&self, message: M) {
        lock(&self.messages).push(message);
    }

    pub(super) fn set_total(&self, total: u64) {
        self.total.store(total, Relaxed);
    }

    pub(super) fn set_done(&self, done: u64) {
        self.done.store(done, Relaxed);
    }

    pub(super) fn advance(&self, steps: u64) {
        self.done.fetch_add(steps, Relaxed);
    }

    pub(super) fn set_text(&self, text: String) {
        *lock(&self.text) = text;
    }
}
