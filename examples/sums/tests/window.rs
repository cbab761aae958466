//! The app in its window: it works in a child, and its Stop button stops the child.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The app, which is killed at the end of the test.
struct App(Child);

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the process id of the worker.
fn worker(app: &App) -> Option<String> {
    let pid = app.0.id();
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let list = list.unwrap_or_default();
    let mut children = list.split_whitespace();
    let works = |child: &&str| {
        let line = std::fs::read_to_string(format!("/proc/{child}/cmdline"));
        line.is_ok_and(|line| line.contains("Checksum"))
    };
    children.find(works).map(str::to_owned)
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "not so: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn xdotool(args: &[&str]) -> String {
    let output = Command::new("xdotool").args(args).output();
    String::from_utf8(output.expect("xdotool").stdout).expect("text")
}

#[test]
fn the_button_stops_the_child_and_the_app_lives_on() {
    let display = std::env::var_os("DISPLAY").is_some();
    assert!(display, "this test needs a display: cargo xtask test");
    let mut app = App(Command::new(env!("CARGO_BIN_EXE_sums"))
        .env("GDK_BACKEND", "x11")
        .stdin(Stdio::null())
        .spawn()
        .expect("the app starts"));
    let pid = app.0.id().to_string();
    until("the app works in a child", || worker(&app).is_some());
    // So that it cannot end by itself before the button is found.
    let halt = ["-STOP", &worker(&app).expect("it has not ended")];
    let halted = Command::new("kill").args(halt).status();
    assert!(halted.expect("kill").success());
    // Nothing but the button can have the focus.
    until("the child is gone", || {
        for window in xdotool(&["search", "--onlyvisible", "--pid", &pid]).lines() {
            xdotool(&["windowfocus", window, "key", "space"]);
        }
        worker(&app).is_none()
    });
    assert!(app.0.try_wait().expect("a child").is_none());
}
