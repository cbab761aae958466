//! Sends the events of the `tracing` crate to the app. Spans are not sent.

use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tracing_core::field::{Field, Visit};
use tracing_core::{Event, Level, LevelFilter, Metadata, Subscriber, dispatcher, span};

use super::link::Link;

struct ToApp {
    link: &'static Link,
    level: LevelFilter,
    spans: AtomicU64,
}

/// Sets a subscriber that sends to the app. A program that has set its own keeps it.
pub(super) fn install(link: &'static Link, level: u8) {
    let level = match level {
        0 => LevelFilter::OFF,
        1 => LevelFilter::ERROR,
        2 => LevelFilter::WARN,
        3 => LevelFilter::INFO,
        4 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let _ = dispatcher::set_global_default(dispatcher::Dispatch::new(ToApp {
        link,
        level,
        spans: AtomicU64::new(1),
    }));
}

/// The event's message, and its fields as `name=value`.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}

impl Subscriber for ToApp {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(self.spans.fetch_add(1, Relaxed))
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let metadata = event.metadata();
        let level = match *metadata.level() {
            Level::ERROR => 1,
            Level::WARN => 2,
            Level::INFO => 3,
            Level::DEBUG => 4,
            _ => 5,
        };
        let place = (metadata.file(), metadata.line());
        (self.link).log(level, metadata.target(), text.message + &text.fields, place);
    }
}
