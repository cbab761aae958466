//! `cargo xtask forks`: traces every process that starts while all tests run, and the program that started it.
//!
//! A child of `posix_spawn` shares its parent's memory until the exec (`CLONE_VM` and `CLONE_VFORK`); a fork does not.
//! Programs from elsewhere (shells, ffmpeg) may fork, and so may the programs of this project that do it on purpose,
//! which are listed in [`APART`]. If any other program forks, the task fails. It does not check whether the tests pass,
//! because the tracer disturbs them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ExitCode, Stdio};

use crate::needs::Level;
use crate::session::Session;
use crate::setup::{self, Install};
use crate::{Outcome, cargo, say, test};

/// Programs of this project that fork on purpose, tests among them. A star stands for the rest of a name.
const APART: &[(&str, &str)] = &[
    ("control_*", "the control of a scene"),
    ("smooth", "a fork beside a start, as its control"),
    ("count_forks", "a fork as its control"),
    ("run_every_way", "a fork as its control"),
    ("buffer", "a forked copy of an app uses a Buffer"),
    ("fork*", "a forked copy of an app uses a handle"),
    ("app_that_dies", "a forked copy holds its descriptors"),
    ("woken_by_a_copy", "a forked copy wakes it"),
    ("hostile", "a worker that forks to outlive its end"),
];

pub(crate) fn run(install: Install, args: &[OsString]) -> Outcome {
    setup::ensure(Level::Test, install)?;
    let file = cargo::target_dir().join("births.strace");
    let scope = test::scope(args);
    test::build(scope, args)?;
    let session = Session::start((1600, 1000))?;
    let _ = std::fs::remove_file(&file);
    say("running all tests under strace");
    let runner = format!(
        "target.'cfg(all())'.runner=['strace','-A','-o','{}','-f','--seccomp-bpf','-q',\
         '-e','trace=clone,clone3,fork,vfork,execve','-e','signal=none']",
        file.display()
    );
    let mut tests = session.command(cargo::program());
    cargo::prepare(&mut tests);
    tests.args(["test", "--no-fail-fast"]).args(scope);
    if args.is_empty() {
        // Without the examples in the documentation, which the compiler would build while they run.
        tests.args(["--lib", "--bins", "--tests"]);
    }
    tests
        .args(args)
        .arg("--config")
        .arg(runner)
        .stdin(Stdio::null());
    let status = cargo::status(&mut tests)?;
    if !status.success() {
        say("some tests have failed under the tracer");
    }
    let trace =
        std::fs::File::open(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let births = Births::read(BufReader::new(trace))?;
    Ok(births.report(&cargo::target_dir()))
}

/// The processes and threads that a program has created.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    /// Processes that shared its memory until they executed something.
    spawned: u64,
    forked: u64,
    threads: u64,
}

/// The counts of all programs, by path.
#[derive(Debug, Default)]
struct Births {
    counts: BTreeMap<String, Counts>,
    /// The program that runs in a process or thread, by its id.
    programs: HashMap<u32, String>,
    /// The program that a process is about to execute, in a call that another line has interrupted.
    asked: HashMap<u32, String>,
}

impl Births {
    fn read(trace: impl BufRead) -> Result<Births, String> {
        let mut births = Births::default();
        for line in trace.split(b'\n') {
            let line = line.map_err(|error| format!("the trace cannot be read: {error}"))?;
            births.take(&String::from_utf8_lossy(&line));
        }
        if births.counts.is_empty() {
            return Err("the trace shows no new process".to_owned());
        }
        Ok(births)
    }

    /// Reads a line of the trace, `PID CALL(ARGUMENTS) = RESULT`, which may be split in two.
    fn take(&mut self, line: &str) {
        let Some((pid, call)) = line.split_once(' ') else {
            return;
        };
        let Ok(pid) = pid.parse() else { return };
        let call = call.trim_start();
        if call.starts_with("+++") {
            // Its id may be reused by now.
            self.programs.remove(&pid);
            self.asked.remove(&pid);
            return;
        }
        let result = call
            .rsplit_once(" = ")
            .and_then(|(_, result)| result.split(' ').next()?.parse::<i64>().ok());
        let resumed = call.starts_with("<... ");
        let name = call.trim_start_matches("<... ");
        if name.starts_with("execve") {
            let path = call.split('"').nth(1).filter(|_| !resumed);
            // By this name it executes the same program again.
            if let Some(path) = path.filter(|path| *path != "/proc/self/exe") {
                self.asked.insert(pid, path.to_owned());
            }
            if result == Some(0)
                && let Some(path) = self.asked.remove(&pid)
            {
                self.programs.insert(pid, path);
            }
            return;
        }
        if !name.starts_with("clone") && !name.starts_with("fork") && !name.starts_with("vfork") {
            return;
        }
        let program = self.programs.entry(pid).or_insert_with(|| unknown(pid));
        let program = program.clone();
        // The flags are only in the first half.
        if !resumed && result != Some(-1) {
            let counts = self.counts.entry(program.clone()).or_default();
            let shares = call.contains("CLONE_VM") && call.contains("CLONE_VFORK");
            *match () {
                () if call.contains("CLONE_THREAD") => &mut counts.threads,
                () if shares || name.starts_with("vfork") => &mut counts.spawned,
                () => &mut counts.forked,
            } += 1;
        }
        if let Some(child) = result.and_then(|child| u32::try_from(child).ok()) {
            self.is_child(child, program);
        }
    }

