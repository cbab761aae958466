//! No fork: not by the count of `pthread_atfork` handlers, and not by a trace of the system calls.

use std::process::Command;

use legwork::spawn::{Plan, Program};
use legwork_tests::{program, sacrifice};

#[test]
fn no_handler_for_fork_is_called_by_a_start_and_a_fork_calls_them() {
    sacrifice("count_forks");
}

#[test]
fn a_trace_shows_nothing_but_clones_that_share_memory_until_the_exec() {
    let strace = |arguments: &[&str]| {
        let file = tempfile::NamedTempFile::new().unwrap();
        let exit = Plan::new(Program::name("strace"))
            .args(["-f", "-e", "trace=fork,vfork,clone,clone3", "-o"])
            .arg(file.path())
            .arg(program("count_forks"))
            .args(arguments.iter().copied())
            .spawn()
            .unwrap()
            .wait()
            .unwrap();
        assert!(exit.success(), "{}", exit.status);
        let trace = std::fs::read_to_string(file.path()).unwrap();
        births(&trace)
    };
    if Command::new("strace").arg("--version").output().is_err() {
        eprintln!("not checked: there is no strace on this machine");
        return;
    }
    let by_legwork = strace(&["without-control"]);
    assert_eq!(by_legwork.len(), 20, "{by_legwork:#?}");
    assert!(
        by_legwork.iter().all(|call| shares_memory(call)),
        "{by_legwork:#?}"
    );
    let with_fork = strace(&[]);
    assert_eq!(with_fork.len(), 21, "{with_fork:#?}");
    assert!(
        !with_fork.iter().all(|call| shares_memory(call)),
        "the control is not seen"
    );
}

/// The calls that made a process, not a thread.
fn births(trace: &str) -> Vec<String> {
    trace
        .lines()
        .filter(|line| {
            ["fork(", "clone(", "clone3("]
                .iter()
                .any(|call| line.contains(call))
        })
        .filter(|line| !line.contains("CLONE_THREAD") && !line.contains("resumed>"))
        .map(str::to_owned)
        .collect()
}

fn shares_memory(call: &str) -> bool {
    call.contains("CLONE_VM|CLONE_VFORK") || call.contains("CLONE_VM|CLONE_PIDFD|CLONE_VFORK")
}
