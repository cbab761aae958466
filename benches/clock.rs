//! One clock for all processes of a run.
//!
//! `CLOCK_MONOTONIC` is the same in every process of a machine, so a child's reading can be subtracted from the app's.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Nanoseconds since the machine started, comparable between processes (`clock_gettime(2)`, `CLOCK_MONOTONIC`).
pub fn now() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// Nanoseconds of processor time that this process has used, all threads together.
pub fn processor_time() -> u64 {
    nanoseconds(clock_gettime(ClockId::ProcessCPUTime))
}

/// Nanoseconds of processor time that the calling thread has used.
pub fn thread_time() -> u64 {
    nanoseconds(clock_gettime(ClockId::ThreadCPUTime))
}

fn nanoseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let rest = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds * 1_000_000_000 + rest
}
