//! One job, as its app says.

use std::collections::HashMap;

use serde_json::{Value, json};
use zbus::{OwnedVariant, Variant};

pub(super) type Properties = HashMap<String, OwnedVariant>;

/// What [`docs/jobs1.md`](../../../docs/jobs1.md) says of a job. All of it is the word of its app.
#[derive(Clone, Default)]
pub(super) struct Job {
    /// The app, as it is written before the slash.
    pub(super) app: String,
    pub(super) path: String,
    pub(super) label: String,
    pub(super) name: String,
    pub(super) state: String,
    pub(super) text: String,
    pub(super) error: String,
    pub(super) fraction: f64,
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) paused: bool,
    pub(super) pid: u32,
    pub(super) started_at: i64,
}

impl Job {
    pub(super) fn new(app: &str, path: &str, properties: Properties) -> Self {
        let mut job = Job {
            app: app.to_owned(),
            path: path.to_owned(),
            ..Job::default()
        };
        job.update(properties);
        job
    }

    /// Takes over what has changed; what has a wrong type is ignored.
    pub(super) fn update(&mut self, properties: Properties) {
        for (name, value) in properties {
            match (name.as_str(), &*value) {
                ("Label", Variant::Str(text)) => self.label = text.to_string(),
                ("Name", Variant::Str(text)) => self.name = text.to_string(),
                ("State", Variant::Str(text)) => self.state = text.to_string(),
                ("Text", Variant::Str(text)) => self.text = text.to_string(),
                ("Error", Variant::Str(text)) => self.error = text.to_string(),
                ("Fraction", Variant::F64(number)) if number.is_finite() => self.fraction = *number,
                ("Done", Variant::U64(number)) => self.done = *number,
                ("Total", Variant::U64(number)) => self.total = *number,
                ("Paused", Variant::Bool(flag)) => self.paused = *flag,
                ("Pid", Variant::U32(number)) => self.pid = *number,
                ("StartedAt", Variant::I64(number)) => self.started_at = *number,
                _ => (),
            }
        }
    }

    /// What it is called on the command line.
    pub(super) fn id(&self) -> String {
        let number = self.path.rsplit('/').next().unwrap_or_default();
        format!("{}/{number}", self.app)
    }

    /// "running" and the like, or "paused".
    pub(super) fn state(&self) -> &str {
        match self.state.as_str() {
            "starting" | "running" if self.paused => "paused",
            state => state,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "finished" | "failed" | "cancelled")
    }

    /// How it has ended: "finished", or "failed: there is no more room".
    pub(super) fn end(&self) -> String {
        // The app's sentence begins with the label, which is there already.
        let label = format!("{}: ", self.label);
        let error = self.error.strip_prefix(&label).unwrap_or(&self.error);
        match error {
            _ if !self.has_ended() => "gone with its app".to_owned(),
            "" => self.state.clone(),
            error => format!("{}: {error}", self.state),
        }
    }

    /// "26 %"; empty while it is not known.
    pub(super) fn progress(&self) -> String {
        match self.total {
            0 => String::new(),
            _ => format!("{:.0} %", 100.0 * self.fraction.clamp(0.0, 1.0)),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "id": self.id(),
            "app": self.app,
            "label": self.label,
            "name": self.name,
            "state": self.state,
            "paused": self.paused,
            "fraction": self.fraction,
            "done": self.done,
            "total": self.total,
            "text": self.text,
            "error": (!self.error.is_empty()).then_some(&self.error),
            "pid": (self.pid != 0).then_some(self.pid),
            "started_at": self.started_at,
        })
    }
}
