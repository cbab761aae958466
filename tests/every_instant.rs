//! An app that is killed at each instant of a start, and a system call that fails at each place where one is made.
//!
//! By ptrace(2), on x86-64 alone: how a call is made to fail depends on the processor.
#![cfg(target_arch = "x86_64")]

use std::collections::BTreeMap;
use std::time::Duration;

use legwork_tests::tracer::{App, Stop, Trace, Who, left, marked};
use nix::errno::Errno::{self, *};

/// Kills an app after each of the system calls by which it starts something, and returns how often somebody was left.
fn kill_at_each(what: &str, mut judge: impl FnMut(&str) -> bool) -> (usize, usize) {
    let mut alone = 0;
    for instant in 0.. {
        let mark = format!("{what}, {instant}, {}", std::process::id());
        let mut app = App::start(what, &mark);
        let killed = Trace::follow(&mut app, Who::App, |trace| {
            let mut seen = 0;
            while let Some(stop) = trace.next_stop() {
                if !stop.before && seen == instant {
                    trace.kill();
                    return true;
                }
                seen += usize::from(!stop.before);
            }
            false
        });
        if !killed {
            app.end();
            assert!(left(&mark).is_empty());
            return (instant, alone);
        }
        app.end();
        alone += usize::from(judge(&mark));
    }
    unreachable!()
}

fn nobody_is_left_of(what: &str) {
    let (instants, _) = kill_at_each(what, |mark| {
        let left = left(mark);
        assert!(left.is_empty(), "{mark}: {left:?}");
        false
    });
    println!("{what}: nobody was left by an app that was killed at each of {instants} instants");
    assert!(instants > 30, "{instants}");
}

#[test]
fn nobody_is_left_of_a_job_whose_app_is_killed_at_any_instant_of_its_start() {
    nobody_is_left_of("job");
}

#[test]
fn nobody_is_left_of_a_guarded_program_whose_app_is_killed_at_any_instant_of_its_start() {
    nobody_is_left_of("guarded program");
}

#[test]
fn nobody_is_left_of_a_program_that_is_guarded_by_a_guardian_that_was_there() {
    nobody_is_left_of("another guarded program");
}

