//! An app that a test freezes together with its child, in the middle of what its argument names. The child has done
//! what it was given time for when it exits with 0.

use std::io::BufRead;
use std::path::PathBuf;
use std::time::Duration;

use legwork::prelude::*;
use legwork::{CommandHandle, State, Stdio, Stop, Worker};
use legwork_tests::context::{run, until};
use legwork_tests::jobs::{Alive, Misbehave, Sign};
use legwork_tests::programs::sh;

/// What the children are given, which is less than they are frozen for.
const TIME: Duration = Duration::from_millis(1600);

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let scene = arguments.next().unwrap().into_string().unwrap();
    let folder = PathBuf::from(arguments.next().unwrap());
    // The test puts it where it is to be frozen.
    std::io::stdin().lock().lines().next();
    run(async || match scene.as_str() {
        "stall" => stall().await,
        "silence" => silence().await,
        "job" => job().await,
        "grace" => grace(folder).await,
        "handshake" => handshake(folder).await,
        other => panic!("there is no scene {other}"),
    });
}

fn say_ready(child: Option<u32>) {
    println!("{}", child.unwrap());
}

async fn started(script: &str, stop: Stop) -> CommandHandle {
    let program = sh(script).stdout(Stdio::piped()).stop(stop);
    let mut program = program.stall_deadline(TIME).spawn();
    program.stdout().unwrap().wait_for("on").await.unwrap();
    say_ready(program.pid());
    program
}

/// It writes all the time, when it can.
async fn stall() {
    let script = "i=0; while [ $i -lt 14 ]; do echo on; sleep 0.2; i=$((i+1)); done";
    started(script, Stop::default()).await.await.unwrap();
}

/// The control: it is silent, although it can write.
async fn silence() {
    let error = started("echo on; exec sleep 30", Stop::default())
        .await
        .await;
    assert!(error.unwrap_err().is_timeout());
}

/// It reports all the time, when it can.
async fn job() {
    let worker = Worker::program(legwork_tests::program("worker"));
    let job = Alive(Sign::Message, 28).builder().worker(&worker);
    let mut job = job.stall_deadline(TIME).spawn();
    job.message().await;
    say_ready(job.pid());
    job.await.unwrap();
}

/// It cleans up when it is asked to end.
async fn grace(folder: PathBuf) {
    let mark = folder.join("mark");
    let clean = format!("sleep 0.3; : > '{}'; exit 0", mark.display());
    let script = format!("trap \"{clean}\" TERM; while :; do echo on; sleep 0.1; done");
    let program = started(&script, Stop::default().grace(TIME)).await;
    program.cancel();
    let error = program.await.unwrap_err();
    assert!(error.is_cancelled() && mark.exists(), "{error:?}");
}

/// It becomes a worker after a while.
async fn handshake(folder: PathBuf) {
    let worker = Worker::program(folder.join("slow_worker"));
    let job = Misbehave::HangPolitely.builder().worker(&worker);
    let job = job.handshake_deadline(TIME).spawn();
    say_ready(job.pid());
    until("it runs or has failed", || {
        job.status().state() != State::Starting
    })
    .await;
    assert_eq!(job.status().state(), State::Running, "{:?}", job.await);
}
