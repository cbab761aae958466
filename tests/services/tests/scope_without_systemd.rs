//! A manager that is absent, slow or wrong: a child runs without its scope, or does not start if that is required, and
//! says why; nobody waits longer than was asked for. The managers are mocks on a private bus.

use std::process::{Command, Output};

use legwork_tests::program;

/// Plays a scene of `scope_scenes`, which judges itself, on a session bus of its own.
#[track_caller]
fn play(before: &[&str], scene: &str, argument: &str) {
    run(
        Command::new("dbus-run-session").arg("--").args(before),
        scene,
        argument,
    );
}

#[track_caller]
fn run(command: &mut Command, scene: &str, argument: &str) {
    let command = command.arg(program("scope_scenes")).args([scene, argument]);
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("dbus-run-session(1)");
    println!("{scene}: {}", String::from_utf8_lossy(&stdout));
    assert!(
        status.success(),
        "{status}\n{}",
        String::from_utf8_lossy(&stderr)
    );
}

/// With a mock that answers in this way: the reason that is given contains the words.
#[track_caller]
fn manager_that(answers: &str, words: &str) {
    let mock = program("mock_manager");
    let mock = [mock.to_str().unwrap(), answers];
    play(&mock, "without", words);
    play(&mock, "required", words);
}

const LATE: &str = "did not answer StartTransientUnit within 1s";

#[test]
fn no_manager() {
    play(
        &[],
        "without",
        "StartTransientUnit of org.freedesktop.systemd1 failed",
    );
    play(
        &[],
        "required",
        "StartTransientUnit of org.freedesktop.systemd1 failed",
    );
}

#[test]
fn no_bus_or_one_whose_address_is_malformed_or_refused() {
    for address in ["unix:path=/nowhere", "garbage", "tcp:host=127.0.0.1,port=1"] {
        for scene in ["without", "required"] {
            let mut command = Command::new("env");
            command.arg(format!("DBUS_SESSION_BUS_ADDRESS={address}"));
            run(&mut command, scene, "no connection to the session bus");
        }
    }
}

#[test]
fn a_manager_that_never_answers() {
    manager_that("never", LATE);
}

#[test]
fn a_manager_that_answers_too_late() {
    manager_that("late", LATE);
}

#[test]
fn a_manager_that_answers_with_an_error() {
    manager_that("error", "out of order");
}

#[test]
fn a_manager_that_answers_with_the_wrong_type() {
    manager_that(
        "wrong_type",
        "StartTransientUnit of org.freedesktop.systemd1 failed",
    );
}

#[test]
fn a_manager_whose_signal_has_the_wrong_type() {
    manager_that("wrong_signal", LATE);
}

#[test]
fn a_manager_that_does_not_signal_the_end_of_its_job() {
    manager_that("no_signal", LATE);
}

#[test]
fn a_manager_whose_job_fails() {
    manager_that("job_failed", "ended with \"failed\"");
}

#[test]
fn a_manager_that_does_not_do_what_it_says() {
    manager_that("lies", "but the child is in the cgroup");
}

#[test]
fn a_manager_that_vanishes_in_the_middle_of_a_call() {
    manager_that(
        "vanishes",
        "StartTransientUnit of org.freedesktop.systemd1 failed",
    );
}

#[test]
fn what_waits_for_its_scope_is_stopped_at_once() {
    let mock = program("mock_manager");
    for how in ["cancel", "drop", "deadline", "kill"] {
        play(&[mock.to_str().unwrap(), "never"], "at_the_gate", how);
    }
}

#[test]
fn what_can_never_be_is_refused_before_the_start() {
    play(&[], "refused", "");
}

#[test]
fn without_a_scope_a_child_yields_by_itself() {
    play(&[], "qos", "");
}
