//! A child is its pidfd: how it ended, signals, and no zombies.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
    time::Duration,
};

use legwork::{
    process::{ExitStatus, Process, Signal},
    spawn::{Group, Plan, Program},
};
use legwork_tests::{is_alive, program, sacrifice, sacrifice_with, until};

fn shell(script: &str) -> Plan {
    Plan::new(Program::name("sh")).args(["-c", script])
}

fn end_by(how: &[&str]) -> Plan {
    Plan::new(Program::path(program("end_by"))).args(how.iter().copied())
}

fn sleeper() -> Process {
    Plan::new(Program::name("sleep"))
        .arg("1000")
        .spawn()
        .unwrap()
}

fn killed_by(signal: Signal) -> ExitStatus {
    ExitStatus::Signal {
        signal,
        core_dumped: false,
    }
}

#[test]
fn an_exit_code_arrives() {
    for code in [0, 1, 42, 255] {
        let exit = end_by(&["exit", &code.to_string()])
            .spawn()
            .unwrap()
            .wait()
            .unwrap();
        assert_eq!(exit.status, ExitStatus::Code(code));
        assert_eq!(exit.success(), code == 0);
        assert_eq!(exit.status.to_string(), format!("exit code {code}"));
    }
}

#[test]
fn a_fatal_signal_arrives_by_name() {
    let names = [
        (libc::SIGKILL, "SIGKILL"),
        (libc::SIGTERM, "SIGTERM"),
        (libc::SIGSEGV, "SIGSEGV"),
        (libc::SIGABRT, "SIGABRT"),
        (libc::SIGPIPE, "SIGPIPE"),
        (libc::SIGRTMIN(), "SIGRTMIN"),
        (libc::SIGRTMIN() + 2, "SIGRTMIN+2"),
    ];
    for (number, name) in names {
        let exit = end_by(&["signal", &number.to_string()])
            .spawn()
            .unwrap()
            .wait()
            .unwrap();
        let signal = exit.status.signal().unwrap();
        assert_eq!((signal.as_raw(), &*signal.name()), (number, name));
        assert_eq!(exit.status.code(), None);
    }
}

#[test]
fn whether_a_core_was_dumped_is_told_as_std_tells_it() {
    let folder = tempfile::tempdir().unwrap();
    for how in ["signal", "signal-with-core"] {
        let how = [how, "11"];
        let plan = end_by(&how).current_dir(folder.path());
        let ours = plan.spawn().unwrap().wait().unwrap().status;
        let mut control = Command::new(program("end_by"));
        let theirs = control
            .args(how)
            .current_dir(folder.path())
            .status()
            .unwrap();
        let expected = ExitStatus::Signal {
            signal: Signal::SEGV,
            core_dumped: theirs.core_dumped(),
        };
        assert_eq!(ours, expected, "{how:?}");
        assert_eq!(
            ours.to_string().contains("core dumped"),
            theirs.core_dumped()
        );
    }
}

#[test]
fn the_usage_is_that_of_the_child() {
    let busy = end_by(&["burn", "200"])
        .spawn()
        .unwrap()
        .wait()
        .unwrap()
        .usage;
    let total = busy.user_time + busy.system_time;
    assert!(total >= Duration::from_millis(200), "{busy:?}");
    assert!(busy.minor_faults > 0);
    let idle = shell("exec sleep 0.3")
        .spawn()
        .unwrap()
        .wait()
        .unwrap()
        .usage;
    assert!(
        idle.user_time + idle.system_time < Duration::from_millis(150),
        "{idle:?}"
    );
    assert!(idle.voluntary_switches > 0);
}

#[test]
fn the_end_is_not_there_before_it_is_there_and_stays_afterwards() {
    let mut child = sleeper();
    assert_eq!(child.try_wait(), Ok(None));
    child.signal(Signal::TERM).unwrap();
    let exit = child.wait().unwrap();
    assert_eq!(exit.status, killed_by(Signal::TERM));
    assert_eq!(child.try_wait(), Ok(Some(exit)));
    assert_eq!(child.wait(), Ok(exit));
}

#[test]
fn the_pidfd_becomes_readable_at_the_end() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut child = sleeper();
    let none = Some(&Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    });
    let readable =
        |child: &Process, timeout| poll(&mut [PollFd::new(child, PollFlags::IN)], timeout).unwrap();
    assert_eq!(readable(&child, none), 0);
    child.kill().unwrap();
    let long = Some(&Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    });
    assert_eq!(readable(&child, long), 1);
    assert_eq!(
        child.try_wait().unwrap().unwrap().status,
        killed_by(Signal::KILL)
    );
}

