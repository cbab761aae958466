//! `cargo xtask test`: builds everything and runs every test, on a desktop of its own.
//!
//! With `--older-kernel`, the tests find what Linux 5.10 had, and no `faccessat2`; see `be_an_older_kernel` in
//! `tests/helpers/raw.rs`.
//!
//! The output of the tests is passed on unchanged. At the end, the output of the failed tests is repeated, and the last
//! line has the totals.

use std::cmp::Ordering;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};

use crate::needs::Level;
use crate::session::Session;
use crate::setup::{self, Install};
use crate::{Outcome, cargo, say, take_flag};

pub(crate) fn run(install: Install, mut args: Vec<OsString>) -> Outcome {
    let on_older_kernel = take_flag(&mut args, "--older-kernel");
    let requires_services = take_flag(&mut args, "--services");
    setup::ensure(Level::Test, install)?;

    let scope = scope(&args);
    let split = args
        .iter()
        .position(|arg| arg == "--")
        .unwrap_or(args.len());
    let (for_cargo, for_tests) = args.split_at(split);

    let mut totals = Totals::default();
    let built = build(scope, for_cargo);
    if built.is_ok() {
        say("starting a display and a session bus");
        let session = Session::start((1600, 1000))?;
        say("testing");
        let mut tests = if on_older_kernel {
            let mut tests = session.command(cargo::target_dir().join("debug/on_an_older_kernel"));
            tests.arg(cargo::program());
            tests
        } else {
            session.command(cargo::program())
        };
        cargo::prepare(&mut tests);
        if requires_services {
            tests.env("LEGWORK_SERVICES", "1");
        }
        tests
            .args(["test", "--no-fail-fast"])
            .args(scope)
            .args(for_cargo)
            .args(for_tests);
        totals = stream(&mut tests)?;
    } else if let Err(sentence) = built {
        eprintln!("error: {sentence}");
        totals.failed = 1;
    }

    if !totals.said.is_empty() {
        print!("==> what the failed tests have said\n{}", totals.said);
    }
    println!("{} passed, {} failed", totals.passed, totals.failed);
    Ok(if totals.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns the options for the whole workspace, or none if the arguments name a package.
pub(crate) fn scope(args: &[OsString]) -> &'static [&'static str] {
    let named = args.iter().any(|arg| {
        let arg = arg.to_string_lossy();
        arg == "--package"
            || arg == "--workspace"
            || arg.starts_with("--package=")
            || arg.starts_with("-p")
    });
    if named { &[] } else { &["--workspace"] }
}

/// Builds the programs that tests start, then the tests.
pub(crate) fn build(scope: &[&str], args: &[OsString]) -> Result<(), String> {
    say("building the programs");
    let profile = args
        .iter()
        .filter(|arg| *arg == "--release" || *arg == "--locked" || *arg == "--offline");
    cargo::must(
        cargo::command()
            .args(["build", "--workspace", "--bins"])
            .args(profile),
    )?;
    say("building the tests");
    cargo::must(
        cargo::command()
            .args(["test", "--no-run"])
            .args(scope)
            .args(args),
    )
}

/// Runs the tests, passes their output on and counts the results.
fn stream(tests: &mut Command) -> Result<Totals, String> {
    let failure = |error: std::io::Error| format!("the tests could not be run: {error}");
    let mut child = tests
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failure)?;
    let mut from = BufReader::new(child.stdout.take().expect("piped above"));
    let mut to = std::io::stdout().lock();
    let mut totals = Totals::default();
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line).map_err(failure)? > 0 {
        // If nobody reads the output any more, the exit code still has the result.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        totals.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    totals.close();
    let status = child.wait().map_err(failure)?;
    if !status.success() && totals.failed == 0 {
        // Something other than a test failed, such as an example in the documentation that does not build.
        totals.failed = 1;
    }
    Ok(totals)
}

/// The maximum number of lines that are repeated for one test program's failures.
const REPEATED_MAX: usize = 80;
/// The maximum number of characters per line.
const LENGTH_MAX: usize = 300;

