//! The app without a window: its output and its exit codes.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader},
    os::unix::ffi::OsStrExt,
    path::Path,
    process::{Command, Output, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

fn app() -> Command {
    let mut app = Command::new(env!("CARGO_BIN_EXE_legwork-demo"));
    // Nothing here may need a display.
    app.arg("--headless")
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY");
    app
}

fn run(args: &[&OsStr]) -> Output {
    app().args(args).output().expect("the app starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every line as an event; the last one is the outcome.
fn events(output: &Output) -> Vec<Value> {
    let lines = text(&output.stdout);
    lines
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("abc"), "abc").unwrap();
    fs::create_dir(folder.path().join("inner")).unwrap();
    fs::write(folder.path().join("inner/empty"), "").unwrap();
    folder
}

#[test]
fn sums_can_be_checked_by_sha256sum() {
    let folder = folder();
    fs::write(folder.path().join(OsStr::from_bytes(b"caf\xe9\n\\")), "x").unwrap();
    let output = run(&["checksum".as_ref(), folder.path().as_ref()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        output.stdout.iter().filter(|byte| **byte == b'\n').count(),
        3
    );

    let list = tempfile::NamedTempFile::new().unwrap();
    fs::write(list.path(), &output.stdout).unwrap();
    let checked = Command::new("sha256sum")
        .args(["--check", "--strict"])
        .arg(list.path())
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn events_are_lines_of_json_with_the_outcome_last() {
    let folder = folder();
    let output = run(&[
        "--json".as_ref(),
        "checksum".as_ref(),
        folder.path().as_ref(),
    ]);
    let events = events(&output);
    assert_eq!(events[0]["event"], "start");
    assert_eq!(
        events
            .iter()
            .filter(|event| event["event"] == "sum")
            .count(),
        2
    );
    let end = events.last().unwrap();
    assert_eq!(
        (&end["event"], &end["outcome"], &end["entries"]),
        (&"end".into(), &"ok".into(), &2.into())
    );
}

#[test]
fn entries_that_cannot_be_read_are_reported_and_exit_with_1() {
    let folder = folder();
    std::os::unix::fs::symlink("nothing", folder.path().join("link")).unwrap();
    let output = run(&["checksum".as_ref(), folder.path().as_ref()]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout).lines().count(), 2);
    assert!(
        text(&output.stderr).contains("link: The target of the link does not exist"),
        "{output:?}"
    );

    let output = run(&[
        "--json".as_ref(),
        "checksum".as_ref(),
        folder.path().as_ref(),
    ]);
    let events = events(&output);
    let error = events
        .iter()
        .find(|event| event["event"] == "trouble")
        .unwrap();
    assert_eq!(
        (&error["path"], &error["code"]),
        (&"link".into(), &"dangling".into())
    );
    assert_eq!(events.last().unwrap()["outcome"], "partly");
}

#[test]
fn a_missing_folder_is_reported_and_exits_with_3() {
    let missing = OsStr::new("/no/such/folder");
    let output = run(&["checksum".as_ref(), missing]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        text(&output.stderr),
        "There is no folder “/no/such/folder”\n"
    );

    let output = run(&["--json".as_ref(), "checksum".as_ref(), missing]);
    let end = events(&output).pop().unwrap();
    assert_eq!(
        (&end["outcome"], &end["error"]["kind"]),
        (&"failed".into(), &"failed".into())
    );
}

#[test]
fn a_wrong_command_line_exits_with_2_and_prints_no_result() {
    let output = run(&["dance".as_ref()]);
    assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]));
    assert!(text(&output.stderr).contains("unrecognized subcommand 'dance'"));
}

#[test]
fn the_option_may_follow_the_task() {
    let folder = folder();
    let output = Command::new(env!("CARGO_BIN_EXE_legwork-demo"))
        .args([
            "checksum".as_ref(),
            folder.path().as_os_str(),
            "--headless".as_ref(),
        ])
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(
        text(&output.stdout).contains("ba7816bf8f01cfea"),
        "{output:?}"
    );
}

