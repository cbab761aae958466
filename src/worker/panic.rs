//! Panics are told to the app at once, by the hook: a program built with `panic = "abort"` has no
//! later moment. Whether a panic was the job's end is another frame, or the signal that follows.

use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;

use super::link::Link;
use crate::wire::frame::{Kind, PanicReport};
use crate::wire::limits::{TARGET_MAX, cut};

/// The longest message and the longest backtrace, in bytes: a report fits into one packet.
const MESSAGE_MAX: usize = 16 * 1024;
const BACKTRACE_MAX: usize = 40 * 1024;

/// From now on panics are told to the app, after what the program's own hook does.
pub(super) fn install() {
    let own = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        tell(info);
        own(info);
    }));
}

fn tell(info: &PanicHookInfo<'_>) {
    let Some(link) = Link::get() else { return };
    let report = PanicReport {
        message: cut(
            info.payload_as_str().unwrap_or("(not a text)").to_owned(),
            MESSAGE_MAX,
        ),
        location: info.location().map(|at| cut(at.to_string(), TARGET_MAX)),
        thread: std::thread::current()
            .name()
            .map(|name| cut(name.to_owned(), TARGET_MAX)),
        backtrace: cut(Backtrace::force_capture().to_string(), BACKTRACE_MAX),
    };
    if let Ok(bytes) = postcard::to_allocvec(&report) {
        link.send(Kind::Panic, &bytes);
    }
}