/// The results of the test programs so far.
#[derive(Debug, Default)]
struct Totals {
    passed: u64,
    failed: u64,
    /// The text after `failures:` of every program, as far as it is repeated.
    said: String,
    /// The number of those lines of the current program; `None` outside of them.
    failures: Option<usize>,
    /// Tests of the current program, which has not reported yet: passed and failed.
    open: Option<(u64, u64)>,
}

impl Totals {
    fn read(&mut self, line: &str) {
        let line = line.trim_end();
        if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.close();
            self.open = Some((0, 0));
        } else if line == "failures:" && self.open.is_some() {
            // `failures:` comes twice: with the output, and with the names.
            self.failures.get_or_insert(0);
        } else if let Some(report) = line.strip_prefix("test result: ") {
            self.open = None;
            self.failures = None;
            self.passed += number_before(report, " passed");
            self.failed += number_before(report, " failed");
        } else if let Some((passed, failed)) = &mut self.open
            && line.starts_with("test ")
        {
            *passed += u64::from(line.ends_with(" ... ok"));
            *failed += u64::from(line.ends_with(" ... FAILED"));
        }
        if let Some(lines) = &mut self.failures
            && !line.is_empty()
            && line != "failures:"
        {
            *lines += 1;
            match (*lines).cmp(&REPEATED_MAX) {
                Ordering::Less => {
                    self.said.extend(line.chars().take(LENGTH_MAX));
                    self.said.push('\n');
                }
                Ordering::Equal => self.said += "(truncated)\n",
                Ordering::Greater => (),
            }
        }
    }

    /// Counts a test program that ended without a report: it died, which is another failure.
    fn close(&mut self) {
        self.failures = None;
        if let Some((passed, failed)) = self.open.take() {
            self.passed += passed;
            self.failed += failed + 1;
        }
    }
}

/// Returns the number right before `word` in `text`.
fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split(word).next().unwrap_or_default();
    let digits = before
        .rsplit(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap_or_default();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(output: &str) -> (u64, u64) {
        let mut totals = Totals::default();
        output.lines().for_each(|line| totals.read(line));
        totals.close();
        (totals.passed, totals.failed)
    }

    const GREEN: &str = "running 2 tests\n\
        test a ... ok\n\
        test b ... ok\n\
        \n\
        test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";

    #[test]
    fn reports_add_up() {
        let red = "running 1 test\ntest c ... FAILED\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored\n";
        assert_eq!(totals(&[GREEN, red, GREEN].concat()), (4, 1));
    }

    #[test]
    fn a_test_program_that_dies_is_a_failure() {
        let died = "running 3 tests\ntest a ... ok\n";
        assert_eq!(totals(&[died, GREEN].concat()), (3, 1));
        assert_eq!(totals(&[GREEN, died].concat()), (3, 1));
    }

    #[test]
    fn what_the_failed_have_said_is_kept() {
        let said = "---- c stdout ----\n  panicked at 3\n";
        let red = format!(
            "running 1 test\ntest c ... FAILED\n\nfailures:\n\n{said}\n\nfailures:\n    c\n\n\
            test result: FAILED. 0 passed; 1 failed\n"
        );
        let mut totals = Totals::default();
        let output = [GREEN, &red, GREEN].concat();
        output.lines().for_each(|line| totals.read(line));
        assert_eq!(totals.said, format!("{said}    c\n"));

        let long = red.replace(said, &"more\n".repeat(REPEATED_MAX));
        totals.said.clear();
        long.lines().for_each(|line| totals.read(line));
        assert_eq!(totals.said.lines().count(), REPEATED_MAX);
        assert!(totals.said.ends_with("more\n(truncated)\n"));
    }

    #[test]
    fn what_a_test_prints_is_no_report() {
        let noisy = "running 1 test\ntest result of mine: 7 passed\ntest a ... ok\n\
            test result: ok. 1 passed; 0 failed\n";
        assert_eq!(totals(noisy), (1, 0));
    }
}
