//! What both sides of a measurement share: the clock, the data and the jobs.
//!
//! This library is linked into the benchmark, into its lean worker and into the child of the hand-written peers, so it
//! does not use GLib. A worker and a peer that are compared do the same work by calling the same function here.

pub mod clock;
pub mod data;
pub mod jobs;
pub mod mapped;

use jobs::{Echo, Fill, FirstLine, Idle, Stream};

legwork::jobs! {
    /// The jobs of the lean worker.
    pub static JOBS = [FirstLine, Idle, Echo, Stream, Fill];
}
