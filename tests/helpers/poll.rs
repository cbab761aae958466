//! What a main loop does between two polls.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::time::Duration;

use legwork::glib::translate::ToGlibPtr;
use legwork::glib::{MainContext, ffi};
use rustix::time::{ClockId, clock_gettime};

thread_local! {
    static SEEN: Cell<Seen> = const { Cell::new(Seen { polls: 0, longest: Duration::ZERO, since: None }) };
}

/// What has been seen of the loop of this thread.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// How often it has gone to poll.
    pub polls: u64,
    /// The most processor time that it has used between two polls. What others do on the machine does not count.
    pub longest: Duration,
    since: Option<Duration>,
}

fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

unsafe extern "C" fn poll(fds: *mut ffi::GPollFD, count: u32, timeout: i32) -> i32 {
    let mut seen = SEEN.get();
    seen.polls += 1;
    if let Some(since) = seen.since {
        seen.longest = seen.longest.max(used() - since);
    }
    // SAFETY: what GLib has given; its GPollFD is a struct pollfd, as its documentation says.
    let result = unsafe { libc::poll(fds.cast(), count.into(), timeout) };
    seen.since = Some(used());
    SEEN.set(seen);
    result
}

/// From now on what `context` does on this thread is seen.
pub fn watch(context: &MainContext) {
    // SAFETY: the context is alive, and the function does what g_poll does.
    unsafe { ffi::g_main_context_set_poll_func(context.to_glib_none().0, Some(poll)) };
}

/// What has been seen since the last time.
pub fn seen() -> Seen {
    let nothing = Seen {
        polls: 0,
        longest: Duration::ZERO,
        since: None,
    };
    SEEN.replace(nothing)
}
