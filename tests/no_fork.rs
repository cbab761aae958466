//! No fork, neither by the count of `pthread_atfork` handlers nor by a trace of the system calls.

use std::{path::Path, process::Command};

use legwork::spawn::{Plan, Program};
use legwork_tests::{program, sacrifice};

#[test]
fn no_handler_for_fork_is_called_by_a_start_and_a_fork_calls_them() {
    sacrifice("count_forks");
}

#[test]
fn a_trace_shows_nothing_but_clones_that_share_memory_until_the_exec() {
    let helper = program("count_forks");
    let Some(by_legwork) = births_of(&helper, &["without-control"]) else {
        return;
    };
    assert_eq!(by_legwork.len(), 20, "{by_legwork:#?}");
    assert_no_fork(&by_legwork);
    let with_fork = births_of(&helper, &[]).unwrap();
    assert_eq!(with_fork.len(), 21, "{with_fork:#?}");
    assert_eq!(forks(&with_fork).len(), 1, "the control is not seen");
}

#[test]
fn no_way_to_run_a_program_forks() {
    let helper = program("run_every_way");
    let Some(by_legwork) = births_of(&helper, &[]) else {
        return;
    };
    // One for each program that is executed, and the guardian. What is refused before has none.
    assert!(by_legwork.len() >= 20, "{by_legwork:#?}");
    assert_no_fork(&by_legwork);
    let with_fork = births_of(&helper, &["and-fork"]).unwrap();
    assert_eq!(with_fork.len(), by_legwork.len() + 1, "{with_fork:#?}");
    assert_eq!(forks(&with_fork).len(), 1, "the control is not seen");
}

#[test]
fn the_command_does_not_fork() {
    let legwork = Path::new(env!("CARGO_BIN_EXE_command_legwork"));
    for options in [
        &["--"][..],
        &["--umask", "022", "--limit", "core=0", "--"],
        &["--session", "--json", "--timeout", "60", "--"],
        &["--pty", "--"],
    ] {
        let arguments = [&["run"], options, &["true"]].concat();
        let Some(births) = births_of(legwork, &arguments) else {
            return;
        };
        assert!(!births.is_empty(), "{options:?}: the trace shows nothing");
        assert_no_fork(&births);
    }
}

/// Every birth of a process by the program and all that it starts, none of which is a shell; `None` without strace.
fn births_of(program: &Path, arguments: &[&str]) -> Option<Vec<String>> {
    if Command::new("strace").arg("--version").output().is_err() {
        eprintln!("not checked: there is no strace on this machine");
        return None;
    }
    if is_traced() {
        eprintln!("not checked: a tracer is at work here already, which sees them all");
        return None;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let exit = Plan::new(Program::name("strace"))
        .args(["-f", "-e", "trace=fork,vfork,clone,clone3", "-o"])
        .arg(file.path())
        .arg(program)
        .args(arguments.iter().copied())
        .spawn()
        .unwrap()
        .wait()
        .unwrap();
    assert!(exit.success(), "{program:?} {arguments:?}: {}", exit.status);
    Some(births(&std::fs::read_to_string(file.path()).unwrap()))
}

fn is_traced() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    !status.contains("\nTracerPid:\t0\n")
}

fn forks(births: &[String]) -> Vec<&String> {
    births.iter().filter(|call| !shares_memory(call)).collect()
}

#[track_caller]
fn assert_no_fork(births: &[String]) {
    let forks = forks(births);
    assert!(forks.is_empty(), "{forks:#?}");
    println!("{} processes, 0 forks", births.len());
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
