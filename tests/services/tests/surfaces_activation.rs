//! A program that opens windows has an activation token of its own: from GDK, on a real display.

use std::collections::BTreeSet;

use legwork::{Command, gio};
use legwork_tests::context::run;
use legwork_tests::display::Display;

#[test]
fn each_start_has_a_token_of_its_own_and_never_that_of_the_app() {
    let display = Display::get();
    let app = std::process::Command::new(legwork_tests::program("activates"))
        .env("GDK_BACKEND", "x11")
        .env(Display::VARIABLE, display.name())
        .env("XDG_ACTIVATION_TOKEN", "the app's")
        .env("DESKTOP_STARTUP_ID", "the app's")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&app.stdout).into_owned();
    println!("{said}");
    let lines: Vec<_> = said.lines().collect();
    let tokens: BTreeSet<_> = (lines[..3].iter())
        .map(|line| {
            let (token, id) = line.split_once('|').expect("both");
            assert!(!token.is_empty() && token != "the app's");
            assert_eq!(token, id);
            token
        })
        .collect();
    assert_eq!(tokens.len(), 3, "each is new");
    assert_eq!(lines[3], "failed true");
    // Without a display's context it gets no token, not even that of the app.
    assert_eq!(lines[4], "|");
    assert_eq!(lines[5], "control|");
}

#[test]
fn a_program_with_an_odd_name_is_no_obstacle() {
    run(async || {
        let none = gio::AppLaunchContext::new();
        for name in ["/a b'c\"d", "", "/%u", "/a\0b"] {
            let odd = Command::new(name).activate_from(&none).spawn();
            let error = odd.await.unwrap_err();
            println!("{error}");
            assert_eq!(error.kind(), legwork::ErrorKind::Start);
        }
    });
}
