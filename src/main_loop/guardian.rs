//! The [guardian](crate::guardian) and the main loop: it is followed when it ends, and GLib's log is told when
//! there is none.

use std::error::Error;
use std::sync::Once;

use crate::guardian::{self, GuardianError};

/// Has another guardian follow one that has ended.
pub(super) fn attend() {
    let _ = guardian::attend().inspect_err(warn);
}

/// Says that nobody watches over the children.
pub(crate) fn warn(error: &GuardianError) {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    glib::g_warning!(
        "legwork",
        "{error} ({cause}); should this app be killed, a child that is stopped at that moment stays \
         behind"
    );
}

/// Says that there can be no guardian, once per app.
pub(crate) fn warn_of_none() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        glib::g_warning!(
            "legwork",
            "No guardian: should this app be killed, the programs that it runs stay behind. Call \
             legwork::init() or run_if_worker() first in main, or name a worker program with \
             Command::helper()"
        );
    });
}
