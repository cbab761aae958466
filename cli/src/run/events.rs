//! What happens, as JSON on standard output: one object a line, the outcome last.

use std::cell::Cell;
use std::io::{self, Write};

use legwork::process::ExitStatus;
use serde_json::{Value, json};

use crate::child::{Ended, Event};
use crate::failure::{Failure, tell};

/// Prints events, as long as they are wanted and can be printed.
pub(super) struct Events(Cell<bool>);

impl Events {
    pub(super) fn new(wanted: bool) -> Self {
        Self(Cell::new(wanted))
    }

    pub(super) fn started(&self, pid: u32) {
        self.print(|| json!({ "event": "started", "pid": pid }));
    }

    pub(super) fn happened(&self, event: &Event) {
        self.print(|| match event {
            Event::Signal(signal) => json!({ "event": "signal", "signal": signal.name() }),
            Event::Timeout => json!({ "event": "timeout" }),
        });
    }

    pub(super) fn ended(&self, Ended { exit, timed_out }: &Ended) {
        self.print(|| {
            json!({
                "event": "ended",
                "code": exit.status.code(),
                "signal": exit.status.signal().map(|signal| signal.name()),
                "core_dumped": matches!(exit.status, ExitStatus::Signal { core_dumped: true, .. }),
                "timed_out": timed_out,
                "user_seconds": exit.usage.user_time.as_secs_f64(),
                "system_seconds": exit.usage.system_time.as_secs_f64(),
            })
        });
    }

    pub(super) fn failed(&self, failure: &Failure) {
        self.print(|| {
            let mut event = json!({ "event": "failed", "error": failure.to_string() });
            if let Failure::Spawn(error) = failure {
                event["step"] = error.step().to_string().into();
                event["errno"] = error.errno().into();
            }
            event
        });
    }

    fn print(&self, event: impl FnOnce() -> Value) {
        if !self.0.get() {
            return;
        }
        if let Err(error) = writeln!(io::stdout(), "{}", event()) {
            self.0.set(false);
            tell(&format!(
                "what happens cannot be printed any more: {error}; the program is left alone"
            ));
        }
    }
}
