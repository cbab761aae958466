//! Programs whose handles, inputs and outputs are used at odd moments: while the outcome is decided, while the program
//! is paused or waits for the app, while another process holds its pipes, in a forked copy of the app.

use legwork::gio::prelude::*;
use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use legwork::glib::MainContext;
use legwork::process::{ExitStatus, Signal};
use legwork::progress::Step;
use legwork::{CommandHandle, Input, State, Status, Stdio, Stop, glib};
use legwork_tests::context::{is_stopped, run, until};
use legwork_tests::programs::{command, sh};
use legwork_tests::sacrifice;

/// Longer than any of these tests takes.
const LONG: Duration = Duration::from_secs(100);

#[test]
fn whoever_judges_the_end_may_do_anything_with_the_handle() {
    run(|| async {
        let slot = Rc::new(RefCell::new(None::<CommandHandle>));
        let (theirs, judged) = (slot.clone(), Rc::new(Cell::new(None)));
        let judges = judged.clone();
        let program = sh("exit 3").success(move |status| {
            let handle = theirs.take().unwrap();
            handle.cancel();
            assert_eq!(handle.try_exited().unwrap().status, status);
            let other = command("true").spawn();
            drop(handle);
            other.detach();
            judges.set(Some(status));
            true
        });
        *slot.borrow_mut() = Some(program.spawn());
        until("the end is judged", || judged.get().is_some()).await;
        assert_eq!(judged.get(), Some(ExitStatus::Code(3)));
    });
}

#[test]
fn a_paused_program_reads_the_bytes_that_ask_it_to_stop() {
    run(|| async {
        let stop = Stop::stdin(b"q\n").grace(LONG);
        let program = sh("read word; test \"$word\" = q && exit 7")
            .stop(stop)
            .spawn();
        let pid = program.pid().unwrap();
        program.control().pause().unwrap();
        until("it has stopped", || is_stopped(pid)).await;
        program.cancel();
        let error = program.await.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(error.exit_code(), Some(7));
    });
}

#[test]
fn a_program_whose_input_has_ended_is_asked_to_stop_by_a_signal() {
    run(|| async {
        let script = "trap 'exit 8' TERM; echo ready; while :; do sleep 0.05; done";
        let program = sh(script).stdout(Stdio::piped());
        let mut program = program.stop(Stop::stdin(b"q\n").grace(LONG)).spawn();
        let mut stdout = program.stdout().unwrap();
        assert!(stdout.wait_for("ready").await.is_some());
        // It was asked something, and answered.
        drop(program.stdin().unwrap());
        program.cancel();
        let error = program.await.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(error.exit_code(), Some(8));
    });
}

#[test]
fn a_program_that_waits_for_the_app_is_not_stalled() {
    run(|| async {
        let stall = Duration::from_millis(200);
        // The app does not read.
        let program = command("head").args(["-c", "2000000", "/dev/zero"]);
        let mut program = program.stdout(Stdio::piped()).stall_deadline(stall).spawn();
        let mut stdout = program.stdout().unwrap();
        glib::timeout_future(4 * stall).await;
        let mut total = 0;
        while let Some(chunk) = stdout.chunk().await {
            total += chunk.len();
        }
        assert_eq!(total, 2_000_000);
        program.await.unwrap();

        // The app has paused it.
        let program = sh("echo on; read word").stdin(Stdio::piped());
        let mut program = program.stdout(Stdio::piped()).stall_deadline(stall).spawn();
        program.control().pause().unwrap();
        glib::timeout_future(4 * stall).await;
        program.control().resume().unwrap();
        let mut stdin = program.stdin().unwrap();
        stdin.write(b"go on\n").await.unwrap();
        program.await.unwrap();

        // The app reads it by GIO, and only GIO knows.
        let script = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.1; done";
        let program = sh(script).stdout(Stdio::piped()).stall_deadline(stall);
        let mut program = program.spawn();
        let stream = program.stdout().unwrap().into_gio().unwrap();
        let (buffer, length, _) = stream
            .read_all_future(vec![0; 100], glib::Priority::DEFAULT)
            .await
            .unwrap();
        assert_eq!(&buffer[..length], b"1\n2\n3\n4\n5\n6\n7\n8\n");
        program.await.unwrap();

        // And one that has gone on is stalled as before.
        let program = sh("sleep 1000")
            .stdout(Stdio::piped())
            .stall_deadline(stall);
        let program = program.spawn();
        program.control().pause().unwrap();
        program.control().resume().unwrap();
        assert!(program.await.unwrap_err().is_timeout());
    });
}

#[test]
fn a_cancel_ends_the_wait_for_pipes_that_somebody_else_holds() {
    run(|| async {
        let script = "sleep 1000 2>/dev/null & echo $!; exit 0";
        let mut program = sh(script).stdout(Stdio::piped()).drain(LONG).spawn();
        let mut lines = program.stdout().unwrap().lines();
        let grandchild = lines.recv().await.unwrap().text;
        let exit = program.exited().await.unwrap();
        assert!(exit.success());
        program.cancel();
        // It had ended by itself.
        let end = glib::future_with_timeout(LONG / 2, program.into_future()).await;
        let output = end.expect("it does not wait for a stranger").unwrap();
        assert!(output.incomplete);
        assert_eq!(lines.recv().await, None);
        command("kill").arg(grandchild).spawn().await.unwrap();
    });
}

