//! `cargo xtask fuzz [SECONDS] [--keep]`: gives every target of `fuzz/` inputs that libFuzzer makes up.
//!
//! It is what cargo-fuzz does on a nightly compiler, on the stable one: the instrumentation is a pass of LLVM and takes
//! no unstable flag, which AddressSanitizer would. `--keep` adds those inputs to `fuzz/corpus` that cover something new.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};

use crate::needs::Level;
use crate::setup::{self, Install};
use crate::{Outcome, cargo, say, take_flag};

/// As cargo-fuzz has them.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// How long each target is run.
const SECONDS: &str = "60";

pub(crate) fn run(install: Install, mut args: Vec<OsString>) -> Outcome {
    let keep = take_flag(&mut args, "--keep");
    let seconds = args
        .first()
        .map_or(SECONDS.into(), |seconds| seconds.to_string_lossy());
    let seconds: u32 =
        (seconds.parse()).map_err(|_| format!("{seconds:?} is no number of seconds"))?;
    setup::ensure(Level::Test, install)?;
    say("building the fuzz targets");
    let targets = build()?;

    say(&format!("running each for {seconds} s"));
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let mut is_bad = false;
    for some in targets.chunks(at_once) {
        // All of them are started before the first is waited for.
        let running: Vec<_> = some.iter().map(|target| target.start(seconds)).collect();
        for (target, running) in some.iter().zip(running) {
            let status = running.and_then(|mut running| running.wait());
            let passed = status.and_then(|status| target.report(status.success()));
            is_bad |= !passed.map_err(|error| format!("{}: {error}", target.program.display()))?;
        }
    }
    if keep && !is_bad {
        say("keeping the inputs that cover something new");
        for target in &targets {
            target.keep()?;
        }
    }
    Ok(ExitCode::from(u8::from(is_bad)))
}

/// Builds them in a folder of their own, as the flags are for every crate in them.
fn build() -> Result<Vec<Target>, String> {
    let (fuzz, folder) = (
        cargo::workspace().join("fuzz"),
        cargo::target_dir().join("fuzz"),
    );
    let mut command = cargo::command();
    command.args([
        "build",
        "--locked",
        "--release",
        "--manifest-path",
        "fuzz/Cargo.toml",
    ]);
    // With a target named, the flags are not for build scripts and macros.
    let host = host()?;
    command.args(["--target", &host]);
    cargo::must(
        command
            .env("CARGO_TARGET_DIR", &folder)
            .env("RUSTFLAGS", FLAGS),
    )?;
    let failure = |error| format!("{}: {error}", fuzz.display());
    let files = fs::read_dir(fuzz.join("targets")).map_err(failure)?;
    let mut names: Vec<_> = files
        .flatten()
        .filter_map(|file| Some(file.path().file_stem()?.to_owned()))
        .collect();
    names.sort();
    let target = |name| Target {
        program: folder.join(&host).join("release").join(&name),
        kept: fuzz.join("corpus").join(&name),
        found: folder.join("found").join(&name),
        log: folder.join(&name).with_extension("log"),
    };
    Ok(names.into_iter().map(target).collect())
}

fn host() -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "host-tuple"]).output();
    let output = output.map_err(|error| format!("rustc could not be run: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

struct Target {
    program: PathBuf,
    /// Inputs of the repository: each a line of hexadecimal digits.
    kept: PathBuf,
    /// Those that were found here.
    found: PathBuf,
    /// What it has said.
    log: PathBuf,
}

impl Target {
    fn start(&self, seconds: u32) -> io::Result<Child> {
        fs::create_dir_all(&self.found)?;
        let kept = fs::read_to_string(&self.kept).unwrap_or_default();
        for (number, line) in kept.lines().enumerate() {
            let digits = line.as_bytes().chunks(2).map(String::from_utf8_lossy);
            let bytes = digits.filter_map(|digits| u8::from_str_radix(&digits, 16).ok());
            fs::write(
                self.found.join(format!("kept-{number}")),
                bytes.collect::<Vec<_>>(),
            )?;
        }
        Command::new(&self.program)
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-artifact_prefix={}-", self.found.display()))
            // For one input, in seconds; and for the process, where the targets do not count.
            .args(["-timeout=20", "-rss_limit_mb=1024", "-print_final_stats=1"])
            .arg(&self.found)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&self.log)?)
            .spawn()
    }

    /// Prints how many inputs it has had, or what it has said if it failed; returns whether it passed.
    fn report(&self, passed: bool) -> io::Result<bool> {
        let name = self.kept.file_name().unwrap_or_default().display();
        let said = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        let runs = said
            .lines()
            .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        match runs.filter(|_| passed) {
            Some(runs) => println!("{name}: {} inputs", runs.trim()),
            None => println!(
                "{said}\n{name}: failed; the input is beside {}",
                self.found.display()
            ),
        }
        Ok(passed)
    }

    /// Keeps the shortest inputs that cover all that was covered.
    fn keep(&self) -> Result<(), String> {
        let merged = self.found.with_extension("merged");
        let failure = |error: io::Error| format!("{}: {error}", self.kept.display());
        let _ = fs::remove_dir_all(&merged);
        fs::create_dir_all(&merged).map_err(failure)?;
        let mut merge = Command::new(&self.program);
        merge.args([
            "-merge=1",
            "-use_counters=0",
            "-max_len=1024",
            "-verbosity=0",
        ]);
        cargo::must(merge.args([&merged, &self.found]))?;
        let mut lines = Vec::new();
        for file in fs::read_dir(&merged).map_err(failure)?.flatten() {
            let bytes = fs::read(file.path()).map_err(failure)?;
            lines.push(
                bytes
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>(),
            );
        }
        lines.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
        fs::write(&self.kept, lines.join("\n") + "\n").map_err(failure)
    }
}
