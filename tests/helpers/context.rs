//! Main contexts for tests: each test has its own, so that tests can run in parallel.

use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use legwork::glib::MainContext;

/// Runs `future` on a main context of its own, which is the thread's default meanwhile.
pub fn run<F: Future>(future: impl FnOnce() -> F) -> F::Output {
    let context = MainContext::new();
    context
        .with_thread_default(|| context.block_on(future()))
        .expect("nobody else has this context")
}

/// Iterates the main context until `happened` returns true; panics after a minute.
pub async fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "it has not happened that {what}"
        );
        legwork::glib::timeout_future(Duration::from_millis(5)).await;
    }
}

/// Returns whether a process with this id exists and is not a zombie.
pub fn is_alive(pid: u32) -> bool {
    state(pid).is_some_and(|state| state != 'Z' && state != 'X')
}

/// Returns the state letter of a process, as in proc(5).
pub fn state(pid: u32) -> Option<char> {
    let stat =
        std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Returns whether a process is stopped: by a signal, or by a tracer that was notified of one.
pub fn is_stopped(pid: u32) -> bool {
    matches!(state(pid), Some('T' | 't'))
}
