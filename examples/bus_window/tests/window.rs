//! The window on a real session bus: a method that another process calls changes the label that a person sees, and a signal
//! of the bus changes the other one.

use std::process::{Child, Command, Stdio};

/// The app, which is killed at the end of the test.
struct App(Child);

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_call_and_a_signal_change_what_the_window_shows() {
    for variable in ["DISPLAY", "DBUS_SESSION_BUS_ADDRESS"] {
        let is_there = std::env::var_os(variable).is_some();
        assert!(is_there, "this test needs {variable}: cargo xtask test");
    }
    let mut app = App(Command::new(env!("CARGO_BIN_EXE_bus_window"))
        .env("GDK_BACKEND", "x11")
        .env("GTK_A11Y", "atspi")
        .stdin(Stdio::null())
        .spawn()
        .expect("the app starts"));
    let threads = || {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", app.0.id())).expect("threads");
        let names = tasks.map(|task| {
            let name = std::fs::read_to_string(task.expect("a thread").path().join("comm"));
            name.unwrap_or_default().trim().to_owned()
        });
        names.collect::<Vec<_>>()
    };
    // Another process, which sees the window through the accessibility bus as a screen reader does.
    let person = Command::new("/usr/bin/python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/person.py"))
        .output()
        .expect("Python");
    let said = String::from_utf8_lossy(&person.stdout);
    let errors = String::from_utf8_lossy(&person.stderr);
    assert!(person.status.success(), "{said}{errors}");
    println!("{said}the app's threads: {:?}", threads());
    // zbus's own runtime would have one of this name.
    assert!(threads().iter().all(|name| !name.contains("zruntime")));
    assert!(app.0.try_wait().expect("a child").is_none());
}
