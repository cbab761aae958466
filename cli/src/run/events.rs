//! Events as JSON, one object per line.

use legwork::process::ExitStatus;
use serde_json::{Value, json};

use crate::child::{Ended, Event, Stream};
use crate::failure::Failure;

/// Returns the line of an event. The help of `--json` describes the fields, so change both.
pub(super) fn line(event: &Event<'_>) -> String {
    let object = match event {
        Event::Started(pid) => json!({ "event": "started", "pid": pid }),
        Event::Output(stream, bytes) => output(*stream, bytes),
        Event::Signal(signal) => json!({ "event": "signal", "signal": signal.name() }),
        Event::Timeout => json!({ "event": "timeout" }),
        Event::Ended(ended) => of_end(ended),
        Event::Failed(failure) => failed(failure),
    };
    object.to_string()
}

fn output(stream: Stream, bytes: &[u8]) -> Value {
    let stream = match stream {
        Stream::Stdout => "stdout",
        Stream::Stderr => "stderr",
        Stream::Terminal => "terminal",
    };
    match str::from_utf8(bytes) {
        Ok(text) => json!({ "event": "output", "stream": stream, "text": text }),
        Err(_) => json!({ "event": "output", "stream": stream, "bytes": bytes }),
    }
}

fn of_end(Ended { exit, timed_out }: &Ended) -> Value {
    json!({
        "event": "ended",
        "code": exit.status.code(),
        "signal": exit.status.signal().map(|signal| signal.name()),
        "core_dumped": matches!(exit.status, ExitStatus::Signal { core_dumped: true, .. }),
        "timed_out": timed_out,
        "user_seconds": exit.usage.user_time.as_secs_f64(),
        "system_seconds": exit.usage.system_time.as_secs_f64(),
    })
}

fn failed(failure: &Failure) -> Value {
    let mut event = json!({ "event": "failed", "error": failure.to_string() });
    if let Failure::Spawn(error) = failure {
        event["step"] = error.step().to_string().into();
        event["errno"] = error.errno().into();
    }
    event
}
