//! The descriptors of a program, and their numbers.
//!
//! Covers the cases `stdout-file`, `stdout-fd`, `child-setup`, `launcher-close`, `pass-fd` and `fd-conflation` of
//! GLib's `gsubprocess.c`, the cases with descriptors of `spawn-singlethread.c`, and `stdio-overwrite` of
//! `spawn-test.c`. The whole table is in `docs/glib-test-cases.md`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command as StdCommand;

use legwork::spawn::Step;
use legwork::{Command, Stdio};
use legwork_tests::context::run;
use legwork_tests::programs::{command, reported, sh};
use legwork_tests::report::link;
use legwork_tests::sacrifice_with;
use rustix::fs::{MemfdFlags, memfd_create};

fn memory(name: &str) -> OwnedFd {
    memfd_create(name, MemfdFlags::CLOEXEC).unwrap()
}

/// The lowest free number from `least` on, with a file of this name.
fn memory_from(name: &str, least: RawFd) -> OwnedFd {
    rustix::io::fcntl_dupfd_cloexec(memory(name), least).unwrap()
}

/// The program finds these, its standard ones and no more; by way of the helper as well.
async fn arrives(map: impl Fn() -> Vec<(RawFd, OwnedFd)>) {
    for by_helper in [false, true] {
        let map = map();
        let wanted: BTreeMap<RawFd, PathBuf> = map.iter().map(|(to, fd)| (*to, link(fd))).collect();
        let report = reported(|program| {
            let program = if by_helper {
                program.umask(0o022)
            } else {
                program
            };
            map.into_iter()
                .fold(program, |program, (to, fd)| program.fd(to, fd))
        });
        let report = report.await.unwrap();
        assert_eq!(
            report.beyond_standard(),
            wanted,
            "by the helper: {by_helper}"
        );
        assert_eq!(report.descriptors.len(), wanted.len() + 3);
    }
}

#[test]
fn an_output_goes_into_a_file_or_a_descriptor() {
    run(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let text = "this is some test data\n";
        // Opened by the app, or handed over as a descriptor of which it keeps another.
        for keeps_one in [false, true] {
            let file = File::create(&path).unwrap();
            let kept = keeps_one.then(|| file.try_clone().unwrap());
            let mut cat = command("cat")
                .stdin(Stdio::piped())
                .stdout(OwnedFd::from(file))
                .spawn();
            let mut stdin = cat.stdin().unwrap();
            stdin.write(text.as_bytes()).await.unwrap();
            drop(stdin);
            cat.await.unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            drop(kept);
        }
    });
}

#[test]
fn input_and_both_outputs_may_be_the_same_or_different_pipes() {
    run(|| async {
        let script = || sh("cat; echo out; echo err >&2");
        let read_all = |mut pipe: std::io::PipeReader| {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        };
        let (input, mut say) = std::io::pipe().unwrap();
        say.write_all(b"in\n").unwrap();
        drop(say);
        let (out, to_out) = std::io::pipe().unwrap();
        let (err, to_err) = std::io::pipe().unwrap();
        let each = script().stdin(input).stdout(to_out).stderr(to_err);
        each.spawn().await.unwrap();
        assert_eq!(
            (read_all(out), read_all(err)),
            ("in\nout\n".into(), "err\n".into())
        );

        let (both, to_both) = std::io::pipe().unwrap();
        let again = to_both.try_clone().unwrap();
        let same = script().stdout(Stdio::fd(to_both)).stderr(Stdio::fd(again));
        same.spawn().await.unwrap();
        assert_eq!(read_all(both), "out\nerr\n");
    });
}

#[test]
fn a_command_that_is_dropped_closes_what_it_holds() {
    let (mut read, write) = std::io::pipe().unwrap();
    let other = memory("stays");
    let number = other.as_raw_fd();
    let program = command("cat").fd(number, write).stdout(Stdio::piped());
    drop(program);
    // The end comes when the last of the writers is closed.
    assert_eq!(read.read(&mut [0]).unwrap(), 0);
    // The number is one of the program's: it says nothing about the app's own.
    assert!(link(&other).to_str().unwrap().contains("stays"));
}

