//! How programs end, who is notified, and what a cancel, a signal or a dropped handle does.
//!
//! Covers the cases `noop`, `exit1`, `signal`, `terminate` and `exit-status` of GLib's `gsubprocess.c`, and all of
//! `spawn-multithreaded.c`. The whole table is in `docs/glib-test-cases.md`.

use std::cell::Cell;
use std::process::Command as StdCommand;
use std::rc::Rc;
use std::time::{Duration, Instant};

use legwork::gio::prelude::*;
use legwork::process::{ExitStatus, Signal};
use legwork::{ErrorKind, State, Stdio, Stop, gio, glib};
use legwork_tests::context::{is_alive, is_stopped, run, state, until};
use legwork_tests::programs::{command, sh};
use legwork_tests::{program, sacrifice};

#[test]
fn a_program_that_does_nothing_ends_well_wherever_its_standard_descriptors_lead() {
    run(|| async {
        let noop = || command("true");
        for program in [
            noop(),
            noop().stdout(Stdio::null()).stderr(Stdio::null()),
            noop().stdin(Stdio::inherit()),
            noop()
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        ] {
            assert_eq!(program.spawn().await.unwrap().status, ExitStatus::Code(0));
        }
    });
}

#[test]
fn a_program_that_nobody_waits_for_leaves_no_zombie() {
    run(|| async {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let detached = command("touch").arg(&mark).spawn();
        let pids = [
            detached.pid().unwrap(),
            command("true").spawn().pid().unwrap(),
        ];
        detached.detach();
        until("both are reaped", || {
            pids.iter().all(|pid| state(*pid).is_none())
        })
        .await;
        assert!(mark.exists());
    });
}

#[test]
fn every_exit_code_arrives() {
    run(|| async {
        for code in 0..=255 {
            let outcome = sh(&format!("exit {code}")).spawn().await;
            match code {
                0 => assert!(outcome.is_ok()),
                code => {
                    let error = outcome.unwrap_err();
                    assert_eq!(
                        (error.kind(), error.exit_code()),
                        (ErrorKind::Exit, Some(code))
                    );
                }
            }
        }
    });
}

#[test]
fn every_deadly_signal_arrives_by_name() {
    // Of 64 these end no process: the one to go on, those that stop it, and what is for terminals and sockets.
    let harmless = [
        libc::SIGCHLD,
        libc::SIGCONT,
        libc::SIGSTOP,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGURG,
        libc::SIGWINCH,
    ];
    // These two are the C library's own.
    let deadly = (1..=64).filter(|number| !harmless.contains(number) && ![32, 33].contains(number));
    run(|| async {
        for number in deadly {
            let program = command(program("end_by")).args(["signal", &number.to_string()]);
            let error = program.spawn().await.unwrap_err();
            let signal = Signal::from_raw(number).unwrap();
            assert_eq!(
                (error.kind(), error.signal()),
                (ErrorKind::Signal, Some(signal))
            );
            assert!(error.to_string().contains(&*signal.name()), "{error}");
            assert_eq!(error.exit_code(), None);
        }
    });
}

#[test]
fn a_program_that_is_killed_or_signalled_says_by_which() {
    run(|| async {
        for signal in [Signal::KILL, Signal::TERM, Signal::INT] {
            let sleep = command("sleep").arg("1000").spawn();
            assert!(sleep.pid().is_some() && sleep.try_exited().is_none());
            sleep.control().signal(signal).unwrap();
            let exit = sleep.exited().await.unwrap();
            assert_eq!(exit.status.signal(), Some(signal));
            assert_eq!(sleep.try_exited(), Some(exit));
            assert_eq!(sleep.await.unwrap_err().kind(), ErrorKind::Signal);
        }
        let sleep = command("sleep").arg("1000").spawn();
        sleep.control().kill().unwrap();
        until("it is known", || sleep.try_exited().is_some()).await;
        assert!(sleep.control().kill().is_err() && sleep.pid().is_none());
        assert_eq!(sleep.await.unwrap_err().signal(), Some(Signal::KILL));
    });
}

