//! Whether a part of the desktop is there.

use crate::text::Text;

/// Whether a part of the desktop shows what it is to show.
///
/// Jobs and programs run, and end, in the same way whatever this is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Availability {
    /// There is nothing to show, and nobody was asked.
    Unused,
    /// It was asked and has not answered yet.
    Pending,
    /// It shows what runs.
    Available,
    /// It shows nothing: why, for people. It is asked again when the next job or program starts.
    Unavailable(String),
}

impl Availability {
    /// Also leaves a line in the app's log, for `G_MESSAGES_DEBUG=legwork`.
    pub(super) fn none(surface: &str, why: &Text) -> Self {
        let why = why.to_string();
        glib::g_debug!("legwork", "{surface}: {why}");
        Availability::Unavailable(why)
    }
}
