//! Whether somebody keeps a process from running.

use std::fs;

/// Where the cgroups of version 2 are mounted, alone or beside those of version 1.
const CGROUPS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

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
    let Some(own) = cgroups.lines().find_map(|line| line.strip_prefix("0::")) else {
        return false;
    };
    CGROUPS.iter().any(|root| {
        fs::read_to_string(format!("{root}{own}/cgroup.events"))
            .is_ok_and(|events| events.lines().any(|line| line == "frozen 1"))
    })
}