#[test]
fn who_asks_again_and_again_for_the_exit_waits_once() {
    struct Noted;
    impl Wake for Noted {
        fn wake(self: Arc<Self>) {}
    }
    run(|| async {
        let noted = Arc::new(Noted);
        let waker = Waker::from(noted.clone());
        let program = command("sleep").arg("1000").spawn();
        for _ in 0..1000 {
            let exited = pin!(program.exited());
            let answer = exited.poll(&mut Context::from_waker(&waker));
            assert!(matches!(answer, Poll::Pending));
        }
        assert!(Arc::strong_count(&noted) < 10);
        program.control().kill().unwrap();
        let exit = program.exited().await.unwrap();
        assert_eq!(exit.status.signal(), Some(Signal::KILL));
    });
}

#[test]
fn a_question_is_found_by_the_second_who_waits_for_it() {
    run(|| async {
        let script = "printf Na; read go; printf 'me? '; read end";
        let ask = sh(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut ask = ask.spawn();
        let (mut says, mut hears) = (ask.stdout().unwrap(), ask.stdin().unwrap());
        // Until it has taken the first half.
        let soon = Duration::from_millis(300);
        let first = glib::future_with_timeout(soon, says.wait_for("Name? ")).await;
        assert!(first.is_err());
        hears.write(b"go\n").await.unwrap();
        let second = glib::future_with_timeout(LONG, says.wait_for("Name? ")).await;
        assert_eq!(second.unwrap().unwrap(), b"");
        // Nothing is there already.
        assert!(says.wait_for("").await.is_some());
        hears.write(b"end\n").await.unwrap();
        ask.await.unwrap();
    });
}

#[test]
fn whoever_reads_progress_may_run_the_loop_through_the_end_of_the_program() {
    run(|| async {
        let status = Rc::new(RefCell::new(None::<Status>));
        let (theirs, lines) = (status.clone(), Rc::new(RefCell::new(Vec::new())));
        let seen = lines.clone();
        let program = sh("echo 1/3");
        let program = program.progress(move |line: &str| {
            seen.borrow_mut().push(line.to_owned());
            let status = theirs.borrow().clone().unwrap();
            let context = glib::MainContext::ref_thread_default();
            while status.running() {
                context.iteration(true);
            }
            Some(Step::new(1, 3))
        });
        let program = program.spawn();
        status.replace(Some(program.status().clone()));
        program.await.unwrap();
        let status = status.take().unwrap();
        // It is at its end, whatever is said of it later.
        assert_eq!(status.state(), State::Finished);
        assert_eq!((status.fraction(), status.done()), (1.0, 0));
        assert_eq!(*lines.borrow(), ["1/3"], "called within itself");
    });
}

#[test]
fn lines_that_come_while_progress_is_read_are_shown_after_that() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    run(|| async {
        let input = Rc::new(RefCell::new(None::<Input>));
        let (theirs, written) = (input.clone(), mark.clone());
        let script = "echo 1; read go; echo 2; : > \"$0\"; read end";
        let program = sh(script).arg(&mark).stdin(Stdio::piped());
        let program = program.progress(move |line: &str| {
            let done = line.parse().unwrap();
            if done == 1 {
                let context = glib::MainContext::ref_thread_default();
                let mut input = theirs.take().unwrap();
                context.block_on(input.write(b"go\n")).unwrap();
                theirs.replace(Some(input));
                context.block_on(until("it has written", || written.exists()));
                // And it was read.
                while context.iteration(false) {}
            }
            Some(Step::new(done, 2))
        });
        let mut program = program.spawn();
        input.replace(program.stdin());
        let status = program.status().clone();
        until("both lines were shown", || status.done() == 2).await;
        input.take();
        assert_eq!(program.await.unwrap_err().exit_code(), Some(1));
    });
}

#[test]
fn a_program_whose_context_is_gone_has_no_number_though_somebody_holds_its_input() {
    let context = MainContext::new();
    let start = || {
        let mut sleep = command("sleep").arg("1000").stdin(Stdio::piped()).spawn();
        (sleep.stdin().unwrap(), sleep)
    };
    let (mut input, program) = context.with_thread_default(start).unwrap();
    assert!(program.pid().is_some());
    drop(context);
    assert_eq!(program.pid(), None);
    assert!(program.try_exited().is_none());
    assert!(program.control().signal(Signal::TERM).is_err());
    run(|| async {
        assert!(input.write(b"x").await.is_err());
        assert!(program.exited().await.is_none());
        assert!(program.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_forked_copy_of_the_app_leaves_inputs_and_outputs_alone() {
    sacrifice("forks_with_programs");
}
