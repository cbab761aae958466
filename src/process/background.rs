//! Threads that live for one piece of work: for what may keep its caller longer than it can wait.
//!
//! Reaping a process that is slow to die, unmapping gigabytes, closing a socket that lingers: the system
//! call takes as long as it takes, and the caller may be the main thread. Where no thread can be had the work
//! is done by the caller: late, but done.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// These threads touch little; only what is touched is ever taken.
const STACK: usize = 64 * 1024;

/// Does `work` on a thread of that name. It takes no signals: those are for the threads of the program.
pub(crate) fn run(name: &str, work: impl FnOnce() + Send + 'static) {
    run_by(work, |work| {
        let builder = thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK);
        let thread = builder.spawn(move || {
            // Fails only for a bad argument, and all signals are a good one.
            let _ = nix::sys::signal::SigSet::all().thread_block();
            work();
        });
        thread.map(drop)
    });
}

/// A piece of work on its way to a thread.
type Work = Box<dyn FnOnce() + Send>;

/// Has `start` do the work elsewhere, and does it here if that fails.
pub(crate) fn run_by(
    work: impl FnOnce() + Send + 'static,
    start: impl FnOnce(Work) -> io::Result<()>,
) {
    // A start that fails drops what it was given.
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

/// Closes descriptors that nobody asked for. What they are only their sender knows: closing a socket that
/// lingers, or a file of a file system that the sender serves itself, can take as long as it likes.
pub(crate) fn close(descriptors: Vec<OwnedFd>) {
    if !descriptors.is_empty() {
        run("legwork-close", move || drop(descriptors));
    }
}
