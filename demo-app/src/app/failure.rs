//! From the library's error to the window's words.

use legwork::{Error, LogRecord};

use super::{
    log_line::{Level, LogLine},
    output::plain,
    words::{self, Failure, Told},
    work::Work,
};

/// A job's failure in words, after it had sent `kept` results.
pub(crate) fn told(work: &Work, kept: u64, error: &Error) -> Told {
    let signal = error.signal().map(|signal| signal.name());
    let said = error.to_string();
    let failure = Failure {
        kind: error.kind(),
        signal: signal.as_deref(),
        printed: error.output_tail(),
        // The row says already which job it is.
        said: said
            .strip_prefix(&format!("{}: ", error.label()))
            .unwrap_or(&said),
    };
    words::failed(work, kept, &failure)
}

/// The technical part, for whoever is to repair it.
pub(crate) fn details(error: &Error) -> String {
    let mut facts = vec![format!("{error}")];
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        facts.push(format!("Because: {error}"));
        cause = error.source();
    }
    if let Some(signal) = error.signal() {
        facts.push(format!("Signal: {}", signal.name()));
    }
    if let Some(code) = error.exit_code() {
        facts.push(format!("Exit code: {code}"));
    }
    if let Some(panic) = error.panic() {
        let place = panic.location.as_deref().unwrap_or("an unknown place");
        facts.push(format!("Panic: “{}” at {place}", panic.message));
    }
    match error.progress() {
        (0, 0) => {}
        (done, 0) => facts.push(format!("Progress: {done}")),
        (done, total) => facts.push(format!("Progress: {done} of {total}")),
    }
    if let Some(time) = error.processor_time() {
        facts.push(format!("Processor time: {:.2} s", time.as_secs_f64()));
    }
    let printed = plain(error.output_tail());
    if !printed.trim().is_empty() {
        facts.push(format!("Printed last:\n{}", printed.trim_end()));
    }
    if let Some(backtrace) = error.backtrace() {
        facts.push(format!("Where it was:\n{}", backtrace.trim_end()));
    }
    facts.join("\n")
}

pub(crate) fn log_line(record: &LogRecord) -> LogLine {
    let level = match record.level {
        legwork::Level::Error => Level::Error,
        legwork::Level::Warn => Level::Warning,
        legwork::Level::Info => Level::Info,
        _ => Level::Debug,
    };
    let dropped = match record.dropped {
        0 => String::new(),
        n => format!("({n} records were dropped before this one) "),
    };
    LogLine::new(level, &format!("{dropped}{}", record.text))
}
