//! Threads that come for one thing and go: for what may keep the caller longer than it can wait.

use std::io;
use std::os::fd::OwnedFd;
use std::thread::{self, JoinHandle};

/// These threads touch little; only what is touched is ever taken.
const STACK: usize = 64 * 1024;

/// Starts a thread that takes no signals: those are for the threads of the program.
pub(crate) fn start(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK)
        .spawn(move || {
            // Fails only for a bad argument, which it is not given.
            let _ = nix::sys::signal::SigSet::all().thread_block();
            work();
        })
}

/// Closes descriptors that nobody asked for. What they are their sender knows: closing a socket that
/// lingers, or a file of a file system that the sender serves itself, can take as long as it likes.
pub(crate) fn close(descriptors: Vec<OwnedFd>) {
    if !descriptors.is_empty() {
        // Without a thread the closure is dropped here, and the descriptors with it.
        let _ = start("legwork-close", move || drop(descriptors));
    }
}
