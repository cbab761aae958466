//! How many of a job's messages the app has taken: the job's leave to send more.

use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::{Arc, OnceLock};

use crate::process::own;
use crate::wire::frame::JobNumber;
use crate::wire::page::Page;

/// Counts what the app has taken, and tells the worker, from any thread.
#[derive(Debug)]
pub(super) struct Taken {
    /// Comes with the handshake, and so before the first message.
    page: OnceLock<(Arc<Page>, JobNumber)>,
    count: AtomicU64,
    app: u32,
}

impl Taken {
    pub(super) fn new() -> Self {
        Taken {
            page: OnceLock::new(),
            count: AtomicU64::new(0),
            app: own::id(),
        }
    }

    /// Whether this is a copy that somebody forked from the app.
    pub(super) fn is_copy(&self) -> bool {
        self.app != own::id()
    }

    pub(super) fn tell_by(&self, page: &Arc<Page>, job: JobNumber) {
        // There is one handshake.
        let _ = self.page.set((page.clone(), job));
    }

    pub(super) fn one_more(&self) {
        let count = self.count.fetch_add(1, AcqRel) + 1;
        if let Some((page, job)) = self.page.get()
            && !self.is_copy()
        {
            page.set_taken(*job, count);
        }
    }
}
