//! Children in scopes of a real `systemd --user`, which each test has for itself. Where it cannot run, the tests say so,
//! and fail if `LEGWORK_SERVICES` is set.

use std::path::Path;
use std::process::{Command, Output};

use legwork_tests::program;

/// What the script exits with where there can be no systemd.
const MISSING: i32 = 77;

/// Plays a scene of `scope_scenes` beside systemd.
#[track_caller]
fn play(scene: &str, argument: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/systemd-user.sh");
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new("timeout")
        .args(["-k", "5", "120"])
        .arg(script)
        .arg(program("scope_scenes"))
        .args([scene, argument])
        .output()
        .expect("timeout(1)");
    let said = String::from_utf8_lossy(&stderr);
    println!("{}", String::from_utf8_lossy(&stdout));
    if status.code() == Some(MISSING) {
        println!("NOT TESTED: {said}");
        let must = std::env::var_os("LEGWORK_SERVICES").is_some();
        assert!(!must, "{said}");
        return;
    }
    assert!(status.success(), "{status}\n{said}");
}

#[test]
fn a_child_starts_in_its_scope_and_systemd_forgets_it_after_the_end() {
    play("is_in_its_scope", "");
}

#[test]
fn a_thread_with_a_context_of_its_own_has_scopes_as_well() {
    play("on_another_thread", "");
}

#[test]
fn a_limit_is_enforced_or_said_not_to_be() {
    play("limits", "");
}

#[test]
fn stopping_a_child_stops_all_that_it_has_started() {
    play("stop", "scoped");
}

#[test]
fn control_without_a_scope_what_has_left_the_group_lives_on() {
    play("stop", "plain");
}

#[test]
fn pausing_a_child_pauses_all_that_it_has_started() {
    play("pause", "scoped");
}

#[test]
fn control_without_a_scope_what_has_left_the_group_is_not_paused() {
    play("pause", "plain");
}

#[test]
fn what_an_app_leaves_behind_that_is_killed_is_gone_within_a_second() {
    play("app_dies", "scoped");
}

#[test]
fn what_is_paused_when_its_app_is_killed_is_gone_as_well() {
    play("app_dies", "paused");
}

#[test]
fn control_without_a_scope_what_has_left_the_group_outlives_a_killed_app() {
    play("app_dies", "plain");
}

#[test]
fn two_hundred_that_are_killed_leave_no_unit_behind() {
    play("none_left", "200");
}

#[test]
fn a_manager_that_executes_itself_again_loses_nobody() {
    play("restart", "");
}

#[test]
fn a_start_in_a_scope_blocks_the_main_thread_no_longer() {
    play("cost", "");
}

#[test]
fn in_a_scope_the_weights_are_those_of_the_class_and_go_up_again() {
    play("qos_in_a_scope", "");
}
