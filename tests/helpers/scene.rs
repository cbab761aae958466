//! Scenes: how running work in children of a program with threads, a main loop and connections has failed in real
//! programs.
//!
//! Each has a control, a helper program of its own in which the failure is produced the old way, by a fork without an
//! exec. The control prints what it measured, and the test judges it: a control that no longer fails has lost its
//! meaning, and with it the scene.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{Read, Seek, Write};
use std::str::FromStr;
use std::time::Duration;

use legwork::spawn::{Plan, Program};
use rustix::time::{ClockId, clock_gettime};

/// What a control has measured, by name.
#[derive(Debug)]
pub struct Figures {
    control: String,
    by_name: BTreeMap<String, String>,
}

impl Figures {
    /// Returns one of the values.
    #[track_caller]
    pub fn get<T: FromStr>(&self, name: &str) -> T {
        self.by_name
            .get(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("{} has told no {name}: {self:?}", self.control))
    }
}

/// Runs a control to its end.
pub fn control(name: &str) -> Figures {
    control_with(name, |plan| plan)
}

/// Runs a control whose plan the test completes.
pub fn control_with(name: &str, complete: impl FnOnce(Plan) -> Plan) -> Figures {
    let mut said = tempfile::tempfile().expect("a temporary file");
    let plan = Plan::new(Program::path(crate::program(name)))
        .stdout(crate::duplicate(&said))
        .stderr(crate::duplicate(&said));
    let mut helper = complete(plan).spawn().expect("the control starts");
    let exit = helper.wait().expect("nobody else waits for it");
    let mut words = String::new();
    said.rewind().expect("a file");
    let _ = said.read_to_string(&mut words);
    assert!(exit.success(), "{name}: {}\n{words}", exit.status);
    Figures {
        control: name.to_owned(),
        by_name: words
            .lines()
            .filter_map(|line| line.strip_prefix("figure ")?.split_once(' '))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    }
}

/// For controls: prints one value.
pub fn tell(name: &str, value: impl Display) {
    // Not by `println!`: some controls leave its lock held in the copy.
    let line = format!("figure {name} {value}\n");
    let _ = rustix::io::write(rustix::stdio::stdout(), line.as_bytes());
}

/// Returns the peak memory of this process, `VmHWM`, in KiB.
pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("of this process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .expect("the kernel counts it")
}

/// Returns the processor time of this process, all threads together.
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Runs a function that must not hang, and ends the process if it does: there is no other way for a deadlock to fail.
pub fn within<T>(bound: Duration, what: &str, work: impl FnOnce() -> T) -> T {
    let (done, is_done) = std::sync::mpsc::channel::<()>();
    let what = what.to_owned();
    let watchdog = std::thread::spawn(move || {
        let timeout = std::sync::mpsc::RecvTimeoutError::Timeout;
        if is_done.recv_timeout(bound) == Err(timeout) {
            let _ = writeln!(std::io::stderr(), "after {bound:?} still not: {what}");
            std::process::abort();
        }
    });
    let result = work();
    drop(done);
    let _ = watchdog.join();
    result
}

/// 1,048,576 bytes.
pub const MIB: u64 = 1024 * 1024;

/// The memory of a process, in bytes: `/proc/PID/smaps_rollup` of proc(5).
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// The resident part of everything that it has mapped.
    pub resident: u64,
    /// The part of that which no other process has mapped.
    pub private: u64,
    /// The part of that which is not a file's.
    pub anonymous: u64,
}

impl Memory {
    /// Reads the memory of a running process.
    pub fn of(pid: u32) -> Self {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
            .expect("the memory of a process that is there and may be looked at");
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
            let number: Option<u64> = number.and_then(|number| number.parse().ok());
            number.expect("a figure in kB") * 1024
        };
        Memory {
            resident: field("Rss:"),
            private: field("Private_Clean:") + field("Private_Dirty:") + field("Private_Hugetlb:"),
            anonymous: field("Anonymous:"),
        }
    }
}

/// Allocates 1 GiB, with every page of it resident.
pub fn gibibyte() -> Vec<u8> {
    vec![7; 1 << 30]
}
