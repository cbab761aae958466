//! An app whose main loop is busy for a while: a slow callback, a debugger, a process that is stopped. What a child did
//! within its time counts, even if the app hears of it after the time is over.

use std::thread::sleep;
use std::time::{Duration, Instant};

use legwork::prelude::*;
use legwork::{State, Stdio};
use legwork_tests::context::{run, state, until};
use legwork_tests::jobs::Misbehave;
use legwork_tests::programs::{command, sh, worker};

/// What the children are given.
const TIME: Duration = Duration::from_secs(2);

/// Keeps the thread until the time that began at `start` is over.
fn be_busy_since(start: Instant) {
    sleep((start + TIME + TIME / 2).saturating_duration_since(Instant::now()));
}

#[test]
fn a_program_that_ended_in_time_has_not_missed_its_deadline() {
    run(|| async {
        let start = Instant::now();
        let program = command("true").deadline(TIME).spawn();
        let pid = program.pid().unwrap();
        legwork_tests::until("it has ended", || state(pid) == Some('Z'));
        be_busy_since(start);
        program.await.unwrap();

        // The control: one that has not ended.
        let start = Instant::now();
        let program = command("sleep").arg("1000").deadline(TIME).spawn();
        be_busy_since(start);
        assert!(program.await.unwrap_err().is_timeout());
    });
}

#[test]
fn a_program_that_wrote_in_time_is_not_stalled() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    run(|| async {
        let script = "echo one; read go; echo two; : > \"$0\"; read end; exit 7";
        let program = sh(script).arg(&mark).stdin(Stdio::piped());
        let program = program.stdout(Stdio::piped()).stall_deadline(TIME);
        let mut program = program.success_codes([7]).spawn();
        let (mut hears, mut says) = (program.stdin().unwrap(), program.stdout().unwrap());
        assert!(says.wait_for("one\n").await.is_some());
        let start = Instant::now();
        hears.write(b"go\n").await.unwrap();
        legwork_tests::until("it has written", || mark.exists());
        be_busy_since(start);
        assert!(says.wait_for("two\n").await.is_some());
        hears.write(b"end\n").await.unwrap();
        program.await.unwrap();
    });
}

#[test]
fn a_worker_that_answered_in_time_is_not_killed_for_its_silence() {
    run(|| async {
        let start = Instant::now();
        let job = Misbehave::HangPolitely.builder().worker(&worker());
        let mut job = job.handshake_deadline(TIME).spawn();
        let pid = job.pid().unwrap();
        let threads = || std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        // It has set itself up when it watches the app.
        legwork_tests::until("it runs", || threads().count() > 1);
        be_busy_since(start);
        assert_eq!(job.message().await.as_deref(), Some("hanging"));
        until("it runs", || job.status().state() == State::Running).await;
        job.cancel();
        let error = job.await.unwrap_err();
        assert!(error.is_cancelled(), "{error:?}");
        assert_eq!(error.signal(), None, "it was killed: {error:?}");
    });
}

#[test]
fn a_program_whose_helper_did_its_part_in_time_runs() {
    run(|| async {
        let program = sh("echo on; read end").umask(0o022);
        let program = program.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = program.spawn();
        let pid = program.pid().unwrap();
        let name = || std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
        legwork_tests::until("it is the program", || name() == "sh\n");
        // Longer than a helper may take.
        sleep(Duration::from_secs(11));
        let mut says = program.stdout().unwrap();
        assert!(says.wait_for("on\n").await.is_some());
        program.stdin().unwrap().write(b"end\n").await.unwrap();
        program.await.unwrap();
    });
}
