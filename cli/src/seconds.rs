//! Durations on the command line.

use std::time::Duration;

/// Parses a number of seconds, such as 2 or 0.5, that is not negative.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
