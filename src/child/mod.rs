//! What the app's side has in common for every child, be it a job's worker or a program.
//!
//! Knows nothing of what the child does: that is for [`job`](crate::job) and
//! [`command`](crate::command), which stand on this room and not on each other.
//!
//! - [`error`]: what went wrong, with questions to ask it.
//! - [`cancel`]: a child and a `gio::Cancellable`, or an object that goes away.
//! - [`worker`]: which program is the worker, and helps with programs.

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;

pub(crate) mod cancel;
pub(crate) mod error;
mod worker;

pub use error::{Error, ErrorKind, Panic};
pub use worker::Worker;

/// A start on a thread that could not hear of its end.
pub(crate) const NOT_OUR_CONTEXT: &str = "another thread runs this one's main context. Start it \
     there, or give this thread a context of its own";

/// Whether a descriptor is readable: for an alarm, which may ring late and before the hub has looked. A pidfd is when its
/// process has ended.
pub(crate) fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    // Interrupted, though it does not wait.
    let ready = retry_on_intr(|| poll(&mut fds, Some(&Timespec::default())));
    ready == Ok(1)
}
