//! The jobs that this app runs in child processes: checksums, thumbnails, and failures on purpose.
//!
//! Nothing here uses GTK or GLib. A job is a value that is sent to a worker, which sends a message for every entry as
//! soon as it is done: the results from before a crash are kept. An entry that cannot be read is a message as well
//! ([`EntryError`]); only a folder that cannot be read at all ends a job with an error.

mod checksum;
mod error;
mod misbehave;
mod parallel;
mod source;
mod summary;
mod thumbnails;
mod walk;

pub use self::{
    checksum::{Checksum, FileSum, Sum},
    error::{EntryError, JobError},
    misbehave::{Misbehave, Misdeed},
    source::Source,
    summary::{Summary, grouped},
    thumbnails::{Limits, Picture, Thumbnail, Thumbnails},
};

legwork::jobs! {
    /// Every job of this app. Both programs, the app and the worker, are built with this table.
    pub static JOBS = [Checksum, Thumbnails, Misbehave];
}