#[test]
fn a_cancel_after_the_end_changes_nothing() {
    run(|| async {
        let cancellable = gio::Cancellable::new();
        let exit1 = sh("exit 1").cancellable(&cancellable).spawn();
        assert_eq!(exit1.exited().await.unwrap().status.code(), Some(1));
        cancellable.cancel();
        exit1.cancel();
        let error = exit1.await.unwrap_err();
        assert_eq!((error.is_cancelled(), error.exit_code()), (false, Some(1)));
    });
}

#[test]
fn a_cancel_in_the_callback_of_the_end_changes_nothing() {
    run(|| async {
        let cancellable = gio::Cancellable::new();
        let exit1 = sh("exit 1").cancellable(&cancellable).spawn();
        let (called, own) = (Rc::new(Cell::new(0)), exit1.cancellable());
        let (calls, theirs) = (called.clone(), cancellable.clone());
        exit1
            .status()
            .connect_notify_local(Some("state"), move |status, _| {
                if status.state() == State::Failed {
                    calls.set(calls.get() + 1);
                    theirs.cancel();
                    own.cancel();
                }
            });
        let status = exit1.status().clone();
        let error = exit1.await.unwrap_err();
        assert_eq!((error.is_cancelled(), error.exit_code()), (false, Some(1)));
        until("the callback was called", || called.get() == 1).await;
        assert!(cancellable.is_cancelled());
        assert_eq!(status.state(), State::Failed);
    });
}

#[test]
fn a_cancel_in_the_callback_of_the_start_stops_the_program_once() {
    run(|| async {
        let sleep = sh("echo on; exec sleep 1000").stdout(Stdio::piped());
        let mut sleep = sleep.stop(Stop::kill()).spawn();
        let cancellable = sleep.cancellable();
        let mut lines = sleep.stdout().unwrap().lines();
        let reader = glib::MainContext::ref_thread_default().spawn_local(async move {
            assert_eq!(lines.recv().await.unwrap().text, "on");
            cancellable.cancel();
            cancellable.cancel();
            lines.recv().await
        });
        let error = sleep.await.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(error.signal(), Some(Signal::KILL));
        assert_eq!(reader.await.unwrap(), None);
    });
}

#[test]
fn a_program_is_paused_and_goes_on() {
    run(|| async {
        let mut cat = command("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let pid = cat.pid().unwrap();
        let (mut stdin, stdout) = (cat.stdin().unwrap(), cat.stdout().unwrap());
        let mut lines = stdout.lines();
        stdin.write(b"one\n").await.unwrap();
        assert_eq!(lines.recv().await.unwrap().text, "one");
        cat.control().pause().unwrap();
        until("it has stopped", || is_stopped(pid)).await;
        stdin.write(b"two\n").await.unwrap();
        assert!(is_stopped(pid));
        cat.control().resume().unwrap();
        assert_eq!(lines.recv().await.unwrap().text, "two");
        // One that is stopped is ended, too.
        cat.control().pause().unwrap();
        until("it has stopped", || is_stopped(pid)).await;
        cat.cancel();
        assert!(cat.await.unwrap_err().is_cancelled());
        assert!(!is_alive(pid));
    });
}

#[test]
fn two_programs_on_one_context_end_each_in_its_time() {
    run(|| async {
        let begin = Instant::now();
        let [short, long] = ["0.1", "0.3"].map(|time| command("sleep").arg(time).spawn());
        long.await.unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(300));
        // This one has ended meanwhile, and nobody had asked.
        assert!(short.try_exited().is_some_and(|exit| exit.success()));
        short.await.unwrap();
    });
}

