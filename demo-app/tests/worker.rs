//! The worker is lean: what it links decides how fast it starts and what it takes.

use std::process::Command;

/// Libraries that a program needs, as its dynamic section says (readelf(1)).
fn needed(program: &str) -> Vec<String> {
    let said = Command::new("readelf")
        .args(["-d", program])
        .output()
        .expect("readelf is installed");
    String::from_utf8_lossy(&said.stdout)
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned()))
        .collect()
}

#[test]
fn the_worker_links_the_c_library_and_nothing_of_gtk() {
    let of_the_system = ["libc.so", "libgcc_s.so", "libm.so", "ld-linux"];
    let worker = needed(env!("CARGO_BIN_EXE_legwork-demo-worker"));
    assert!(
        worker.iter().any(|library| library.starts_with("libc.so")),
        "{worker:?}"
    );
    for library in worker {
        assert!(
            of_the_system.iter().any(|name| library.starts_with(name)),
            "{library}"
        );
    }
    // The control: the app, built from the same packages, does link them.
    let app = needed(env!("CARGO_BIN_EXE_legwork-demo"));
    assert!(
        app.iter().any(|library| library.starts_with("libgtk-4")),
        "{app:?}"
    );
}
