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
        skipped(&format!("without LEGWORK_SERVICES: {why}"));
    }
    asked
}

/// Says that a test was skipped, past the harness, which shows nothing of what passes.
pub fn skipped(why: &str) {
    use std::io::Write;
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED {name} {why}");
}