#[test]
fn the_help_of_the_window_and_the_error_without_a_display_name_the_other_way() {
    let window = |args: &[&str]| {
        let mut app = Command::new(env!("CARGO_BIN_EXE_legwork-demo"));
        app.args(args)
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("WAYLAND_SOCKET");
        // A compositor may be found without being named.
        app.env("XDG_RUNTIME_DIR", "/nonexistent");
        app.output().expect("the app starts")
    };
    let help = window(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
    for task in [
        "checksum DIR",
        "thumbnails DIR OUT",
        "run -- ",
        "convert IN OUT",
        "--help",
    ] {
        let line = format!("legwork-demo --headless {task}");
        assert!(text(&help.stdout).contains(&line), "{line} in {help:?}");
    }
    let none = window(&[]);
    assert_eq!(none.status.code(), Some(1));
    assert!(
        text(&none.stderr).contains("there is no display.\nTry “legwork-demo --headless --help”."),
        "{none:?}"
    );
}

#[test]
fn thumbnails_of_one_folder_have_different_names() {
    let folder = tempfile::tempdir().unwrap();
    let out = tempfile::tempdir().unwrap();
    image::RgbImage::new(60, 30)
        .save(folder.path().join("a.png"))
        .unwrap();
    image::RgbImage::new(30, 60)
        .save(folder.path().join("a.bmp"))
        .unwrap();
    fs::write(folder.path().join("bad.jpg"), "no picture").unwrap();
    let output = run(&[
        "thumbnails".as_ref(),
        "--side=20".as_ref(),
        folder.path().as_ref(),
        out.path().as_ref(),
    ]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let size = |name: &str| image::image_dimensions(out.path().join(name)).unwrap();
    assert_eq!((size("a.png.png"), size("a.bmp.png")), ((20, 10), (10, 20)));
    assert!(
        text(&output.stderr).contains("bad.jpg: It is not a picture"),
        "{output:?}"
    );
}

/// A folder that takes longer to read than a signal takes to arrive.
fn endless() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..64 {
        let file = fs::File::create(folder.path().join(n.to_string())).unwrap();
        // Sparse: it takes time to read and no space on the disk.
        file.set_len(1 << 34).unwrap();
    }
    folder
}

fn stopped_by(signal: Signal) -> (Option<i32>, Value) {
    let folder = endless();
    let mut app = app()
        .args(["--json", "checksum"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(app.stdout.take().unwrap()).lines();
    lines
        .find(|line| line.as_ref().unwrap().contains("progress"))
        .unwrap()
        .unwrap();
    kill_process(Pid::from_child(&app), signal).unwrap();
    let last = lines.map(Result::unwrap).last().unwrap();
    (
        app.wait().unwrap().code(),
        serde_json::from_str(&last).unwrap(),
    )
}

#[test]
fn sigint_and_sigterm_stop_the_job_and_are_reported() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (exit, end) = stopped_by(signal);
        assert_eq!((exit, &end["outcome"]), (Some(code), &"cancelled".into()));
    }
}

#[test]
fn a_closed_pipe_ends_the_app() {
    let folder = tempfile::tempdir().unwrap();
    for n in 0..5_000 {
        fs::write(folder.path().join(n.to_string()), "x").unwrap();
    }
    let mut app = app()
        .arg("checksum")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(app.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(app.wait().unwrap().code(), Some(141));
}

#[test]
fn the_worker_may_be_missing() {
    // Without a worker next to it, the app runs the jobs itself.
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("legwork-demo");
    fs::copy(env!("CARGO_BIN_EXE_legwork-demo"), &alone).unwrap();
    let output = Command::new(&alone)
        .args([
            OsStr::new("--headless"),
            "checksum".as_ref(),
            Path::new("src").as_ref(),
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
