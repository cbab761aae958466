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

/// What was observed of this thread's loop.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// How often it has called poll.
    pub polls: u64,
    /// The most processor time that it has used between two polls. Other processes on the machine do not count.
    pub longest: Duration,
    since: Option<Duration>,
}

/// Returns the processor time that this thread has used.
pub fn used() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

unsafe extern "C" fn poll(fds: *mut ffi::GPollFD, count: u32, timeout: i32) -> i32 {
    let mut seen = SEEN.get();
    seen.polls += 1;
    if let Some(since) = seen.since {
        seen.longest = seen.longest.max(used() - since);
    }
    // SAFETY: the arguments are GLib's; its GPollFD is a struct pollfd, as its documentation says.
    let result = unsafe { libc::poll(fds.cast(), count.into(), timeout) };
    seen.since = Some(used());
    SEEN.set(seen);
    result
}

/// Starts to observe what `context` does on this thread.
pub fn watch(context: &MainContext) {
    // SAFETY: the context is alive, and the function does what g_poll does.
    unsafe { ffi::g_main_context_set_poll_func(context.to_glib_none().0, Some(poll)) };
}

/// Returns what was observed since the last call.
pub fn seen() -> Seen {
    let nothing = Seen {
        polls: 0,
        longest: Duration::ZERO,
        since: None,
    };
    SEEN.replace(nothing)
}
