//! The technical details of a failure, for those who are to repair it.

use super::output::plain;

/// What is known about `error`, a fact a line.
pub(super) fn details(error: &legwork::Error) -> String {
    let mut facts = vec![error.to_string()];
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        facts.push(format!("Cause: {cause}"));
        source = cause.source();
    }
    if let Some(signal) = error.signal() {
        facts.push(format!("Signal: {}", signal.name()));
    }
    if let Some(code) = error.exit_code() {
        facts.push(format!("Exit code: {code}"));
    }
    if let Some(panic) = error.panic() {
        let location = panic.location.as_deref().unwrap_or("an unknown location");
        facts.push(format!("Panic: “{}” at {location}", panic.message));
    }
    match error.progress() {
        (0, 0) => {}
        (done, 0) => facts.push(format!("Progress: {done}")),
        (done, total) => facts.push(format!("Progress: {done} of {total}")),
    }
    if let Some(time) = error.processor_time() {
        facts.push(format!("Processor time: {:.2} s", time.as_secs_f64()));
    }
    let output = plain(error.output_tail());
    if !output.trim().is_empty() {
        facts.push(format!("Last output:\n{}", output.trim_end()));
    }
    if let Some(backtrace) = error.backtrace() {
        facts.push(format!("Backtrace:\n{}", backtrace.trim_end()));
    }
    facts.join("\n")
}