    /// Notes a new child process. It may have created processes itself before its parent's call returned.
    fn is_child(&mut self, child: u32, program: String) {
        if let Some(counts) = self.counts.remove(&unknown(child)) {
            let all = self.counts.entry(program.clone()).or_default();
            all.spawned += counts.spawned;
            all.forked += counts.forked;
            all.threads += counts.threads;
        }
        let of = self.programs.values_mut();
        of.filter(|of| **of == unknown(child))
            .for_each(|of| of.clone_from(&program));
        self.programs.entry(child).or_insert(program);
    }

    /// Prints what each program has done. Returns a failure if a program has forked that must not.
    fn report(&self, target: &Path) -> ExitCode {
        let mut faults = 0;
        let mut own = Counts::default();
        println!("{:>9} {:>9} {:>9}  program", "spawned", "forked", "threads");
        for (program, counts) in &self.counts {
            let name = Path::new(program).file_name().unwrap_or_default();
            let name = name.to_string_lossy();
            // Some tests copy themselves to another folder.
            let ours = Path::new(program).starts_with(target)
                || target.join("debug").join(&*name).is_file();
            let why = match (ours, apart(&name)) {
                (false, _) => "not of this project".to_owned(),
                (true, Some(reason)) => format!("apart: {reason}"),
                (true, None) => {
                    own.spawned += counts.spawned;
                    own.forked += counts.forked;
                    own.threads += counts.threads;
                    faults += u64::from(counts.forked > 0);
                    let fault = if counts.forked > 0 { "FORKS" } else { "" };
                    fault.to_owned()
                }
            };
            if counts.spawned + counts.forked > 0 {
                let Counts {
                    spawned,
                    forked,
                    threads,
                } = counts;
                println!("{spawned:>9} {forked:>9} {threads:>9}  {name}  {why}");
            }
        }
        println!(
            "{:>9} {:>9} {:>9}  all of this project's, those apart not counted",
            own.spawned, own.forked, own.threads
        );
        ExitCode::from(u8::from(faults > 0))
    }
}

/// Returns the placeholder for the program of a process whose creation is not complete yet.
fn unknown(pid: u32) -> String {
    format!("process {pid}")
}

/// Returns why a program may fork, if it may.
fn apart(name: &str) -> Option<&'static str> {
    // A test has a hash after its name.
    let plain = match name.rsplit_once('-') {
        Some((plain, hash)) if hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => plain,
        _ => name,
    };
    let of = APART
        .iter()
        .find(|(pattern, _)| match pattern.strip_suffix('*') {
            Some(start) => plain.starts_with(start),
            None => plain == *pattern,
        });
    of.map(|(_, reason)| *reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_forks_is_told_from_who_spawns() {
        let trace = r#"10 execve("/target/debug/app", ["app"], 0x1 /* 9 vars */) = 0
10 clone3({flags=CLONE_VM|CLONE_FS|CLONE_THREAD, child_tid=0x1}, 88) = 11
11 clone3({flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD, stack=0x1}, 88 <unfinished ...>
12 execve("/bin/sh", ["sh"], 0x1 /* 9 vars */ <unfinished ...>
11 <... clone3 resumed>)                = 12
12 <... execve resumed>)                = 0
12 clone(child_stack=NULL, flags=CLONE_CHILD_CLEARTID|SIGCHLD, child_tidptr=0x1) = 13
13 execve("/nowhere", ["x"], 0x1 /* 9 vars */) = -1 ENOENT (No such file or directory)
13 vfork() = 14
10 clone3({flags=CLONE_VM|CLONE_VFORK, exit_signal=SIGCHLD}, 88 <unfinished ...>
20 execve("/proc/self/exe", ["app"], 0x1 /* 9 vars */) = 0
20 clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>
10 <... clone3 resumed>)                = 20
20 <... clone resumed>, child_tidptr=0x1) = 21
14 +++ exited with 0 +++
10 clone(child_stack=NULL, flags=SIGCHLD) = -1 EAGAIN (Resource temporarily unavailable)
"#;
        let births = Births::read(trace.as_bytes()).unwrap();
        let of = |program: &str| {
            let Counts {
                spawned,
                forked,
                threads,
            } = births.counts[program];
            (spawned, forked, threads)
        };
        assert_eq!(of("/target/debug/app"), (2, 1, 1));
        assert_eq!(of("/bin/sh"), (1, 1, 0));
        assert_eq!(births.counts.len(), 2);
        assert!(!births.programs.contains_key(&14));
    }

    #[test]
    fn a_fork_of_ours_is_a_failure_unless_it_is_on_purpose() {
        let target = Path::new("/target");
        let code = |program: &str| {
            let trace = format!("1 execve(\"{program}\", [], 0x1) = 0\n1 fork() = 2\n");
            let births = Births::read(trace.as_bytes()).unwrap();
            births.report(target) == ExitCode::FAILURE
        };
        assert!(code("/target/debug/app"));
        assert!(code("/target/debug/deps/hostile_worker-0123456789abcdef"));
        assert!(!code("/target/debug/deps/buffer-0123456789abcdef"));
        assert!(!code("/target/debug/control_s01"));
        assert!(!code("/bin/sh"));
    }
}
