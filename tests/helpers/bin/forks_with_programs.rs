//! Starts programs and forks, as some library might. The copy drops their inputs and outputs.

use std::future::IntoFuture;
use std::time::Duration;

use legwork::glib::{MainContext, timeout_future};
use legwork::{Stdio, Stop};
use legwork_tests::context::{is_stopped, state, until};
use legwork_tests::programs::command;
use legwork_tests::raw::in_a_forked_copy;

fn main() {
    let context = MainContext::new();
    context
        .with_thread_default(|| {
            input_is_written_once(&context);
            output_stays_paused(&context);
            what_is_ready_is_the_apps(&context);
        })
        .unwrap();
}

fn input_is_written_once(context: &MainContext) {
    let count = command("wc").arg("-c");
    let mut count = count.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let pid = count.pid().unwrap();
    let mut input = Some(count.stdin().unwrap());
    let mut lines = count.stdout().unwrap().lines();
    count.control().pause().unwrap();
    context.block_on(until("it has stopped", || is_stopped(pid)));
    // The pipe takes as much as it can hold, and the rest waits.
    let bytes = [0; 200_000];
    let soon = Duration::from_millis(50);
    let write = input.as_mut().unwrap();
    let written = context.block_on(legwork::glib::future_with_timeout(
        soon,
        write.write(&bytes),
    ));
    assert!(written.is_err(), "it was to wait for room");
    count.control().resume().unwrap();
    // There is space now, but the app has not noticed yet.
    legwork_tests::until("it has read", || state(pid) == Some('S'));
    in_a_forked_copy(|| {
        drop(input.take());
        0
    });
    drop(input);
    let line = context.block_on(lines.recv()).unwrap();
    assert_eq!(line.text, "200000");
    context.block_on(count.into_future()).unwrap();
}

fn output_stays_paused(context: &MainContext) {
    let zeros = command("head").args(["-c", "1000000", "/dev/zero"]);
    let mut zeros = zeros.stdout(Stdio::piped()).spawn();
    let mut stdout = zeros.stdout();
    let while_nobody_reads = || {
        let before = legwork::counters().wakeups;
        context.block_on(timeout_future(Duration::from_millis(300)));
        legwork::counters().wakeups - before
    };
    while while_nobody_reads() > 0 {}
    in_a_forked_copy(|| {
        drop(stdout.take());
        0
    });
    assert_eq!(while_nobody_reads(), 0, "it is left alone");
    let mut stdout = stdout.unwrap();
    let mut total = 0;
    while let Some(chunk) = context.block_on(stdout.chunk()) {
        total += chunk.len();
    }
    assert_eq!(total, 1_000_000);
    context.block_on(zeros.into_future()).unwrap();
}

fn what_is_ready_is_the_apps(context: &MainContext) {
    let hello = command("sh").args(["-c", "echo hello; read end"]);
    let hello = hello.stdin(Stdio::piped()).stdout(Stdio::piped());
    // The deadline passes before the copy runs the loop, and the app runs it only after that.
    let soon = Duration::from_millis(200);
    let mut hello = hello.deadline(soon).stop(Stop::stdin(b"late\n")).spawn();
    let mut lines = hello.stdout().unwrap().lines();
    let pid = hello.pid().unwrap();
    legwork_tests::until("it has written", || state(pid) == Some('S'));
    std::thread::sleep(2 * soon);
    let iterated = in_a_forked_copy(|| {
        for _ in 0..100 {
            context.iteration(false);
        }
        0
    });
    assert_eq!(iterated, 0);
    let line = context.block_on(lines.recv()).unwrap();
    assert_eq!(line.text, "hello");
    // The copy did not stop it. The app does, when its time comes.
    let error = context.block_on(hello.into_future()).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(error.exit_code(), Some(0), "{error:?}");
}
