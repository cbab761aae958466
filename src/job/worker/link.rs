//! The app's end of the link to a worker: what any thread may use.

use std::sync::{Arc, OnceLock};

use crate::wire::control::{Control, Wait};
use crate::wire::frame::{JobNumber, Kind};
use crate::wire::page::Page;

/// See the module.
#[derive(Debug)]
pub(in crate::job) struct Link {
    pub(in crate::job) control: Control,
    /// Comes with the handshake.
    page: OnceLock<Arc<Page>>,
}

impl Link {
    pub(in crate::job) fn new(control: Control) -> Self {
        Link {
            control,
            page: OnceLock::new(),
        }
    }

    /// The shared page, once the worker has handed it over. A process that somebody forked from the app leaves it alone.
    pub(in crate::job) fn page(&self) -> Option<&Arc<Page>> {
        self.page.get().filter(|_| self.control.is_own())
    }

    pub(super) fn set_page(&self, page: Page) {
        // There is one handshake.
        let _ = self.page.set(Arc::new(page));
    }

    /// Asks a job to stop, from any thread, also while the context does not run.
    ///
    /// A job that computes, or waits for room, finds it in the page; one that waits for requests is
    /// sent a frame. When the socket has no room for that, there is something in it to be read, and
    /// the job looks at the page after it. Before there is a page, the worker has no other job and is
    /// asked to end.
    pub(in crate::job) fn cancel(&self, job: JobNumber) {
        if !self.control.is_own() {
            return;
        }
        match self.page.get() {
            Some(page) => {
                page.cancel(job);
                let _ = (self.control).send_about(job, Kind::Cancel, &[], &[], Wait::No);
            }
            None => self.control.half_close(),
        }
    }
}
