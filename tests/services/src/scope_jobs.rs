//! Jobs that say in which cgroup they are, and that start others.

use std::process::{Command, Stdio};

use legwork::{Ctx, Job};
use serde::{Deserialize, Serialize};

/// The error type of the jobs, for `?`.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

legwork::jobs! {
    /// All of them.
    pub static JOBS = [Priority, Tree, Where];
}

/// Returns the nice value, policy and I/O priority of its thread, and the nice value of another thread of the worker.
#[derive(Debug, Serialize, Deserialize)]
pub struct Priority;

impl Job for Priority {
    type Message = ();
    type Output = String;
    type Error = Failure;

    fn run(self, _: &Ctx<Self>) -> Result<String, Failure> {
        let own = std::process::id().to_string();
        let said = |program: &str| {
            let output = Command::new(program).args(["-p", &own]).output()?;
            Ok::<_, Failure>(String::from_utf8(output.stdout)?)
        };
        let nice = |thread: &str| {
            let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat"))?;
            let nice = stat
                .rsplit_once(") ")
                .and_then(|(_, rest)| rest.split(' ').nth(16));
            Ok::<_, Failure>(nice.unwrap_or_default().to_owned())
        };
        let mut watcher = String::new();
        for thread in std::fs::read_dir("/proc/self/task")? {
            let name = thread?.file_name().to_string_lossy().into_owned();
            if name != own {
                watcher = nice(&name)?;
            }
        }
        let (policy, io) = (said("chrt")?, said("ionice")?);
        Ok(format!(
            "nice {}, {policy} {io} watcher {watcher}",
            nice(&own)?
        ))
    }
}

/// Returns the path of its cgroup of version 2.
#[derive(Debug, Serialize, Deserialize)]
pub struct Where;

impl Job for Where {
    type Message = ();
    type Output = String;
    type Error = Failure;

    fn run(self, _: &Ctx<Self>) -> Result<String, Failure> {
        let cgroups = std::fs::read_to_string("/proc/self/cgroup")?;
        let own = cgroups.lines().find_map(|line| line.strip_prefix("0::"));
        Ok(own.unwrap_or_default().to_owned())
    }
}

/// Starts a process in a session of its own, sends its number, and waits until it is asked to stop.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tree;

impl Job for Tree {
    type Message = u32;
    type Output = ();
    type Error = Failure;

    fn run(self, cx: &Ctx<Self>) -> Result<(), Failure> {
        let child = Command::new("setsid")
            .args(["sleep", "1000"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        cx.send(child.id())?;
        loop {
            cx.check()?;
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}
