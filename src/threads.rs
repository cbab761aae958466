//! Which public types stay on the thread of their context.
//!
//! The compiler finds that out by itself, but then speaks of every private part that cannot be sent: four errors for a
//! handle. An implementation that never applies makes one of them, in words.
#![allow(unsafe_code)]

use crate::command::{CommandFuture, CommandHandle, Input, Lines, OutputStream};
use crate::job::{JobFuture, JobHandle, Sender};
use crate::model::Status;
use crate::worker::{Listed, Receive};

/// Implemented by nothing.
#[diagnostic::on_unimplemented(
    message = "what belongs to a main context cannot be used on another thread",
    label = "a handle, stream or status of Legwork is used on another thread here",
    note = "it stays on the thread that has started the job or program; what can be sent is the handle's `cancellable()`, \
            and a job's `messages()` and `logs()`"
)]
pub trait UsableOnAnyThread {}

/// Stands for all that stays.
#[derive(Debug)]
pub struct BelongsToAContext;

/// The bound is not checked where it is written, as it has a lifetime of its own.
macro_rules! stay {
    ($([$($job:ident: $bound:ident)?] $type:ty;)*) => {$(
        // SAFETY: it never applies, as nothing implements the trait.
        unsafe impl<$($job: $bound)?> Send for $type where for<'a> &'a BelongsToAContext: UsableOnAnyThread {}
        // SAFETY: as above.
        unsafe impl<$($job: $bound)?> Sync for $type where for<'a> &'a BelongsToAContext: UsableOnAnyThread {}
    )*};
}

stay! {
    [J: Listed] JobHandle<J>;
    [J: Listed] JobFuture<J>;
    [J: Receive] Sender<J>;
    [] CommandHandle;
    [] CommandFuture;
    [] OutputStream;
    [] Lines;
    [] Input;
    [] Status;
}
