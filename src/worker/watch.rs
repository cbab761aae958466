//! The watcher: the worker's second thread, asleep in one `poll`.
//!
//! It hears that the process is to end, which is the app's closing its direction of the control socket:
//! so a job that computes need not look there, and a main loop that stands still is no hindrance.
//!
//! It notices the death of the app in two ways. The close of the control socket is the usual one, and comes as well
//! when the app lets go of the job; but any process that the app's other libraries have forked holds the app's end
//! open. A pidfd of the app, which came with its hello, tells the truth whoever holds what. Either ends this process
//! and its group with SIGKILL: the job's own children must not outlive it, and nothing that the job may be doing can
//! delay it. (A worker that was stopped cannot run this code; the [guardian](crate::guardian) kills that one.)

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering::Acquire;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{getpgrp, getpid};

use super::crash;
use super::link::Link;
use super::run;
use crate::process::leave;
use crate::wire::control::Wait;

/// Enough for naming the frames of a crash; only what is touched is ever taken.
const STACK: usize = 1024 * 1024;

/// Starts the watcher.
pub(super) fn start(link: &'static Link, app: OwnedFd) -> io::Result<()> {
    std::thread::Builder::new()
        .name("legwork-watch".to_owned())
        .stack_size(STACK)
        .spawn(move || {
            // The program's signals are for the job's threads.
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
            die();
        }
        if fds[0].revents().contains(PollFlags::RDHUP) {
            link.retire();
        }
        if !fds[1].revents().is_empty() {
            // Only the count is taken: what it was about is looked up below.
            let _ = rustix::io::read(&link.wake, &mut [0; 8]);
        }
        if fds[0].revents().contains(PollFlags::OUT) {
            link.flush_logs();
        }
        crash::name_frames(link);
        wait = run::current().and_then(|run| run.flush_progress(Wait::No));
    }
}

/// Ends this process and, when it leads one, its group.
fn die() -> ! {
    let own = getpid();
    if getpgrp() == own {
        let _ = rustix::process::kill_process_group(own, rustix::process::Signal::KILL);
    }
    let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
    leave(1)
}
