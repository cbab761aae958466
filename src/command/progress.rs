//! Progress from the lines that a program writes.

use std::time::Duration;

use crate::text::text;

/// What one line says of a program's progress.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Steps done, in whatever unit.
    pub done: u64,
    /// Steps in all, 0 while not known.
    pub total: u64,
    /// What the program is doing, in words; `None` keeps the text that was there.
    pub text: Option<String>,
}

impl Step {
    /// `done` steps of `total`.
    pub fn new(done: u64, total: u64) -> Self {
        Step {
            done,
            total,
            text: None,
        }
    }

    /// Adds what the program is doing, in words.
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }
}

/// Reads progress out of the lines that a program writes.
///
/// Every `FnMut(&str) -> Option<Step>` implements it; a closure has to name the type of its argument.
///
/// ```
/// use legwork::{Command, progress::Step};
///
/// // It writes "step 3 of 50".
/// let command = Command::new("convert-all").progress(|line: &str| {
///     let (done, total) = line.strip_prefix("step ")?.split_once(" of ")?;
///     Some(Step::new(done.parse().ok()?, total.parse().ok()?))
/// });
/// ```
pub trait LineProgress: 'static {
    /// Parses one line, without its end. `None` if it reports no progress.
    ///
    /// A line ends at `\n` and `\r`, and where a program that draws a progress line goes back in it:
    /// at a backspace, and at an escape sequence that moves the cursor or erases. The line has no
    /// escape sequences. One that has not ended after 50 ms is parsed as it is, and once more if it
    /// has grown until it ends.
    fn line(&mut self, line: &str) -> Option<Step>;

    /// Returns what a line says to people, or `None` if it is not for them. The last such line is
    /// quoted in the error if the program fails. The default returns the line itself.
    fn words(&self, line: &str) -> Option<String> {
        Some(line.to_owned())
    }
}

impl<F: FnMut(&str) -> Option<Step> + 'static> LineProgress for F {
    fn line(&mut self, line: &str) -> Option<Step> {
        self(line)
    }
}

/// ffmpeg's `-progress` (give it `-progress pipe:1 -nostats`), in milliseconds of `duration`,
/// which is how long the result will be. See ffmpeg(1), main options.
pub fn ffmpeg(duration: Duration) -> impl LineProgress {
    let total = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut speed = None;
    let mut done = 0;
    move |line: &str| {
        let (key, value) = line.split_once('=')?;
        match key {
            // Negative, or not a number, before the first frame.
            "out_time_us" => {
                done = (value.trim().parse::<u64>().ok()? / 1000).min(total);
                let mut step = Step::new(done, total);
                step.text = speed.take();
                Some(step)
            }
            "speed" => {
                let value = value.trim();
                speed = (value != "N/A")
                    .then(|| text!("{value} as fast as it plays", value = value).to_string());
                None
            }
            // Also written when it was stopped halfway.
            "progress" if value == "end" => Some(Step::new(done, total)),
            _ => None,
        }
    }
}

/// borg's `--log-json --progress`, which it writes to standard error: archive progress in bytes
/// (without a total), and the steps of other operations. See borg-internals, "Frontends".
///
/// If borg fails, the error quotes its last message.
pub fn borg() -> impl LineProgress {
    Borg
}

struct Borg;

impl LineProgress for Borg {
    fn line(&mut self, line: &str) -> Option<Step> {
        let line = BorgLine::parse(line)?;
        let (done, total, text) = match line.kind.as_str() {
            "archive_progress" => (line.original_size?, 0, line.path),
            "progress_percent" => (line.current?, line.total?, line.message),
            _ => return None,
        };
        let mut step = Step::new(done, total);
        step.text = text.filter(|text| !text.is_empty());
        Some(step)
    }

    fn words(&self, line: &str) -> Option<String> {
        match BorgLine::parse(line) {
            Some(line) if line.kind == "log_message" => {
                line.message.filter(|text| !text.is_empty())
            }
            Some(_) => None,
            // Its JSON is for nobody to read, whatever it is.
            None => (!line.trim_start().starts_with('{')).then(|| line.to_owned()),
        }
    }
}

#[derive(serde::Deserialize)]
struct BorgLine {
    #[serde(rename = "type")]
    kind: String,
    original_size: Option<u64>,
    current: Option<u64>,
    total: Option<u64>,
    path: Option<String>,
    message: Option<String>,
}

