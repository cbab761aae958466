//! Programs without a window: their streams, the reports about them, and the exit codes.

mod media;

use std::{
    fs::Permissions,
    io::{BufRead, BufReader, Lines, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn app(args: &[&str]) -> Command {
    let mut app = Command::new(env!("CARGO_BIN_EXE_legwork-demo"));
    // Nothing here may need a display.
    app.arg("--headless")
        .args(args)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY");
    app
}

fn run(args: &[&str]) -> Output {
    app(args).output().expect("the app starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn events(output: &Output) -> Vec<Value> {
    let lines = text(&output.stdout);
    lines
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_output_of_a_program_is_passed_on_unchanged() {
    let script = "printf 'a\\377b'; echo wrong >&2";
    let output = run(&["run", "--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(output.stdout, b"a\xffb", "to the byte");
    assert_eq!(text(&output.stderr), "wrong\n");
}

#[test]
fn a_program_reads_the_input_of_the_app() {
    let mut app = app(&["run", "--", "tr", "a-z", "A-Z"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    app.stdin.take().unwrap().write_all(b"hello").unwrap();
    assert_eq!(text(&app.wait_with_output().unwrap().stdout), "HELLO");
}

#[test]
fn a_program_that_fails_is_reported_and_exits_with_3() {
    let output = run(&["run", "--", "sh", "-c", "exit 7"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(text(&output.stderr), "exited with code 7\n");

    let output = run(&["--json", "run", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(output.status.code(), Some(3));
    let end = events(&output).pop().unwrap();
    assert_eq!(end["outcome"], "failed");
    assert_eq!(end["error"]["signal"], "SIGKILL");

    let output = run(&["run", "--", "no-such-program-as-this"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("no-such-program-as-this"));
}

#[test]
fn events_of_a_program_are_lines_of_json_with_the_outcome_last() {
    let output = run(&["--json", "run", "--", "sh", "-c", "echo one; echo two >&2"]);
    let events = events(&output);
    assert_eq!(events[0]["event"], "start");
    let said = |stream: &str| {
        let said = events.iter().filter(|event| event["stream"] == stream);
        said.map(|event| event["text"].as_str().unwrap())
            .collect::<String>()
    };
    assert_eq!(
        (said("stdout"), said("stderr")),
        ("one\n".into(), "two\n".into())
    );
    assert_eq!(events.last().unwrap()["outcome"], "ok");
}

#[test]
fn sigint_stops_a_program_and_is_reported() {
    let mut app = app(&[
        "--json",
        "run",
        "--",
        "sh",
        "-c",
        "echo on; exec sleep 1000",
    ])
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let mut lines = BufReader::new(app.stdout.take().unwrap()).lines();
    lines
        .find(|line| line.as_ref().unwrap().contains("output"))
        .unwrap()
        .unwrap();
    kill_process(Pid::from_child(&app), Signal::INT).unwrap();
    let last = lines.map(Result::unwrap).last().unwrap();
    let end: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(end["outcome"], "cancelled");
    assert_eq!(app.wait().unwrap().code(), Some(130));
}

#[test]
fn a_file_is_converted_and_none_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let input = media::tone(folder.path(), 3);
    let output = folder.path().join("tone.ogg");
    let args = ["convert", input.to_str().unwrap(), output.to_str().unwrap()];
    let done = run(&args);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    assert_eq!(text(&done.stdout), format!("{}\n", output.display()));
    assert!(std::fs::read(&output).unwrap().starts_with(b"OggS"));

    let again = run(&args);
    assert_eq!(again.status.code(), Some(2));
    assert!(text(&again.stderr).contains("a file with this name already exists"));
    assert_eq!(names(folder.path()), ["tone.ogg", "tone.wav"]);
}

#[test]
fn a_conversion_reports_its_progress_up_to_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let input = media::tone(folder.path(), 3);
    let output = folder.path().join("tone.flac");
    let done = run(&[
        "--json",
        "convert",
        input.to_str().unwrap(),
        output.to_str().unwrap(),
    ]);
    let events = events(&done);
    let progress: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "progress")
        .collect();
    let last = progress.last().expect("progress");
    assert_eq!(last["total"], 3000, "milliseconds of the result");
    assert!(last["done"].as_u64() > Some(2900), "{last}");
    let end = events.last().unwrap();
    assert_eq!(
        (&end["outcome"], end["bytes"].as_u64() > Some(0)),
        (&"ok".into(), true)
    );
}

#[test]
fn without_ffmpeg_the_error_says_how_to_install_it() {
    let output = app(&["convert", "in.wav", "out.ogg"])
        .env("PATH", "/nonexistent")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = text(&output.stderr);
    assert!(
        said.starts_with("ffmpeg is not installed. Install it from"),
        "{said}"
    );
}

#[test]
fn a_file_that_is_not_a_recording_fails_and_leaves_no_output() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("notes.txt");
    std::fs::write(&input, "no sound").unwrap();
    let output = folder.path().join("notes.ogg");
    let done = run(&["convert", input.to_str().unwrap(), output.to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(3));
    assert!(text(&done.stderr).contains("Invalid data"), "{done:?}");
    assert_eq!(names(folder.path()), ["notes.txt"]);
}

/// An ffmpeg that starts to write its file and ignores every request to stop, which it prints.
const DEAF: &str = r#"#!/bin/sh
trap '' INT TERM
for last; do :; done
echo half > "${last#file:}"
echo begun >&2
/usr/bin/head -c 1 > /dev/null
echo asked >&2
while :; do /bin/sleep 1000; done
"#;

fn deaf() -> tempfile::TempDir {
    let programs = tempfile::tempdir().unwrap();
    let ffmpeg = programs.path().join("ffmpeg");
    std::fs::write(&ffmpeg, DEAF).unwrap();
    std::fs::set_permissions(&ffmpeg, Permissions::from_mode(0o755)).unwrap();
    programs
}

struct Conversion {
    app: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Conversion {
    /// A conversion in `folder` by the ffmpeg in `programs`, which has started to write.
    fn begun(folder: &Path, programs: &Path) -> Self {
        let (input, output) = (folder.join("tone.wav"), folder.join("tone.ogg"));
        std::fs::write(&input, "sound").unwrap();
        let mut app = app(&["--json", "convert"])
            .args([input, output])
            .env("PATH", programs)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(app.stdout.take().unwrap()).lines();
        let mut conversion = Self { app, lines };
        conversion.wait_for("begun");
        conversion
    }

    fn wait_for(&mut self, what: &str) {
        let found = self
            .lines
            .find(|line| line.as_ref().unwrap().contains(what));
        found.unwrap_or_else(|| panic!("no {what}")).unwrap();
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.app), signal).unwrap();
    }
}

impl Drop for Conversion {
    fn drop(&mut self) {
        let _ = self.app.kill();
        let _ = self.app.wait();
    }
}

#[test]
fn a_conversion_that_is_interrupted_twice_leaves_no_output() {
    let (programs, folder) = (deaf(), tempfile::tempdir().unwrap());

    for again in [Signal::INT, Signal::TERM] {
        let mut conversion = Conversion::begun(folder.path(), programs.path());
        assert_eq!(
            names(folder.path()).len(),
            2,
            "the control: the output exists"
        );
        conversion.signal(Signal::INT);
        conversion.wait_for("asked");
        conversion.signal(again);
        let last = conversion
            .lines
            .by_ref()
            .map(Result::unwrap)
            .last()
            .unwrap();
        assert!(last.contains("cancelled"), "{last}");
        let code = conversion.app.wait().unwrap().code();
        assert_eq!(code, Some(128 + again.as_raw()));
        assert_eq!(names(folder.path()), ["tone.wav"]);
    }
}

#[test]
fn the_output_of_a_killed_app_is_removed_when_the_file_is_converted_again() {
    let (programs, folder) = (deaf(), tempfile::tempdir().unwrap());

    let mut conversion = Conversion::begun(folder.path(), programs.path());
    conversion.signal(Signal::KILL);
    conversion.app.wait().unwrap();
    let left = names(folder.path());
    assert_eq!(left.len(), 2, "the control: it was not removed");

    let first = Conversion::begun(folder.path(), programs.path());
    let now = names(folder.path());
    assert_eq!(now.len(), 2, "{now:?}");
    assert_ne!(now[0], left[0]);
    // The output of one that still runs is not removed.
    let second = Conversion::begun(folder.path(), programs.path());
    assert!(names(folder.path()).contains(&now[0]));
    for mut conversion in [first, second] {
        conversion.signal(Signal::INT);
        conversion.wait_for("asked");
        conversion.signal(Signal::INT);
        assert_eq!(conversion.app.wait().unwrap().code(), Some(130));
    }
    assert_eq!(names(folder.path()), ["tone.wav"]);
}

#[test]
fn a_conversion_that_is_stopped_keeps_what_can_be_played() {
    let folder = tempfile::tempdir().unwrap();
    let input = media::long_recording(folder.path());
    let output = folder.path().join("long.ogg");
    let mut app = app(&[
        "--json",
        "convert",
        input.to_str().unwrap(),
        output.to_str().unwrap(),
    ])
    .stdout(Stdio::piped())
    .spawn()
    .unwrap();
    let mut lines = BufReader::new(app.stdout.take().unwrap()).lines();
    let far = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["done"].as_u64() > Some(0)
    };
    lines
        .find(|line| far(line.as_ref().unwrap()))
        .unwrap()
        .unwrap();
    kill_process(Pid::from_child(&app), Signal::INT).unwrap();
    let last = lines.map(Result::unwrap).last().unwrap();
    assert!(last.contains("cancelled"), "{last}");
    assert_eq!(app.wait().unwrap().code(), Some(130));
    let played = Command::new("ffmpeg")
        .args(["-v", "error", "-xerror", "-i"])
        .arg(&output)
        .args(["-f", "null", "-"])
        .status();
    assert!(played.unwrap().success(), "it can be played up to its end");
}
