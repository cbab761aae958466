//! The messages of a job that have arrived and that the app has not taken, and how many it has taken: the job's leave to
//! send more.
//!
//! A message stays encoded until it is taken: only its sender knows how much memory it takes then. So what waits has a
//! bound in bytes, and whoever takes a message finds the faults in it, on whichever thread that is.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;

use crate::main_loop::hub::Canceller;
use crate::process::own;
use crate::wire::attach::{self, DecodeError};
use crate::wire::control::{DESCRIPTORS_MAX, FRAME_MAX, Fault, Payload, Unclaimed};
use crate::wire::frame::JobNumber;
use crate::wire::page::Page;

/// A message or an output that has arrived, still encoded. When it is dropped, its descriptors are closed in the
/// background.
#[derive(Debug)]
pub(super) struct Arrived {
    bytes: Vec<u8>,
    descriptors: Unclaimed,
}

impl Arrived {
    pub(super) fn new(payload: Payload<'_>, descriptors: Unclaimed) -> Self {
        Arrived {
            bytes: payload.into_vec(),
            descriptors,
        }
    }

    pub(super) fn into_descriptors(self) -> Vec<OwnedFd> {
        self.descriptors.claim()
    }

    pub(super) fn has_descriptors(&self) -> bool {
        !self.descriptors.is_empty()
    }

    pub(super) fn decode<T: DeserializeOwned>(self) -> Result<T, DecodeError> {
        attach::decode(&self.bytes, self.descriptors.claim())
    }

    pub(super) fn decode_message<M: DeserializeOwned>(self) -> Result<M, Fault> {
        (self.decode()).map_err(|error| Fault(format!("a message cannot be read: {error}")))
    }
}

/// Counts what the app has taken, and tells the worker, from any thread.
pub(super) struct Taken {
    /// Comes with the handshake, and so before the first message.
    page: OnceLock<(Arc<Page>, JobNumber)>,
    count: AtomicU64,
    /// How many wait, and their bytes and descriptors.
    waiting: AtomicUsize,
    bytes: AtomicUsize,
    descriptors: AtomicUsize,
    /// What was found when a message was taken.
    fault: OnceLock<Fault>,
    canceller: OnceLock<Canceller>,
    app: u32,
}

impl Taken {
    pub(super) fn new() -> Self {
        Taken {
            page: OnceLock::new(),
            count: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            descriptors: AtomicUsize::new(0),
            fault: OnceLock::new(),
            canceller: OnceLock::new(),
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

    /// Has the job ended by `canceller` when a message is found to be at fault.
    pub(super) fn end_by(&self, canceller: Canceller) {
        // There is one start.
        let _ = self.canceller.set(canceller);
    }

    /// Lets a message wait, if the job may have sent it.
    pub(super) fn admit(&self, message: &Arrived) -> Result<(), Fault> {
        let (bytes, descriptors) = (message.bytes.len(), message.descriptors.len());
        self.waiting.fetch_add(1, AcqRel);
        if self.bytes.fetch_add(bytes, AcqRel) + bytes > FRAME_MAX
            || self.descriptors.fetch_add(descriptors, AcqRel) + descriptors > DESCRIPTORS_MAX
        {
            return Err(Fault(
                "larger messages were sent than may wait to be taken".to_owned(),
            ));
        }
        Ok(())
    }

    /// Whether a message waits: the job may wait for the app to take it.
    pub(super) fn is_behind(&self) -> bool {
        self.waiting.load(Acquire) > 0
    }

    /// Counts a message that has waited.
    pub(super) fn one_more(&self, message: &Arrived) {
        self.waiting.fetch_sub(1, AcqRel);
        self.bytes.fetch_sub(message.bytes.len(), AcqRel);
        (self.descriptors).fetch_sub(message.descriptors.len(), AcqRel);
        self.one_more_at_once();
    }

    /// Counts a message that has not waited.
    pub(super) fn one_more_at_once(&self) {
        let count = self.count.fetch_add(1, AcqRel) + 1;
        if let Some((page, job)) = self.page.get()
            && !self.is_copy()
        {
            page.set_taken(*job, count);
        }
    }

    /// Ends the job, as one of its messages cannot be read.
    pub(super) fn refuse(&self, fault: Fault) {
        // The first counts.
        let _ = self.fault.set(fault);
        if let Some(canceller) = self.canceller.get() {
            canceller.cancel();
        }
    }

    /// Why it [was ended](Self::refuse).
    pub(super) fn fault(&self) -> Option<&Fault> {
        self.fault.get()
    }
}