impl BorgLine {
    fn parse(line: &str) -> Option<BorgLine> {
        serde_json::from_str(&replace_lone_surrogates(line)).ok()
    }
}

/// JSON in which `\ufffd` is in place of every surrogate that has no other half. Python writes such a one for a byte
/// that is not UTF-8, and no string can hold it.
fn replace_lone_surrogates(json: &str) -> String {
    let surrogate = |text: &str| {
        let digits = text.strip_prefix("\\u")?.get(..4)?;
        let unit = u16::from_str_radix(digits, 16).ok()?;
        (0xD800..0xE000).contains(&unit).then_some(unit)
    };
    let mut replaced = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        replaced += before;
        let next = |escape: &str| escape.get(6..).and_then(surrogate);
        let length = match surrogate(escape) {
            None => escape.len().min(2),
            Some(..0xDC00) if next(escape).is_some_and(|low| low >= 0xDC00) => 12,
            Some(_) => {
                replaced += "\\ufffd";
                rest = &escape[6..];
                continue;
            }
        };
        let (escape, after) = escape.split_at(escape.floor_char_boundary(length));
        replaced += escape;
        rest = after;
    }
    replaced + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ffmpegs_progress_is_read() {
        let mut progress = ffmpeg(Duration::from_secs(10));
        assert_eq!(progress.line("frame=1"), None);
        assert_eq!(progress.line("out_time_us=N/A"), None);
        assert_eq!(progress.line("speed=2.5x"), None);
        let step = progress.line("out_time_us=2500000").unwrap();
        assert_eq!((step.done, step.total), (2500, 10_000));
        assert_eq!(step.text.unwrap(), "2.5x as fast as it plays");
        assert_eq!(progress.line("progress=end").unwrap().done, 2500, "stopped");
        assert_eq!(progress.line("out_time_us=99000000").unwrap().done, 10_000);
        assert_eq!(progress.line("progress=end").unwrap().done, 10_000);
    }

    #[test]
    fn borgs_progress_is_read() {
        let mut progress = borg();
        let line = r#"{"type": "archive_progress", "original_size": 1024, "nfiles": 2, "path": "a \"b\" \u00e4"}"#;
        let step = progress.line(line).unwrap();
        assert_eq!((step.done, step.total), (1024, 0));
        assert_eq!(step.text.unwrap(), "a \"b\" ä");
        let line = r#"{"type":"progress_percent","current":3,"total":9,"message":"Checking"}"#;
        let step = progress.line(line).unwrap();
        assert_eq!((step.done, step.total), (3, 9));
        assert_eq!(progress.line("no json"), None);
        assert_eq!(progress.words(line), None);
        assert_eq!(progress.words("no json").unwrap(), "no json");
        let line =
            r#"{"type":"log_message","levelname":"ERROR","name":"borg","message":"It is locked."}"#;
        assert_eq!(progress.line(line), None);
        assert_eq!(progress.words(line).unwrap(), "It is locked.");
    }

    /// borg writes a byte of a name that is not UTF-8 as a lone surrogate.
    #[test]
    fn borgs_names_need_not_be_text() {
        let mut progress = borg();
        let line =
            r#"{"type":"log_message","message":"/srv/caf\udce9 \ud83d\ude00 does not exist."}"#;
        let said = "/srv/caf\u{FFFD} \u{1F600} does not exist.";
        assert_eq!(progress.words(line).unwrap(), said);
        let line = r#"{"type":"archive_progress","original_size":1,"path":"\ud800\udc\udce9"}"#;
        assert_eq!(progress.line(line), None, "no JSON");
        let line = r#"{"type":"archive_progress","original_size":1,"path":"\ud83d\udce9\udce9b"}"#;
        let text = progress.line(line).unwrap().text.unwrap();
        assert_eq!(text, "\u{1F4E9}\u{FFFD}b");
    }

    #[test]
    fn borgs_json_is_shown_to_nobody() {
        let progress = borg();
        for line in [
            r#"{"type":"log_message","message":"cut"#,
            r#"{"type":"log_message","message":7}"#,
            r#"{"type":"log_message","message":""}"#,
            r#"{"type":"log_message"}"#,
            r#"{"no":"type"}"#,
            r#"{"type":"question_prompt","message":"Really?"}"#,
        ] {
            assert_eq!(progress.words(line), None, "{line}");
        }
    }
}
