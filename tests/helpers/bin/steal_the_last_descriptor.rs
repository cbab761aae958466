//! One thread starts children with one descriptor to spare; another takes and returns it continuously.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use legwork::spawn::{Plan, Program, Step};
use rustix::{
    fs::{MemfdFlags, memfd_create},
    process::{Resource, Rlimit, WaitOptions, getrlimit, setrlimit, wait},
};

fn main() {
    let limit = Rlimit {
        current: Some(32),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut ballast = Vec::new();
    while let Ok(more) = memfd_create("ballast", MemfdFlags::CLOEXEC) {
        ballast.push(more);
    }
    ballast.pop();

    let stop = AtomicBool::new(false);
    let outcomes = thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                drop(memfd_create("thief", MemfdFlags::CLOEXEC));
            }
        });
        let outcomes = try_until_all_is_seen();
        stop.store(true, Ordering::Relaxed);
        outcomes
    });
    assert!(outcomes.started > 0 && outcomes.refused > 0, "{outcomes:?}");
    let left = wait(WaitOptions::NOHANG).unwrap_err();
    assert_eq!(left, rustix::io::Errno::CHILD, "a process is left");
    println!("{outcomes:?}");
}

#[derive(Debug, Default)]
struct Outcomes {
    started: u32,
    /// Refused before there was a process.
    refused: u32,
    /// Started, but no pidfd could be opened, so it was killed.
    lost: u32,
}

fn try_until_all_is_seen() -> Outcomes {
    let mut outcomes = Outcomes::default();
    let start = Instant::now();
    let seen = |o: &Outcomes| o.started > 0 && o.refused > 0 && o.lost > 0;
    while !seen(&outcomes) && start.elapsed() < Duration::from_secs(5) {
        match Plan::new(Program::path("/bin/true")).spawn() {
            Ok(mut child) => {
                assert!(child.wait().unwrap().success());
                outcomes.started += 1;
            }
            Err(error) => {
                assert_eq!(error.step(), Step::Pidfd, "{error}");
                assert_eq!(error.errno(), Some(libc::EMFILE));
                if error.to_string().ends_with("the child was killed") {
                    outcomes.lost += 1;
                } else {
                    outcomes.refused += 1;
                }
            }
        }
    }
    outcomes
}
