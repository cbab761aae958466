//! The watcher: the worker's second thread, which sleeps in poll(2).
//!
//! It notices when the app asks for the end of the process, by closing its direction of the control socket. So a job
//! that computes need not look at the socket.
//!
//! It notices the death of the app in two ways. The control socket is closed, which also happens when the app drops
//! the job; but any process that a library of the app has forked holds the app's end open. Therefore the app sends a
//! pidfd of itself with its Hello. In both cases the watcher kills this process and its group with SIGKILL: the job's
//! own children must not outlive it, and nothing that the job does can delay that. (A stopped worker cannot run this
//! code; the [guardian](crate::guardian) kills it.)

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Acquire;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::crash;
use super::link::Link;
use super::run;
use crate::process::leave_with_group;
use crate::wire::control::Wait;

/// Enough to look up the names of a crash's frames. Memory is taken for the touched part only.
const STACK: usize = 1024 * 1024;

/// Starts the watcher.
pub(super) fn start(link: &'static Link, app: OwnedFd) -> io::Result<()> {
    std::thread::Builder::new()
        .name("legwork-watch".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            // Signals to the program are handled by the job's threads.
            let _ = nix::sys::signal::SigSet::all().thread_block();
            watch(link, &app)
        })?;
    Ok(())
}

fn watch(link: &'static Link, app: &OwnedFd) -> ! {
    let mut wait = None;
    loop {
        let mut interest = PollFlags::empty();
        interest.set(PollFlags::RDHUP, !link.is_retiring());
        if link.logs_blocked.load(Acquire) {
            interest |= PollFlags::OUT;
        }
        let mut fds = [
            PollFd::new(&link.control, interest),
            PollFd::new(&link.wake, PollFlags::IN),
            PollFd::new(app, PollFlags::IN),
        ];
        let timeout = wait.and_then(|wait| Timespec::try_from(wait).ok());
        if poll(&mut fds, timeout.as_ref()).is_err() {
            continue;
        }
        let gone = PollFlags::HUP | PollFlags::ERR;
        if fds[0].revents().intersects(gone) || !fds[2].revents().is_empty() {
            leave_with_group();
        }
        if fds[0].revents().contains(PollFlags::RDHUP) {
            link.retire();
        }
        if !fds[1].revents().is_empty() {
            // This resets the eventfd; the reason is found below.
            let _ = rustix::io::read(&link.wake, &mut [0; 8]);
        }
        if fds[0].revents().contains(PollFlags::OUT) {
            link.flush_logs();
        }
        crash::name_frames(link);
        wait = run::current().and_then(|run| run.flush_progress(Wait::No));
    }
}
