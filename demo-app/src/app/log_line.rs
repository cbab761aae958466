//! One record of a job's log, for lists.

use gtk::{glib, prelude::*, subclass::prelude::*};
use legwork::LogRecord;

/// The level of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, glib::Enum)]
#[enum_type(name = "LegworkDemoLevel")]
pub(crate) enum Level {
    Debug,
    #[default]
    Info,
    Warning,
    Error,
}

impl Level {
    /// Its name, shown before the text.
    fn name(self) -> &'static str {
        match self {
            Self::Debug => "Debug",
            Self::Info => "Info",
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }

    /// The style class of its name.
    fn class(self) -> &'static str {
        match self {
            Self::Debug | Self::Info => "dim-label",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

mod imp {
    use std::cell::{Cell, OnceCell};

    use super::*;

    #[derive(Default, glib::Properties)]
    #[properties(wrapper_type = super::LogLine)]
    pub(crate) struct LogLine {
        #[property(get, construct_only, builder(Level::default()))]
        #[property(name = "level-name", type = String, get = |line: &Self| line.level.get().name().into())]
        #[property(name = "level-classes", type = Vec<String>, get = Self::level_classes)]
        level: Cell<Level>,
        /// The time of day, `14:03:59`.
        #[property(get, construct_only)]
        time: OnceCell<String>,
        #[property(get, construct_only)]
        text: OnceCell<String>,
    }

    impl LogLine {
        fn level_classes(&self) -> Vec<String> {
            vec!["caption".into(), self.level.get().class().into()]
        }
    }

    #[glib::object_subclass]
    impl ObjectSubclass for LogLine {
        const NAME: &'static str = "LegworkDemoLogLine";
        type Type = super::LogLine;
    }

    #[glib::derived_properties]
    impl ObjectImpl for LogLine {}
}

glib::wrapper! {
    /// A log record.
    pub(crate) struct LogLine(ObjectSubclass<imp::LogLine>);
}

impl LogLine {
    /// A record that arrives now.
    pub(crate) fn new(level: Level, text: &str) -> Self {
        let now = glib::DateTime::now_local().and_then(|now| now.format("%H:%M:%S"));
        glib::Object::builder()
            .property("level", level)
            .property("time", now.map(String::from).unwrap_or_default())
            .property("text", text)
            .build()
    }

    /// The line as it is copied.
    pub(crate) fn to_line(&self) -> String {
        format!("{} {:7} {}", self.time(), self.level().name(), self.text())
    }
}

impl From<&LogRecord> for LogLine {
    fn from(record: &LogRecord) -> Self {
        let level = match record.level {
            legwork::Level::Error => Level::Error,
            legwork::Level::Warn => Level::Warning,
            legwork::Level::Info => Level::Info,
            _ => Level::Debug,
        };
        let dropped = match record.dropped {
            0 => String::new(),
            1 => "(1 record was dropped before this one) ".into(),
            n => format!("({n} records were dropped before this one) "),
        };
        Self::new(level, &format!("{dropped}{}", record.text))
    }
}