#[test]
fn control_a_program_is_left_when_the_app_is_killed_before_the_guardian_knows() {
    let (instants, alone) = kill_at_each("another program", |mark| {
        // The guardian ends after it has killed all that it knew of.
        let mut still = 0;
        loop {
            let left = marked(mark);
            if left.is_empty() {
                return false;
            }
            still = match left.iter().all(|(_, name)| name == "sleep") {
                true => still + 1,
                false => 0,
            };
            if still == 20 {
                for (pid, _) in left {
                    legwork_tests::raw::kill(pid);
                }
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    println!("a program was left at {alone} of {instants} instants");
    assert!(0 < alone && alone < instants, "{alone} of {instants}");
}

/// Kills the worker, or the guardian, that an app starts after each of the system calls that it makes. The app has to answer
/// with one of `answers`, and then to do the same again as if nothing had happened. Returns how often it gave each answer.
fn kill_its_child_at_each(what: &str, who: Who, answers: &[&str]) -> Vec<usize> {
    let mut given = vec![0; answers.len()];
    for instant in 0.. {
        let mark = format!("child of {what}, {instant}, {}", std::process::id());
        let mut app = App::start(what, &mark);
        let killed = Trace::follow(&mut app, who, |trace| {
            let mut seen = 0;
            let mut killed = false;
            while let Some(stop) = trace.next_stop() {
                if !killed && !stop.before && seen == instant {
                    trace.kill();
                    killed = true;
                }
                seen += usize::from(!stop.before);
            }
            killed
        });
        let first = app.answer();
        let is_given = |answer: &&str| first.starts_with(answer);
        let which = answers.iter().position(is_given);
        given[which.unwrap_or_else(|| panic!("{mark}: {first:?}"))] += 1;
        app.go();
        let second = app.answer();
        assert_eq!(second, answers[0], "{mark}: {first:?}");
        // With what it has started the second time.
        app.kill();
        let left = left(&mark);
        assert!(left.is_empty(), "{mark}: {left:?}");
        if !killed {
            assert_eq!(first, answers[0]);
            println!("{what}: killed at each of {instant} instants: {answers:?}: {given:?}");
            assert!(instant > 20, "{instant}");
            return given;
        }
    }
    unreachable!()
}

#[test]
fn a_worker_may_be_killed_at_any_instant() {
    let given = kill_its_child_at_each("another sum", Who::Worker, &["42", "error: "]);
    assert!(given[1] > 20, "the kill was noticed {} times", given[1]);
}

#[test]
fn a_guardian_may_be_killed_at_any_instant_of_its_start() {
    kill_its_child_at_each("program", Who::Guardian, &["started"]);
}

/// How a call can fail for want of something, or because a signal came; see its page in section 2 of the manual. Left out
/// are calls by which the C library or GLib ends the process when they fail (for memory, futexes and the mask of
/// signals), those that cannot fail so, and EAGAIN where something can be read, or a counter is not full.
fn failures(stop: &Stop) -> &'static [Errno] {
    const FCNTL_DUPLICATES: [u64; 2] = [libc::F_DUPFD as u64, libc::F_DUPFD_CLOEXEC as u64];
    let [first, second] = stop.arguments;
    match stop.call {
        libc::SYS_socketpair | libc::SYS_pipe2 | libc::SYS_eventfd2 => &[EMFILE, ENOMEM],
        libc::SYS_epoll_create1 | libc::SYS_memfd_create => &[EMFILE, ENOMEM],
        libc::SYS_pidfd_open | libc::SYS_openat => &[EMFILE, ENOMEM],
        libc::SYS_fcntl if FCNTL_DUPLICATES.contains(&second) => &[EMFILE, ENOMEM],
        libc::SYS_clone | libc::SYS_clone3 | libc::SYS_vfork => &[EAGAIN, ENOMEM],
        libc::SYS_epoll_ctl if second == libc::EPOLL_CTL_ADD as u64 => &[ENOMEM, ENOSPC],
        libc::SYS_ftruncate | libc::SYS_fallocate => &[EINTR, ENOSPC],
        libc::SYS_pwrite64 | libc::SYS_pwritev2 => &[EINTR, ENOSPC],
        libc::SYS_statx | libc::SYS_newfstatat | libc::SYS_faccessat2 => &[ENOMEM],
        libc::SYS_sendmsg | libc::SYS_sendto => &[EAGAIN, ENOMEM, EINTR],
        libc::SYS_recvmsg | libc::SYS_recvfrom => &[ENOMEM, EINTR],
        // Its requests, and its answers.
        libc::SYS_read if first != 0 => &[EINTR],
        libc::SYS_write if first != 1 => &[EINTR],
        libc::SYS_poll | libc::SYS_ppoll | libc::SYS_epoll_wait => &[EINTR],
        libc::SYS_epoll_pwait2 | libc::SYS_waitid => &[EINTR],
        _ => &[],
    }
}

/// Has each call of an app or a worker fail in each way, while something is started and ends, and then does it again.
fn fail_each(what: &str, who: Who) {
    let mut came_of_it = BTreeMap::<String, Vec<String>>::new();
    let mut wrong = Vec::new();
    let mut runs = 0;
    'calls: for index in 0.. {
        for way in 0.. {
            let mark = format!("{what}, {index}, {way}, {}", std::process::id());
            let mut app = App::start(what, &mark);
            let failed = Trace::follow(&mut app, who, |trace| {
                let mut seen = 0;
                while let Some(stop) = trace.next_stop() {
                    let failures = failures(&stop);
                    if !stop.before || failures.is_empty() {
                        continue;
                    }
                    if seen == index {
                        let errno = *failures.get(way)?;
                        trace.fail(stop, errno);
                        while trace.next_stop().is_some() {}
                        return Some(Some((stop.call, errno)));
                    }
                    seen += 1;
                }
                Some(None)
            });
            let Some(failed) = failed else {
                // No other way.
                app.kill();
                continue 'calls;
            };
            let first = app.answer();
            let Some((call, errno)) = failed else {
                assert_eq!(first, "42", "nothing has failed");
                break 'calls;
            };
            runs += 1;
            app.go();
            let second = app.answer();
            let case = format!(
                "call {index} of {what}, number {call}: {errno:?}: {first:?}, then {second:?}"
            );
            let ends_well = app.end();
            let is_well =
                (first == "42" || first.starts_with("error: ")) && second == "42" && ends_well;
            if !is_well {
                eprintln!("{case}");
                wrong.push(case);
            }
            came_of_it
                .entry(first)
                .or_default()
                .push(format!("{call} {errno:?}"));
            let left = left(&mark);
            assert!(left.is_empty(), "{what}, {index}, {errno}: {left:?}");
        }
    }
    println!("{what}: {runs} calls that failed");
    let answers = came_of_it.len();
    for (answer, cases) in came_of_it {
        println!(
            "  {} times {answer}: {:?}",
            cases.len(),
            &cases[..cases.len().min(6)]
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(runs > 10, "{runs}");
    assert!(answers > 1, "nobody has noticed a failure");
}

#[test]
fn a_call_of_the_app_may_fail_while_a_job_starts_talks_and_ends() {
    fail_each("sum", Who::App);
    fail_each("another echo", Who::App);
    fail_each("another unpack", Who::App);
}

#[test]
fn a_call_of_the_app_may_fail_while_a_program_starts_talks_and_ends() {
    fail_each("output", Who::App);
    fail_each("another guarded output", Who::App);
}

#[test]
fn a_call_of_the_worker_may_fail() {
    fail_each("another sum", Who::Worker);
    fail_each("another echo", Who::Worker);
    fail_each("another unpack", Who::Worker);
}
