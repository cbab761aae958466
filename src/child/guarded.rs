//! Has children watched over by the [guardian](crate::guard), and says so when that cannot be.

use std::error::Error;
use std::sync::Once;

use super::worker::Worker;
use crate::guard::{self, GuardError};
use crate::process::SharedProcess;

/// Has a new child watched over.
pub(crate) fn watch_over(worker: &Worker, process: &SharedProcess) {
    warn_of(guard::watch_over_shared(process, || worker.to_program()));
}

/// Makes sure that there is a guardian, by a program that has proved to be a worker.
pub(crate) fn check(worker: &Worker) {
    warn_of(guard::check(|| worker.to_program()));
}

fn warn_of(result: Result<(), GuardError>) {
    if let Err(error) = result {
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        glib::g_warning!(
            "legwork",
            "{error} ({cause}); should this app be killed, a child that is stopped at that moment \
             stays behind"
        );
    }
}

/// Says that there can be no guardian, once per app.
pub(crate) fn warn_once() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        glib::g_warning!(
            "legwork",
            "No guardian: should this app be killed, the programs that it runs stay behind. Call \
             run_if_worker() first thing in main, or name a worker program with \
             Command::helper()"
        );
    });
}
