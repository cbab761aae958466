//! The project's own tasks: `cargo xtask demo`, `test`, `forks`, `fuzz`, `bench`, `house` and `setup`.
//!
//! This is the first thing that runs in a fresh clone, on a system that may have nothing but Rust. So it depends on
//! the standard library alone, builds in seconds without GTK, says what it is about to do, and brings what the build
//! is missing before it builds.

mod bench;
mod cargo;
mod demo;
mod forks;
mod fuzz;
mod house;
mod needs;
mod pictures;
mod session;
mod setup;
mod test;
mod window;

use std::ffi::OsString;
use std::process::ExitCode;

use needs::Level;
use setup::Install;

const HELP: &str = "\
cargo xtask TASK [--no-install] [ARGUMENTS]

  demo     Build the demo app and open it; without a display, run its jobs and save a picture of its window.
           ARGUMENTS go to the app.
  test     Build everything and run every test, on a display and a session bus of their own.
           ARGUMENTS go to cargo test, as in: cargo xtask test -p legwork-tests --test descriptors
           With --older-kernel as if on Linux 5.10. With --services, tests fail where a service that they need
           cannot run, and do not only say so.
  forks    Run all tests under a tracer, and say which programs have forked. ARGUMENTS go to cargo test.
  fuzz     Run each target of fuzz/ for 60 seconds, or as many as the first of ARGUMENTS says. With --keep, inputs that
           cover something new are added to fuzz/corpus.
  bench    Measure Legwork beside its peers. ARGUMENTS go to the benchmark.
           With --peers also beside crates that talk to processes, which brings more to build.
  house    Print which files and rooms import each other in a circle, and the lines of code of each crate.
  setup    Install what any of these and the Meson build need, and nothing else.

  --no-install    Install nothing; say what is missing.
";

/// The result of a task: an exit code, or a sentence that says why the task could not be done.
type Outcome = Result<ExitCode, String>;

fn main() -> ExitCode {
    let mut args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let task = if args.is_empty() {
        OsString::new()
    } else {
        args.remove(0)
    };
    let install = if take_flag(&mut args, "--no-install") {
        Install::Never
    } else {
        Install::Missing
    };

    let outcome = match task.to_str() {
        Some("demo") => demo::run(install, &args),
        Some("test") => test::run(install, args),
        Some("forks") => forks::run(install, &args),
        Some("bench") => bench::run(install, args),
        Some("fuzz") => fuzz::run(install, args),
        Some("house") => house::run(),
        Some("setup") => setup::ensure(Level::Everything, install).map(|()| ExitCode::SUCCESS),
        Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprint!("{HELP}");
            Ok(ExitCode::from(2))
        }
    };
    outcome.unwrap_or_else(|sentence| {
        eprintln!("error: {sentence}");
        ExitCode::FAILURE
    })
}

/// Takes `flag` out of the task's own arguments, those before a `--`.
fn take_flag(args: &mut Vec<OsString>, flag: &str) -> bool {
    let ours = args
        .iter()
        .position(|arg| arg == "--")
        .unwrap_or(args.len());
    let found = args[..ours].iter().position(|arg| arg == flag);
    if let Some(index) = found {
        args.remove(index);
    }
    found.is_some()
}

/// Prints what happens next, to standard error, so that standard output stays the task's own.
fn say(what: &str) {
    eprintln!("==> {what}");
}
