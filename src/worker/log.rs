//! Sends the records of the `log` crate to the app.

use log::{LevelFilter, Log, Metadata, Record};

use super::link::Link;

struct ToApp(&'static Link);

/// Sets a logger that sends to the app. A program that has set its own keeps it.
pub(super) fn install(link: &'static Link, level: u8) {
    let filter = match level {
        0 => LevelFilter::Off,
        1 => LevelFilter::Error,
        2 => LevelFilter::Warn,
        3 => LevelFilter::Info,
        4 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    if log::set_boxed_logger(Box::new(ToApp(link))).is_ok() {
        log::set_max_level(filter);
    }
}

impl Log for ToApp {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string();
        let place = (record.file(), record.line());
        (self.0).log(record.level() as u8, record.target(), text, place);
    }

    fn flush(&self) {}
}
