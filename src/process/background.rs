//! Threads that live for one task: for what may block its caller longer than it can wait.
//!
//! Reaping a process that is slow to die, unmapping gigabytes, closing a socket that lingers:
//! nobody knows how long the system call takes, and the caller may be the main thread. If no thread
//! can be created, the caller does the task itself: late, but done.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

/// These threads need little, and only pages that are used take memory.
const STACK: usize = 64 * 1024;

/// Runs `work` on a thread of that name, which blocks every signal: those are for the program's own
/// threads.
pub(crate) fn run(name: &str, work: impl FnOnce() + Send + 'static) {
    run_by(work, |work| {
        let builder = thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK);
        let thread = builder.spawn(move || {
            // Fails only for an invalid argument.
            let _ = nix::sys::signal::SigSet::all().thread_block();
            work();
        });
        thread.map(drop)
    });
}

/// A task on its way to a thread.
type Work = Box<dyn FnOnce() + Send>;

/// Has `start` run the task elsewhere, and runs it here if that fails.
pub(crate) fn run_by(
    work: impl FnOnce() + Send + 'static,
    start: impl FnOnce(Work) -> io::Result<()>,
) {
    // A start that fails drops its closure.
    let shared = Arc::new(Mutex::new(Some(work)));
    let handed_over = Arc::clone(&shared);
    let take = |work: &Mutex<Option<_>>| work.lock().unwrap_or_else(PoisonError::into_inner).take();
    let started = start(Box::new(move || {
        if let Some(work) = take(&handed_over) {
            work();
        }
    }));
    if started.is_err()
        && let Some(work) = take(&shared)
    {
        work();
    }
}

/// Closes descriptors that nobody asked for. Only their sender knows what they are: closing a
/// socket that lingers, or a file of a file system that the sender serves itself, can block for any
/// time.
pub(crate) fn close(descriptors: Vec<OwnedFd>) {
    if !descriptors.is_empty() {
        run("legwork-close", move || drop(descriptors));
    }
}
