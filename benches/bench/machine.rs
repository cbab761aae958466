//! The machine that a row runs on: its properties, the resources of a process, and the processor that it runs on.

use std::fs;
use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, Pid, sched_setaffinity};

use crate::Result;
use crate::peers::native;

/// Returns what a reader needs to compare two runs.
pub(crate) fn facts() -> Vec<(&'static str, String)> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str, split: char| {
        text.lines()
            .find_map(|line| {
                line.strip_prefix(name)?
                    .split_once(split)
                    .map(|(_, value)| value.trim().trim_matches('"').to_owned())
            })
            .unwrap_or_default()
    };
    let cpus = read("/proc/cpuinfo");
    vec![
        (
            "system",
            field(&read("/etc/os-release"), "PRETTY_NAME", '='),
        ),
        (
            "kernel",
            read("/proc/sys/kernel/osrelease").trim().to_owned(),
        ),
        ("glibc", native::glibc_version()),
        ("glib", native::glib_version()),
        ("processor", field(&cpus, "model name", ':')),
        (
            "processors",
            std::thread::available_parallelism()
                .map_or(0, usize::from)
                .to_string(),
        ),
        ("memory", field(&read("/proc/meminfo"), "MemTotal", ':')),
        (
            "huge pages",
            read("/sys/kernel/mm/transparent_hugepage/enabled")
                .trim()
                .to_owned(),
        ),
        ("load", read("/proc/loadavg").trim().to_owned()),
        (
            "build",
            if cfg!(debug_assertions) {
                "debug: figures mean nothing"
            } else {
                "release"
            }
            .to_owned(),
        ),
    ]
}

/// Returns the path of a program that was built beside this one.
pub(crate) fn sibling(name: &str) -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!(
            "{} is missing: `cargo xtask bench` builds it",
            path.display()
        )
        .into())
    }
}

/// Pins all threads of process `pid` to `processor` (`sched_setaffinity(2)`).
pub(crate) fn pin(pid: u32, processor: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(processor);
    place(pid, &set)
}

/// Lets all threads of process `pid` run on any processor.
pub(crate) fn unpin(pid: u32) -> Result<()> {
    let mut set = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|processor| set.set(processor));
    place(pid, &set)
}

fn place(pid: u32, set: &CpuSet) -> Result<()> {
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.file_name().to_string_lossy().parse()?;
        sched_setaffinity(Pid::from_raw(task), set)?;
    }
    Ok(())
}

/// Returns a field of `/proc/PID/status`, in its own unit.
pub(crate) fn status(pid: u32, field: &str) -> Result<u64> {
    status_of(&format!("/proc/{pid}/status"), field)
}

fn status_of(path: &str, field: &str) -> Result<u64> {
    fs::read_to_string(path)?
        .lines()
        .find_map(|line| {
            line.strip_prefix(field)?
                .strip_prefix(':')?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .ok_or_else(|| format!("no {field} in {path}").into())
}

/// Returns the peak memory of a process in bytes (`VmHWM`).
pub(crate) fn peak_memory(pid: u32) -> Result<f64> {
    Ok(status(pid, "VmHWM")? as f64 * 1024.0)
}

/// Returns how often the threads of this process went to sleep voluntarily.
pub(crate) fn sleeps() -> Result<u64> {
    fs::read_dir("/proc/self/task")?
        .map(|task| {
            status_of(
                &task?.path().join("status").to_string_lossy(),
                "voluntary_ctxt_switches",
            )
        })
        .sum()
}

/// Returns the number of open descriptors of this process, without the one that is used to count them.
pub(crate) fn descriptors() -> Result<usize> {
    Ok(fs::read_dir("/proc/self/fd")?.count() - 1)
}

/// Sets this process's own limit of descriptors, and returns the old one.
pub(crate) fn limit_descriptors(limit: u64) -> Result<u64> {
    let old = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(limit),
            maximum: old.maximum,
        },
    )?;
    Ok(old.current.unwrap_or(u64::MAX))
}
