//! A command line that somebody typed, as a command.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    time::Duration,
};

use legwork::{Command, Stop, glib, process::Signal, progress};

use super::convert;

/// A program, its arguments, and the folder that it starts in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// The program and its arguments; at least one.
    pub(crate) words: Vec<OsString>,
    /// This app's own folder where there is none.
    pub(crate) folder: Option<PathBuf>,
    /// The line that was typed.
    pub(crate) line: String,
}

/// Where progress can be read from, as far as the command line tells.
#[derive(Debug, PartialEq, Eq)]
enum Gauge {
    /// ffmpeg's `-progress`, for a result as long as this, or as long as this file.
    Ffmpeg(Option<Length>),
    /// borg's `--log-json --progress`.
    Borg,
}

#[derive(Debug, PartialEq, Eq)]
enum Length {
    Said(Duration),
    OfFile(OsString),
}

impl Program {
    /// What somebody typed, to start in `folder`. The error is a sentence for the person who typed it.
    pub(crate) fn typed(line: &str, folder: Option<PathBuf>) -> Result<Self, String> {
        Ok(Self {
            words: Self::split(line)?,
            folder,
            line: line.trim().to_owned(),
        })
    }

    /// A program whose words are known apart.
    pub(crate) fn of_words(words: Vec<OsString>) -> Self {
        let line: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        Self {
            line: line.join(" "),
            words,
            folder: None,
        }
    }

    /// Splits a line as a shell would.
    pub(crate) fn split(line: &str) -> Result<Vec<OsString>, String> {
        let line = line.trim_start();
        // A comment is nothing either.
        if line.is_empty() || line.starts_with('#') {
            return Err("Type the name of a program".into());
        }
        glib::shell_parse_argv(line)
            .map_err(|_| "A quotation mark or a backslash is left open".into())
    }

    /// What people call the program.
    pub(crate) fn name(&self) -> String {
        let program = Path::new(&self.words[0]);
        let name = program.file_name().unwrap_or(program.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// Whether it says how far it is.
    pub(crate) fn reports_progress(&self) -> bool {
        self.gauge().is_some()
    }

    /// The command, without standard descriptors. Asks ffprobe how long a file is, where that helps.
    pub(crate) async fn command(&self) -> Command {
        let gauge = self.gauge();
        let mut command = Command::new(self.program())
            .args(&self.words[1..])
            .stop(Self::steps(gauge.as_ref()));
        if let Some(folder) = &self.folder {
            command = command.current_dir(folder);
        }
        match gauge {
            None => command,
            Some(Gauge::Borg) => command.progress(progress::borg()),
            Some(Gauge::Ffmpeg(length)) => {
                let length = match length {
                    Some(Length::Said(length)) => Some(length),
                    Some(Length::OfFile(file)) => convert::length(&self.path(&file)).await,
                    None => None,
                };
                command.progress(progress::ffmpeg(length.unwrap_or_default()))
            }
        }
    }

    /// A program by path starts from its folder, as somebody who stands in that folder means it.
    fn program(&self) -> OsString {
        let program = &self.words[0];
        if program.as_encoded_bytes().contains(&b'/') {
            self.path(program).into()
        } else {
            program.clone()
        }
    }

    fn path(&self, file: &OsStr) -> PathBuf {
        self.folder.as_deref().unwrap_or(Path::new("")).join(file)
    }

    /// As Ctrl+C first, which programs for a terminal know best.
    fn steps(gauge: Option<&Gauge>) -> Stop {
        let patient = Duration::from_secs(10);
        let interrupt = Stop::signal(Signal::INT);
        match gauge {
            // It writes the end of its file at a `q`.
            Some(Gauge::Ffmpeg(_)) => Stop::stdin(b"q").grace(patient).then(Stop::default()),
            // It writes a checkpoint.
            Some(Gauge::Borg) => interrupt.grace(patient).then(Stop::default()),
            None => interrupt.then(Stop::default()),
        }
    }

    fn gauge(&self) -> Option<Gauge> {
        let has = |wanted: &str| self.words.iter().any(|word| word == wanted);
        match &*self.name() {
            "ffmpeg" if has("-progress") => Some(Gauge::Ffmpeg(self.length())),
            "borg" if has("--log-json") && (has("--progress") || has("-p")) => Some(Gauge::Borg),
            _ => None,
        }
    }

    /// `-t SECONDS`, or else the first `-i FILE`.
    fn length(&self) -> Option<Length> {
        let after = |option: &str| {
            let place = self.words.iter().position(|word| word == option)?;
            self.words.get(place + 1)
        };
        let said = after("-t")
            .and_then(|word| word.to_str()?.parse().ok())
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        said.map(Length::Said)
            .or_else(|| after("-i").cloned().map(Length::OfFile))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(line: &str) -> Program {
        Program::typed(line, Some("/home/ada".into())).unwrap()
    }

    #[test]
    fn a_line_is_split_as_a_shell_does_and_stays_as_it_was_typed() {
        let line = r#"git commit -m 'two words' "it's" a\ b '' --x=1"#;
        let split = program(line);
        assert_eq!(
            split.words,
            [
                "git",
                "commit",
                "-m",
                "two words",
                "it's",
                "a b",
                "",
                "--x=1"
            ]
        );
        assert_eq!(split.line, line);
    }

    #[test]
    fn nothing_of_a_shell_but_its_quotes_is_understood() {
        let words = program("echo $HOME *.txt | wc").words;
        assert_eq!(words, ["echo", "$HOME", "*.txt", "|", "wc"]);
    }

    #[test]
    fn a_line_that_cannot_be_split_is_told() {
        assert_eq!(
            Program::split("  ").unwrap_err(),
            "Type the name of a program"
        );
        for open in ["echo 'a", "echo \"a", "echo a\\"] {
            let said = Program::split(open).unwrap_err();
            assert_eq!(said, "A quotation mark or a backslash is left open");
        }
    }

    #[test]
    fn a_program_by_path_starts_from_its_folder() {
        assert_eq!(program("./build.sh").program(), "/home/ada/./build.sh");
        assert_eq!(program("/bin/ls").program(), "/bin/ls");
        assert_eq!(program("ls").program(), "ls");
        assert_eq!(program("/usr/bin/ls -l").name(), "ls");
    }

    #[test]
    fn progress_is_read_where_the_command_line_asks_for_it() {
        let gauge = |line| program(line).gauge();
        assert_eq!(gauge("ffmpeg -i a.wav a.ogg"), None);
        assert_eq!(
            gauge("/usr/bin/ffmpeg -progress - -i a.wav a.ogg"),
            Some(Gauge::Ffmpeg(Some(Length::OfFile("a.wav".into()))))
        );
        assert_eq!(
            gauge("ffmpeg -progress - -t 2.5 -i a.wav a.ogg"),
            Some(Gauge::Ffmpeg(Some(Length::Said(Duration::from_millis(
                2500
            )))))
        );
        assert_eq!(gauge("ffmpeg -progress"), Some(Gauge::Ffmpeg(None)));
        assert_eq!(gauge("borg create --progress r::a ."), None);
        assert_eq!(
            gauge("borg create --log-json --progress r::a ."),
            Some(Gauge::Borg)
        );
    }
}
