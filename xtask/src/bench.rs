//! `cargo xtask bench`: Legwork beside its peers, in one run.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use crate::needs::Level;
use crate::setup::{self, Install};
use crate::{Outcome, cargo, say};

pub(crate) fn run(install: Install, mut args: Vec<OsString>) -> Outcome {
    setup::ensure(Level::Build, install)?;
    // The row of D-Bus is built when it is asked for by name: it brings zbus.
    let with_peers = crate::take_flag(&mut args, "--peers");
    let with_bus = args.iter().any(|arg| arg == "bus");
    let features: &[&str] = match (with_peers, with_bus) {
        (true, true) => &["--features", "peers,bus"],
        (true, false) => &["--features", "peers"],
        (false, true) => &["--features", "bus"],
        (false, false) => &[],
    };
    say("building");
    let build = [
        "build",
        "--release",
        "--package",
        "legwork-benches",
        "--bins",
    ];
    cargo::must(cargo::command().args(build).args(features))?;
    // The command, as it is installed.
    let build = ["build", "--release", "--package", "legwork-cli"];
    cargo::must(cargo::command().args(build))?;
    say("measuring");
    let mut bench = Command::new(cargo::target_dir().join("release/bench"));
    cargo::forget(&mut bench);
    let status = cargo::status(bench.args(args.iter().skip_while(|arg| *arg == "--")))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
