//! What the tests of D-Bus and of the desktop share.

pub mod desk;
pub mod greeter;
pub mod jobs;
pub mod listed;
pub mod private_bus;
pub mod scope_jobs;
pub mod steps;
pub mod subject;
pub mod talking;

/// Returns how many threads this process has.
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task")
        .expect("the threads of this process")
        .count()
}

/// Returns whether tests that need root, other services or much time are to run: those ask for `LEGWORK_SERVICES`. A test that is not
/// to run says so, and why.
pub fn services_or_skip(why: &str) -> bool {
    let asked = std::env::var_os("LEGWORK_SERVICES").is_some();
    if !asked {
        eprintln!("SKIPPED without LEGWORK_SERVICES: {why}");
    }
    asked
}