#[test]
fn the_apps_copies_are_closed_by_the_start() {
    run(|| async {
        let (mut read, write) = std::io::pipe().unwrap();
        let hello = sh("echo hello world >&7").fd(7, write).spawn();
        let mut said = String::new();
        read.read_to_string(&mut said).unwrap();
        assert_eq!(said, "hello world\n");
        hello.await.unwrap();
        // Also by one that fails.
        let (mut read, write) = std::io::pipe().unwrap();
        command("/nonexistent")
            .fd(7, write)
            .spawn()
            .await
            .unwrap_err();
        assert_eq!(read.read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_descriptor_arrives_under_its_own_number_or_another() {
    run(|| async {
        arrives(|| {
            let (same, other) = (memory("same"), memory("other"));
            let taken = same.as_raw_fd();
            let next = (other.as_raw_fd() + 1..)
                .find(|number| *number != taken)
                .unwrap();
            vec![(taken, same), (next, other)]
        })
        .await;
    });
}

#[test]
fn sources_that_lie_on_targets_are_not_taken_for_each_other() {
    run(|| async {
        // Swapped, in a ring, in a chain, and apart as in the case that GLib is careful about.
        for turn in [1, 2, 3] {
            arrives(|| {
                let sources: Vec<_> = ["a", "b", "c", "d"]
                    .map(|name| memory_from(name, 300))
                    .into();
                let mut numbers: Vec<_> = sources.iter().map(AsRawFd::as_raw_fd).collect();
                numbers.rotate_left(turn);
                numbers.into_iter().zip(sources).collect()
            })
            .await;
        }
        for distance in 1..=6 {
            arrives(|| {
                let sources = ["a", "b", "c"].map(|name| memory_from(name, 400));
                let last = sources[2].as_raw_fd();
                let mut targets = [last + distance, sources[0].as_raw_fd(), last + 7];
                targets.rotate_left(usize::from(distance % 2 == 0));
                targets.into_iter().zip(sources).collect()
            })
            .await;
        }
    });
}

#[test]
fn nearly_every_number_there_is_may_be_given() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit {
        current: limit.maximum,
        ..limit
    };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised).unwrap();
    run(|| async {
        for turn in [0, 1, 449] {
            arrives(|| {
                let two = [memory("even"), memory("odd")];
                let sources: Vec<_> = (0..900)
                    .map(|at| two[at % 2].try_clone().unwrap())
                    .collect();
                let mut numbers: Vec<_> = sources.iter().map(AsRawFd::as_raw_fd).collect();
                numbers.rotate_left(turn);
                let map = numbers.into_iter().zip(sources);
                map.filter(|(number, _)| (3..=1023).contains(number))
                    .collect()
            })
            .await;
        }
    });
}

#[test]
fn a_start_that_fails_writes_into_no_descriptor_that_was_handed_over() {
    run(|| async {
        let file = tempfile::tempfile().unwrap();
        let give = |program: Command| {
            (0..10).fold(program, |program, _| {
                let copy = file.try_clone().unwrap();
                program.fd(copy.as_raw_fd() + 10, copy)
            })
        };
        for program in [
            command("/nonexistent"),
            command("/etc/passwd"),
            command("true").current_dir("/dev/null"),
        ] {
            assert!(give(program).spawn().await.unwrap_err().is_start());
        }
        // One that fails in its new process, after the descriptors were moved.
        let error = give(command("true").arg("x".repeat(200_000)))
            .spawn()
            .await
            .unwrap_err();
        assert_eq!(error.step(), Some(Step::Arguments));
        assert_eq!(file.metadata().unwrap().len(), 0);
    });
}

#[test]
fn a_standard_error_that_is_a_socket_is_handed_on() {
    // The app's own, and one of the program's alone.
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut app = StdCommand::new(env!("CARGO_BIN_EXE_start_by_name"));
    app.args(["sh", "-c", "echo echo; echo err >&2"])
        .stderr(OwnedFd::from(theirs));
    let output = app.output().unwrap();
    drop(app);
    let mut said = String::new();
    ours.read_to_string(&mut said).unwrap();
    assert_eq!((output.stdout, &*said), (b"echo\n".to_vec(), "err\n"));

    run(|| async {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let output = sh("echo echo; echo err >&2")
            .stderr(OwnedFd::from(theirs))
            .output();
        assert_eq!(output.await.unwrap().stdout, b"echo\n");
        let mut said = String::new();
        ours.read_to_string(&mut said).unwrap();
        assert_eq!(said, "err\n");
    });
}

#[test]
fn an_app_that_has_closed_some_of_0_1_and_2_runs_programs_with_any_outputs() {
    for closed in 0..8 {
        sacrifice_with("standard_closed", &[&closed.to_string()]);
    }
}
