//! The descriptors that a sleeping thread waits for.
//!
//! The kernel shows the system call in which a thread sleeps, with its arguments, to whoever may debug the process. Of
//! a thread that runs it shows nothing, so a loop that never sleeps cannot be examined.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt;

use procfs::process::{Process, Syscall, Task};

/// How many descriptors are read at most.
const MOST: u64 = 4096;
/// The size of a `struct pollfd`.
const SIZE: usize = 8;

/// Returns the descriptors that a thread waits for by poll(2) or epoll_wait(2), including those in its epoll sets.
/// `None` if it does not wait now, or if that cannot be seen.
pub(super) fn polled(process: &Process, thread: &Task) -> Option<BTreeSet<RawFd>> {
    let Ok(Syscall::Blocked {
        syscall_number,
        argument_registers: [first, second, ..],
        ..
    }) = thread.syscall()
    else {
        return None;
    };
    let mut polled = match syscall_number {
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll => poll_set(process, first, second)?,
        libc::SYS_ppoll => poll_set(process, first, second)?,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_epoll_wait => BTreeSet::from([first as RawFd]),
        libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => BTreeSet::from([first as RawFd]),
        _ => return None,
    };
    let inner = polled
        .iter()
        .flat_map(|number| epoll_set(process.pid, *number));
    polled.extend(inner.collect::<Vec<_>>());
    Some(polled)
}

/// Reads an array of `struct pollfd` from the memory of the process.
fn poll_set(process: &Process, address: u64, count: u64) -> Option<BTreeSet<RawFd>> {
    let mut bytes = vec![0; count.min(MOST) as usize * SIZE];
    let memory = process.mem().ok()?;
    memory.read_exact_at(&mut bytes, address).ok()?;
    let number = |entry: &[u8]| Some(RawFd::from_ne_bytes(entry[..4].try_into().ok()?));
    let numbers = bytes.chunks_exact(SIZE).filter_map(number);
    Some(numbers.filter(|number| *number >= 0).collect())
}

/// Returns the descriptors in an epoll set; empty if the descriptor is something else.
fn epoll_set(pid: i32, number: RawFd) -> Vec<RawFd> {
    let details = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}"));
    let details = details.unwrap_or_default();
    let targets = details.lines().filter_map(|line| line.strip_prefix("tfd:"));
    let number = |target: &str| target.split_whitespace().next()?.parse().ok();
    targets.filter_map(number).collect()
}