#[test]
fn a_signal_after_the_end_reaches_nobody_and_says_so() {
    let mut child = end_by(&["exit", "0"])
        .group(Group::Inherit)
        .spawn()
        .unwrap();
    child.wait().unwrap();
    let error = child.signal(Signal::TERM).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
}

#[test]
fn a_child_in_the_apps_group_cannot_take_the_app_along() {
    let mut child = Plan::new(Program::name("sleep"))
        .arg("1000")
        .group(Group::Inherit)
        .spawn()
        .unwrap();
    assert!(!child.leads_group());
    let error = child.signal_group(Signal::KILL).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    assert_eq!(child.try_wait(), Ok(None));
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().status, killed_by(Signal::KILL));
}

/// A child that starts another one, and the other one's number.
fn family(group: Group, ending: &str) -> (Process, u32) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let script = format!("sleep 1000 >/dev/null & echo $! ; {ending}");
    let child = shell(&script).stdout(theirs).group(group).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(ours).read_line(&mut line).unwrap();
    let grandchild = line.trim().parse().unwrap();
    assert!(is_alive(grandchild));
    (child, grandchild)
}

#[test]
fn a_signal_to_the_group_reaches_grandchildren() {
    for group in [Group::Lead, Group::Session] {
        let (mut child, grandchild) = family(group, "wait");
        child.signal_group(Signal::TERM).unwrap();
        child.wait().unwrap();
        until("the grandchild is gone", || !is_alive(grandchild));
    }
}

#[test]
fn the_group_can_be_killed_after_its_leader_is_gone_where_the_kernel_can() {
    let (mut child, grandchild) = family(Group::Lead, "exit 0");
    assert!(child.wait().unwrap().success());
    match child.kill() {
        Ok(()) => until("the grandchild is gone", || !is_alive(grandchild)),
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
            assert!(is_alive(grandchild));
            legwork_tests::raw::kill(grandchild);
        }
    }
}

#[test]
fn dropping_a_child_kills_it_and_its_group_and_leaves_no_zombie() {
    let (child, grandchild) = family(Group::Lead, "wait");
    let pid = child.pid();
    drop(child);
    until("the grandchild is gone", || !is_alive(grandchild));
    until("the child is reaped", || {
        !fs::exists(format!("/proc/{pid}")).unwrap()
    });
}

#[test]
fn dropping_a_stopped_child_kills_it() {
    let child = sleeper();
    let pid = child.pid();
    child.signal(Signal::STOP).unwrap();
    drop(child);
    until("the child is reaped", || {
        !fs::exists(format!("/proc/{pid}")).unwrap()
    });
}

#[test]
fn dropping_a_child_that_has_ended_reaps_it() {
    let child = end_by(&["exit", "0"]).spawn().unwrap();
    let pid = child.pid();
    until("the child has ended", || !is_alive(pid));
    assert!(
        fs::exists(format!("/proc/{pid}")).unwrap(),
        "nobody has reaped it yet"
    );
    drop(child);
    until("the child is reaped", || {
        !fs::exists(format!("/proc/{pid}")).unwrap()
    });
}

#[test]
fn a_child_may_be_waited_for_by_another_thread_than_the_one_that_started_it() {
    let child = std::thread::spawn(sleeper).join().unwrap();
    child.kill().unwrap();
    let exit = std::thread::spawn(move || {
        let mut child = child;
        child.wait()
    });
    assert_eq!(
        exit.join().unwrap().unwrap().status,
        killed_by(Signal::KILL)
    );
}

#[test]
fn nobody_elses_child_is_reaped() {
    let mut foreign = Command::new(program("end_by"))
        .args(["exit", "7"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    until("the foreign child has ended", || !is_alive(foreign.id()));
    for _ in 0..10 {
        end_by(&["exit", "0"]).spawn().unwrap().wait().unwrap();
        drop(sleeper());
    }
    assert_eq!(foreign.wait().unwrap().code(), Some(7));
}

#[test]
fn an_app_that_ignores_sigchld_is_told_so_before_the_spawn() {
    sacrifice("start_with_sigchld_ignored");
    sacrifice_with("start_with_sigchld_ignored", &["forgotten"]);
}

#[test]
fn the_exit_of_a_child_that_the_app_has_reaped_is_known_or_said_to_be_unknown() {
    sacrifice("reap_everything");
    sacrifice_with("reap_everything", &["forgotten"]);
}

#[test]
fn a_forked_copy_of_the_app_may_drop_the_handle_and_nothing_happens() {
    sacrifice("fork_with_a_handle");
    sacrifice_with("fork_with_a_handle", &["unadvised"]);
}
