//! What the tests of D-Bus and of the desktop share.

pub mod desk;
pub mod greeter;
pub mod jobs;
pub mod listed;
pub mod private_bus;
pub mod steps;
pub mod subject;
pub mod talking;

/// Returns how many threads this process has.
pub fn threads() -> usize {
    std::fs::read_dir("/proc/self/task")
        .expect("the threads of this process")
        .count()
}
