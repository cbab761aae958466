//! The input of programs and their output: collected, streamed, chained, cut off.
//!
//! Covers the cases `echo1`, `echo-merged`, `cat-utf8`, `cat-eof`, `multi1` and all of `communicate` in GLib's
//! `gsubprocess.c`. Inherited outputs are in `programs_descriptors.rs`. The whole table is in
//! `docs/glib-test-cases.md`.

use std::fs::File;
use std::io::{Read, Seek};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use legwork::gio::prelude::*;
use legwork::{Command, CommandHandle, Stdio, gio, glib};
use legwork_tests::context::{run, until};
use legwork_tests::programs::{command, sh};

/// Where an output is led.
#[derive(Debug, Clone, Copy, PartialEq)]
enum To {
    Pipe,
    Nowhere,
    File,
    /// For standard error: where standard output goes.
    Merged,
}

impl To {
    fn stdio(self, file: &File) -> Stdio {
        match self {
            To::Pipe => Stdio::piped(),
            To::Nowhere => Stdio::null(),
            To::File => file.try_clone().unwrap().into(),
            To::Merged => Stdio::merged(),
        }
    }
}

fn content(mut file: File) -> String {
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

/// Every way to lead the outputs, with something, nothing and no pipe at all as input.
fn every_way(mut look: impl FnMut(Option<&'static str>, To, To)) {
    for input in [None, Some(""), Some("# hello world\n")] {
        for stdout in [To::Pipe, To::Nowhere, To::File] {
            for stderr in [To::Pipe, To::Nowhere, To::File, To::Merged] {
                look(input, stdout, stderr);
            }
        }
    }
}

#[test]
fn outputs_are_collected_where_they_are_piped_and_nowhere_else() {
    every_way(|input, stdout, stderr| {
        let (out, err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let mut program = sh("cat; echo complaint >&2")
            .stdout(stdout.stdio(&out))
            .stderr(stderr.stdio(&err));
        if let Some(input) = input {
            program = program.stdin(Stdio::bytes(input));
        }
        let output = run(|| program.output()).unwrap();

        let mut said = input.unwrap_or_default().to_owned();
        let complaint = "complaint\n";
        if stderr == To::Merged {
            said.push_str(complaint);
        }
        let only = |there: bool, text: &str| {
            if there {
                text.to_owned()
            } else {
                String::new()
            }
        };
        let case = format!("{input:?} {stdout:?} {stderr:?}");
        // As bytes and as text.
        assert_eq!(
            output.stdout,
            only(stdout == To::Pipe, &said).into_bytes(),
            "{case}"
        );
        assert_eq!(
            output.stdout_utf8().unwrap(),
            only(stdout == To::Pipe, &said),
            "{case}"
        );
        assert_eq!(
            output.stderr_utf8().unwrap(),
            only(stderr == To::Pipe, complaint),
            "{case}"
        );
        assert_eq!(content(out), only(stdout == To::File, &said), "{case}");
        assert_eq!(content(err), only(stderr == To::File, complaint), "{case}");
    });
}

/// When a cancellable is cancelled, seen from the program.
fn each_moment(look: impl Fn(&dyn Fn(Command) -> Result<legwork::Output, legwork::Error>)) {
    // Before it is started.
    look(&|program| {
        let cancellable = gio::Cancellable::new();
        cancellable.cancel();
        run(|| program.cancellable(&cancellable).output())
    });
    // Before the main loop runs for the first time.
    look(&|program| {
        let cancellable = gio::Cancellable::new();
        run(|| {
            let handle = program.cancellable(&cancellable).spawn();
            cancellable.cancel();
            handle.into_future()
        })
    });
    // While it runs, on the main loop and on another thread.
    look(&|program| {
        let cancellable = gio::Cancellable::new();
        run(|| {
            let handle = program.cancellable(&cancellable).spawn();
            glib::MainContext::ref_thread_default().spawn_local(async move {
                glib::timeout_future(Duration::from_millis(20)).await;
                cancellable.cancel();
            });
            handle.into_future()
        })
    });
    look(&|program| {
        let cancellable = gio::Cancellable::new();
        let theirs = cancellable.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            theirs.cancel();
        });
        let outcome = run(|| program.cancellable(&cancellable).output());
        thread.join().unwrap();
        outcome
    });
}

#[test]
fn a_program_that_is_cancelled_says_so_however_its_outputs_are_led() {
    each_moment(|cancelled| {
        for stdout in [To::Pipe, To::Nowhere] {
            for stderr in [To::Pipe, To::Nowhere, To::Merged] {
                let nowhere = tempfile::tempfile().unwrap();
                let program = sh("cat; sleep 60")
                    .stdin(Stdio::bytes("# hello world\n"))
                    .stdout(stdout.stdio(&nowhere))
                    .stderr(stderr.stdio(&nowhere));
                let error = cancelled(program).unwrap_err();
                assert!(error.is_cancelled(), "{stdout:?} {stderr:?}: {error:?}");
            }
        }
    });
}

#[test]
fn text_that_is_not_utf8_is_refused_at_its_position_and_there_as_bytes() {
    run(|| async {
        for (bytes, valid) in [
            (&b"\xff\xff"[..], 0),
            (b"good \xe4 bad", 5),
            (b"cut \xf0\x9f", 4),
        ] {
            let output = command("cat")
                .stdin(Stdio::bytes(bytes))
                .output()
                .await
                .unwrap();
            assert_eq!(output.stdout_utf8().unwrap_err().valid_up_to(), valid);
            assert_eq!(output.stdout, bytes);
            let program = sh("cat >&2").stdin(Stdio::bytes(bytes));
            let output = program.output().await.unwrap();
            assert_eq!(output.stderr_utf8().unwrap_err().valid_up_to(), valid);
        }
    });
}

#[test]
fn nothing_that_is_written_is_an_empty_answer() {
    run(|| async {
        let merged = |program: Command| program.stderr(Stdio::merged());
        for program in [
            merged(command("cat").stdin(Stdio::bytes(""))),
            merged(command("cat")),
            merged(command("cat").stdin(Stdio::piped())),
        ] {
            let output = program.output().await.unwrap();
            assert!(output.stdout.is_empty() && output.stderr.is_empty());
        }
    });
}

async fn everything(handle: &mut CommandHandle) -> Vec<u8> {
    let mut stream = handle.stdout().unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = stream.chunk().await {
        all.extend(chunk);
    }
    all
}

#[test]
fn a_stream_has_all_that_was_written_and_then_its_end() {
    run(|| async {
        let echo = command("printf").args(["%s\n", "hello", "world!"]);
        let mut echo = echo.stdout(Stdio::piped()).spawn();
        assert_eq!(everything(&mut echo).await, b"hello\nworld!\n");
        echo.await.unwrap();

        let both = sh("for word; do echo $word; echo $word >&2; done");
        let both = both.args(["sh", "merge", "this"]).stdout(Stdio::piped());
        let mut both = both.stderr(Stdio::merged()).spawn();
        assert_eq!(everything(&mut both).await, b"merge\nmerge\nthis\nthis\n");
        assert!(both.stderr().is_none());
        both.await.unwrap();
    });
}

#[test]
fn a_read_waits_until_there_is_something_or_the_end() {
    run(|| async {
        let mut cat = cat();
        let (stdin, mut stdout) = (cat.stdin().unwrap(), cat.stdout().unwrap());
        let mut waiting = Context::from_waker(Waker::noop());
        glib::timeout_future(Duration::from_millis(50)).await;
        assert!(pin!(stdout.chunk()).poll(&mut waiting).is_pending());
        // A read that was given up has taken nothing along.
        drop(stdin);
        assert_eq!(stdout.chunk().await, None);
        assert_eq!(cat.exited().await.unwrap().status.code(), Some(0));
        cat.await.unwrap();
    });
}

/// Writes what it reads, both by pipes.
fn cat() -> CommandHandle {
    command("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
}

const LINES: usize = 100_000;
const LINE: &[u8] = b"hello world, said over and over again\n";

#[test]
fn three_programs_are_chained_by_streams() {
    run(|| async {
        let mut cats = [cat(), cat(), cat()];
        let here = glib::MainContext::ref_thread_default();
        for at in [0, 1] {
            let mut from = cats[at].stdout().unwrap();
            let mut to = cats[at + 1].stdin().unwrap();
            here.spawn_local(async move {
                while let Some(chunk) = from.chunk().await {
                    to.write(&chunk).await.unwrap();
                }
            });
        }
        let mut first = cats[0].stdin().unwrap();
        here.spawn_local(async move {
            for _ in 0..LINES {
                first.write(LINE).await.unwrap();
            }
        });
        assert!(everything(&mut cats[2]).await == LINE.repeat(LINES));
        for cat in cats {
            cat.await.unwrap();
        }
    });
}

#[test]
fn three_programs_are_chained_by_gio() {
    run(|| async {
        let mut cats = [cat(), cat(), cat()];
        let here = glib::MainContext::ref_thread_default();
        let flags =
            gio::OutputStreamSpliceFlags::CLOSE_SOURCE | gio::OutputStreamSpliceFlags::CLOSE_TARGET;
        let sum = gio::MemoryOutputStream::new_resizable();
        let text = gio::MemoryInputStream::from_bytes(&glib::Bytes::from_owned(LINE.repeat(LINES)));
        let outs = cats
            .each_mut()
            .map(|cat| cat.stdout().unwrap().into_gio().unwrap());
        let ins = cats
            .each_mut()
            .map(|cat| cat.stdin().unwrap().into_gio().unwrap());
        let [from_first, from_second, from_third] = outs;
        let [to_first, to_second, to_third] = ins;
        let links: [(gio::OutputStream, gio::InputStream); 4] = [
            (to_first, text.upcast()),
            (to_second, from_first),
            (to_third, from_second),
            (sum.clone().upcast(), from_third),
        ];
        let splices = links.map(|(to, from)| {
            here.spawn_local(async move {
                to.splice_future(&from, flags, glib::Priority::DEFAULT)
                    .await
            })
        });
        for splice in splices {
            assert_eq!(
                splice.await.unwrap().unwrap(),
                (LINE.len() * LINES) as isize
            );
        }
        for cat in cats {
            cat.await.unwrap();
        }
        assert!(*sum.steal_as_bytes() == *LINE.repeat(LINES));
    });
}

#[test]
fn a_program_that_does_not_read_its_input_is_no_error() {
    run(|| async {
        let much = vec![b'x'; 10_000_000];
        for program in [
            command("true"),
            sh("exec <&-; echo deaf; sleep 0.05"),
            sh("head -c 10"),
        ] {
            let output = program
                .stdin(Stdio::bytes(much.clone()))
                .output()
                .await
                .unwrap();
            assert!(output.stdout.len() <= 10);
        }
    });
}

#[test]
fn what_is_written_to_a_program_that_has_closed_its_input_is_an_error() {
    run(|| async {
        let mut deaf = sh("exec <&-; echo deaf; exec sleep 60")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        deaf = deaf.stop(legwork::Stop::kill());
        let mut deaf = deaf.spawn();
        assert_eq!(deaf.stdout().unwrap().chunk().await.unwrap(), b"deaf\n");
        let mut stdin = deaf.stdin().unwrap();
        let error = stdin.write(b"hello?").await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
        assert_eq!(
            stdin.flush().await.unwrap_err().kind(),
            std::io::ErrorKind::BrokenPipe
        );
        assert!(deaf.pid().is_some());
    });
}

#[test]
fn a_hundred_megabytes_are_collected_whole() {
    run(|| async {
        let output = command("head")
            .args(["-c", "100000000", "/dev/zero"])
            .output()
            .await
            .unwrap();
        assert_eq!(output.stdout.len(), 100_000_000);
        assert!(!output.truncated && !output.incomplete);
    });
}

#[test]
fn what_was_written_before_somebody_asked_is_there_also_after_the_end() {
    run(|| async {
        let mut echo = sh("echo out; echo err >&2; exit 3")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        assert_eq!(echo.exited().await.unwrap().status.code(), Some(3));
        until("nobody watches it any more", || echo.status().pid() == 0).await;
        glib::timeout_future(Duration::from_millis(20)).await;
        assert_eq!(everything(&mut echo).await, b"out\n");
        let mut stderr = echo.stderr().unwrap().lines();
        assert_eq!(stderr.recv().await.unwrap().text, "err");
        assert_eq!(stderr.recv().await, None);
        assert!(echo.stdout().is_none() && echo.stderr().is_none());
        // And as the stream of GIO that reads a pipe otherwise.
        let mut echo = command("echo")
            .arg("for GIO")
            .stdout(Stdio::piped())
            .spawn();
        echo.exited().await.unwrap();
        let stream = echo.stdout().unwrap().into_gio().unwrap();
        let bytes = stream
            .read_bytes_future(100, glib::Priority::DEFAULT)
            .await
            .unwrap();
        assert_eq!(&*bytes, b"for GIO\n");
        assert_eq!(echo.exited().await.unwrap().status.code(), Some(0));
        assert!(matches!(
            pin!(echo.exited()).poll(&mut Context::from_waker(Waker::noop())),
            Poll::Ready(Some(_))
        ));
        echo.await.unwrap();
    });
}
