//! Times and progress as people write them.

use std::time::Duration;

use gtk::glib;

use super::work::Work;

/// `12 seconds`, rounded to the unit that fits.
pub(crate) fn duration(time: Duration) -> String {
    let plural = |n: u64, unit: &str| format!("{n} {unit}{}", if n == 1 { "" } else { "s" });
    match time.as_secs_f64().round() as u64 {
        0 if time < Duration::from_millis(500) => "less than a second".into(),
        seconds @ 0..60 => plural(seconds.max(1), "second"),
        seconds @ 60..3600 => plural((seconds + 30) / 60, "minute"),
        seconds => plural((seconds + 1800) / 3600, "hour"),
    }
}

/// The position in a recording, from milliseconds: `0:34 of 2:10`.
pub(crate) fn position(done: u64, total: u64) -> String {
    let clock = |milliseconds: u64| {
        let seconds = milliseconds / 1000;
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        match hours {
            0 => format!("{minutes}:{seconds:02}"),
            _ => format!("{hours}:{minutes:02}:{seconds:02}"),
        }
    };
    format!("{} of {}", clock(done), clock(total))
}

/// The line of a running job: `1,204 of 5,310 files · 312 MB/s · About 12 seconds`.
pub(crate) fn progress(
    work: &Work,
    text: &str,
    rate: Option<f64>,
    remaining: Option<Duration>,
) -> String {
    let mut line = match text {
        "" => "Starting…".to_owned(),
        text => text.to_owned(),
    };
    if let (Work::Checksum(_), Some(rate)) = (work, rate) {
        line = format!("{line} · {}/s", glib::format_size(rate as u64));
    }
    if let (false, Some(time)) = (matches!(work, Work::Misbehave(_)), remaining) {
        line = format!("{line} · About {}", duration(time));
    }
    line
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_duration_is_rounded_to_the_unit_that_fits() {
        let times = [0.1, 0.9, 1.4, 59.0, 61.0, 100.0, 7200.0];
        let expected = [
            "less than a second",
            "1 second",
            "1 second",
            "59 seconds",
            "1 minute",
            "2 minutes",
            "2 hours",
        ];
        assert_eq!(times.map(Duration::from_secs_f64).map(duration), expected);
    }

    #[test]
    fn the_position_in_a_recording_is_a_time_of_the_clock() {
        assert_eq!(position(34_999, 130_000), "0:34 of 2:10");
        assert_eq!(position(0, 36_061_000), "0:00 of 10:01:01");
    }

    #[test]
    fn a_running_job_shows_its_speed_and_the_time_that_remains() {
        let work = Work::checksum(Path::new("Pictures"));
        let remaining = Some(Duration::from_secs(12));
        let line = progress(&work, "1 of 2 files", Some(312e6), remaining);
        assert_eq!(
            line.replace('\u{a0}', " "),
            "1 of 2 files · 312.0 MB/s · About 12 seconds"
        );
        assert_eq!(progress(&work, "", None, None), "Starting…");
    }
}
