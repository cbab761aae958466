//! Reports panics to the app. The hook does it at once, as a program built with `panic = "abort"` could not do it
//! later. Whether the panic has ended the job is said by another frame, or by the signal that follows.

use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;

use super::crash;
use super::link::Link;
use crate::wire::frame::{Kind, PanicReport};
use crate::wire::limits::{TARGET_MAX, cut};

/// The longest message and the longest backtrace, in bytes, so that a report fits in one packet.
const MESSAGE_MAX: usize = 16 * 1024;
const BACKTRACE_MAX: usize = 40 * 1024;

/// Has panics reported to the app from now on, before the program's own hook is called.
pub(super) fn install() {
    let own = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        own(info);
    }));
}

fn report(info: &PanicHookInfo<'_>) {
    let Some(link) = Link::get() else { return };
    let mut backtrace = Backtrace::force_capture().to_string();
    if backtrace.contains("<unknown>") {
        // A stripped program.
        backtrace = crash::here();
    }
    let report = PanicReport {
        message: cut(
            info.payload_as_str()
                .unwrap_or("(the panic's payload is not a string)")
                .to_owned(),
            MESSAGE_MAX,
        ),
        location: info.location().map(|at| cut(at.to_string(), TARGET_MAX)),
        thread: std::thread::current()
            .name()
            .map(|name| cut(name.to_owned(), TARGET_MAX)),
        backtrace: cut(backtrace, BACKTRACE_MAX),
    };
    if let Ok(bytes) = postcard::to_allocvec(&report) {
        link.send(Kind::Panic, &bytes);
    }
}