#[test]
fn threads_with_contexts_of_their_own_hear_each_of_its_own_programs() {
    const THREADS: usize = 16;
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            std::thread::spawn(move || {
                run(|| async {
                    for round in 0..10 {
                        let word = format!("thread {number} round {round}");
                        // Collected, and read as a stream.
                        let echo = || command("printf").args(["%s", &word]);
                        assert_eq!(echo().output().await.unwrap().stdout_utf8(), Ok(&*word));
                        let mut echo = echo().stdout(Stdio::piped()).spawn();
                        let mut lines = echo.stdout().unwrap().lines();
                        assert_eq!(lines.recv().await.unwrap().text, word);
                        assert_eq!(lines.recv().await, None);
                        echo.await.unwrap();
                    }
                    // And one that still runs when the others have ended.
                    let sleep = command("sleep").arg(format!("0.{number}")).spawn();
                    sleep.await.unwrap();
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn an_app_under_a_tracer_hears_of_every_end() {
    if !has_strace() {
        return;
    }
    let mut traced = StdCommand::new("strace");
    traced.args(["-f", "-o", "/dev/null", "-e", "trace=none"]);
    let output = traced
        .arg(env!("CARGO_BIN_EXE_run_every_way"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// It ends by its own careless write, which is the control, and not before.
fn dies_of_its_own_write_alone(mut app: StdCommand) {
    let output = app.output().unwrap();
    assert_eq!(output.stdout, b"alive\n", "{output:?}");
    let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
    assert_eq!(signal, Some(libc::SIGPIPE));
}

#[test]
fn an_app_in_which_sigpipe_is_deadly_lives_on_when_a_program_does_not_listen() {
    dies_of_its_own_write_alone(StdCommand::new(env!("CARGO_BIN_EXE_die_of_sigpipe")));
    if has_strace() {
        // As on a kernel before 6.18.
        let mut traced = StdCommand::new("strace");
        traced.args(["-o", "/dev/null", "-e", "trace=pwritev2"]);
        traced.args(["-e", "inject=pwritev2:error=EOPNOTSUPP"]);
        traced.arg(env!("CARGO_BIN_EXE_die_of_sigpipe"));
        dies_of_its_own_write_alone(traced);
    }
}

fn has_strace() -> bool {
    let there = StdCommand::new("strace").arg("--version").output().is_ok();
    if !there {
        eprintln!("not all is checked: there is no strace on this machine");
    }
    there
}

#[test]
fn every_way_to_run_a_program_ends_as_it_should() {
    sacrifice("run_every_way");
}

#[test]
fn a_grandchild_that_still_writes_is_read_until_it_has_been_silent_for_long() {
    run(|| async {
        // It takes twice the bound, and pauses for a third of it.
        let bound = Duration::from_millis(900);
        let script = "for i in 1 2 3 4 5 6; do sleep 0.3; echo $i; done & echo 0";
        let output = sh(script).drain(bound).output().await.unwrap();
        assert_eq!(output.stdout_utf8().unwrap(), "0\n1\n2\n3\n4\n5\n6\n");
        assert!(!output.incomplete);

        // The control: one that says no more is given up.
        let start = Instant::now();
        let silent = sh("sleep 1000 & echo $!")
            .drain(bound)
            .output()
            .await
            .unwrap();
        assert!(silent.incomplete);
        assert!(start.elapsed() < bound * 4, "{:?}", start.elapsed());
        // One that writes has died of it by now.
        let kill = |pid: &str| drop(StdCommand::new("kill").arg(pid).output().unwrap());
        kill(silent.stdout_utf8().unwrap().trim());

        // And there is an end to it all.
        let bound = Duration::from_millis(250);
        for pause in ["sleep 0.05", ":"] {
            let endless = format!("while :; do echo; {pause}; done & echo $!");
            let start = Instant::now();
            let endless = sh(&endless).drain(bound).output_limit(1000).output();
            let output = endless.await.unwrap();
            assert!(output.incomplete);
            let took = start.elapsed();
            assert!(took > bound * 2 && took < bound * 20, "{pause}: {took:?}");
            kill(output.stdout_utf8().unwrap().lines().next().unwrap());
        }

        // A cancel waits for none of that.
        let endless = sh("while :; do echo; sleep 0.05; done & echo $!").stdout(Stdio::piped());
        let mut endless = endless.drain(Duration::from_secs(20)).spawn();
        let pid = endless.stdout().unwrap().lines().recv().await.unwrap().text;
        endless.exited().await.unwrap();
        let start = Instant::now();
        endless.cancel();
        assert!(endless.await.unwrap().incomplete);
        assert!(start.elapsed() < Duration::from_secs(5));
        kill(&pid);
    });
}
