//! One record of a job's log, for lists.

use gtk::{glib, prelude::*, subclass::prelude::*};

/// How much a record matters.
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
    /// What stands before the text.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Debug => "Debug",
            Self::Info => "Info",
            Self::Warning => "Warning",
            Self::Error => "Error",
        }
    }

    /// The style class of the name; words say the same.
    pub(crate) fn class(self) -> &'static str {
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
        level: Cell<Level>,
        /// Of the day, `14:03:59`.
        #[property(get, construct_only)]
        time: OnceCell<String>,
        #[property(get, construct_only)]
        text: OnceCell<String>,
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
