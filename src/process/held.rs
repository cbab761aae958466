//! Whether somebody keeps a process from running.

use std::fs;

use super::cgroup::{MOUNTS, own_path};

/// Whether a child that has not been reaped is stopped by a signal, held by a debugger, or in a frozen cgroup. Without
/// `/proc` it is taken to run.
pub(crate) fn is_held(pid: u32) -> bool {
    let read = |file| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    // The state is the first field after the name, which may contain anything; see proc(5).
    let stat = read("stat");
    let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    state.starts_with(['T', 't']) || is_frozen(&read("cgroup"))
}

/// By the file of a process that names its cgroups; see cgroups(7).
fn is_frozen(cgroups: &str) -> bool {
    let Some(own) = own_path(cgroups) else {
        return false;
    };
    MOUNTS.iter().any(|root| {
        fs::read_to_string(format!("{root}{own}/cgroup.events"))
            .is_ok_and(|events| events.lines().any(|line| line == "frozen 1"))
    })
}
