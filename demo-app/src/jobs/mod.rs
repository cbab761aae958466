//! What this app does in child processes: sums, thumbnails, and misdeeds on purpose.
//!
//! Nothing here knows of GTK or GLib. A job is a value that says what to do; it is sent to a worker,
//! which sends a message for every entry as soon as it is done, so that what was finished before a
//! crash is kept. Trouble with one entry is a message like any other ([`Trouble`]); only a folder that
//! cannot be read at all ends a job with an error.

mod checksum;
mod misbehave;
mod parallel;
mod progress;
mod thumbnails;
mod trouble;
mod walk;

use serde::{Deserialize, Serialize};

pub use self::{
    checksum::{Checksum, FileSum, Sum},
    misbehave::{Misbehave, Misdeed},
    progress::grouped,
    thumbnails::{Limits, Picture, Thumbnail, Thumbnails},
    trouble::Trouble,
};

/// A job's own error, with whatever is behind it.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// What a job did, in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Entries of the folder, each of which had a message.
    pub entries: u64,
    /// How many of them had trouble.
    pub failed: u64,
    /// Files that were none of this job's business.
    pub skipped: u64,
    /// Bytes that were read.
    pub bytes: u64,
}

legwork::jobs! {
    /// Every job of this app. Both programs, the window and the worker, are built with this table.
    pub static JOBS = [Checksum, Thumbnails, Misbehave];
}
