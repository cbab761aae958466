//! S4: a thread holds a lock at the moment of a fork, and the child waits for it forever.

use std::time::Instant;

use legwork::Worker;
use legwork::prelude::*;
use legwork_tests::context::run;
use legwork_tests::scene;
use legwork_tests::scene_jobs::{LOCK, TakeTheLock};

#[test]
fn control_a_forked_child_waits_for_ever_for_a_lock_that_a_thread_of_its_parent_held() {
    let figures = scene::control("control_s04_lock_held_at_fork");
    let waited: u64 = figures.get("waited_seconds");
    println!(
        "S4 control: after {waited} s the forked children still wait, one for a mutex and one to print a line"
    );
    assert!(
        !figures.get::<bool>("has_the_lock"),
        "the control no longer fails: the child has the mutex"
    );
    assert!(
        !figures.get::<bool>("has_printed"),
        "the control no longer fails: the child has printed"
    );
}

#[test]
fn a_job_takes_the_same_lock_at_once() {
    let held = LOCK.lock().unwrap();
    let output = std::io::stdout().lock();
    let start = Instant::now();
    let was_free = run(async || {
        TakeTheLock
            .builder()
            .worker(&Worker::program(env!("CARGO_BIN_EXE_scene_worker")))
            .spawn()
            .await
    });
    let after = start.elapsed();
    drop(output);
    assert!(was_free.unwrap(), "the lock was not free in the worker");
    assert!(LOCK.try_lock().is_err(), "it was not held in the app");
    println!(
        "S4 with Legwork: the job has taken the lock and printed, and ended after {after:.1?}"
    );
    drop(held);
}
