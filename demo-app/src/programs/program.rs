//! A command line, and the command that it stands for.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    time::Duration,
};

use legwork::{Command, Stop, glib, process::Signal, progress};

use super::conversion;

/// A program, its arguments, and the folder that it starts in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// The program and its arguments.
    pub(crate) argv: Vec<OsString>,
    /// `None` for this app's own working directory.
    pub(crate) folder: Option<PathBuf>,
    /// The command line as it was typed.
    pub(crate) command_line: String,
}

/// The progress that the command line asks the program to report.
#[derive(Debug, PartialEq, Eq)]
enum ProgressFormat {
    /// ffmpeg's `-progress`, with the duration of the output.
    Ffmpeg(Option<Length>),
    /// borg's `--log-json --progress`.
    Borg,
}

#[derive(Debug, PartialEq, Eq)]
enum Length {
    Known(Duration),
    OfFile(OsString),
}

impl Program {
    /// The program of a command line that was typed. The error is a sentence for the person who typed it.
    pub(crate) fn parse(line: &str, folder: Option<PathBuf>) -> Result<Self, String> {
        Ok(Self {
            argv: Self::split(line)?,
            folder,
            command_line: line.trim().to_owned(),
        })
    }

    /// The program of arguments that are separate already.
    pub(crate) fn from_argv(argv: Vec<OsString>) -> Self {
        let line: Vec<_> = argv.iter().map(|arg| arg.to_string_lossy()).collect();
        Self {
            command_line: line.join(" "),
            argv,
            folder: None,
        }
    }

    /// Splits a line into arguments as a shell does.
    pub(crate) fn split(line: &str) -> Result<Vec<OsString>, String> {
        let line = line.trim_start();
        // A comment names no program either.
        if line.is_empty() || line.starts_with('#') {
            return Err("Enter the name of a program".into());
        }
        glib::shell_parse_argv(line)
            .map_err(|_| "A quotation mark or a backslash is not closed".into())
    }

    /// The program's name without its folder.
    pub(crate) fn name(&self) -> String {
        let program = Path::new(&self.argv[0]);
        let name = program.file_name().unwrap_or(program.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// Whether its progress can be read.
    pub(crate) fn reports_progress(&self) -> bool {
        self.progress_format().is_some()
    }

    /// The command, without its standard streams. Where the progress needs the duration of a file, ffprobe reads it.
    pub(crate) async fn command(&self) -> Command {
        let progress_format = self.progress_format();
        let mut command = Command::new(self.program())
            .args(&self.argv[1..])
            .stop(Self::stop_steps(progress_format.as_ref()));
        if let Some(folder) = &self.folder {
            command = command.current_dir(folder);
        }
        match progress_format {
            None => command,
            Some(ProgressFormat::Borg) => command.progress(progress::borg()),
            Some(ProgressFormat::Ffmpeg(length)) => {
                let length = match length {
                    Some(Length::Known(length)) => Some(length),
                    Some(Length::OfFile(file)) => conversion::length(&self.path(&file)).await,
                    None => None,
                };
                command.progress(progress::ffmpeg(length.unwrap_or_default()))
            }
        }
    }

    /// A path is relative to the folder that the program starts in.
    fn program(&self) -> OsString {
        let program = &self.argv[0];
        if program.as_encoded_bytes().contains(&b'/') {
            self.path(program).into()
        } else {
            program.clone()
        }
    }

    fn path(&self, file: &OsStr) -> PathBuf {
        self.folder.as_deref().unwrap_or(Path::new("")).join(file)
    }

    /// The steps that stop it; the first is Ctrl+C, which most programs for a terminal handle.
    fn stop_steps(progress_format: Option<&ProgressFormat>) -> Stop {
        let patient = Duration::from_secs(10);
        let interrupt = Stop::signal(Signal::INT);
        match progress_format {
            // At a `q` it completes its file.
            Some(ProgressFormat::Ffmpeg(_)) => {
                Stop::stdin(b"q").grace(patient).then(Stop::default())
            }
            // At an interrupt it writes a checkpoint.
            Some(ProgressFormat::Borg) => interrupt.grace(patient).then(Stop::default()),
            None => interrupt.then(Stop::default()),
        }
    }

    fn progress_format(&self) -> Option<ProgressFormat> {
        let has = |wanted: &str| self.argv.iter().any(|arg| arg == wanted);
        match &*self.name() {
            "ffmpeg" if has("-progress") => Some(ProgressFormat::Ffmpeg(self.length())),
            "borg" if has("--log-json") && (has("--progress") || has("-p")) => {
                Some(ProgressFormat::Borg)
            }
            _ => None,
        }
    }

    /// `-t SECONDS`, or else the first `-i FILE`.
    fn length(&self) -> Option<Length> {
        let after = |option: &str| {
            let position = self.argv.iter().position(|arg| arg == option)?;
            self.argv.get(position + 1)
        };
        let known = after("-t")
            .and_then(|value| value.to_str()?.parse().ok())
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        known
            .map(Length::Known)
            .or_else(|| after("-i").cloned().map(Length::OfFile))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(line: &str) -> Program {
        Program::parse(line, Some("/home/ada".into())).unwrap()
    }

    #[test]
    fn a_line_is_split_as_a_shell_does_and_kept_as_it_was_typed() {
        let line = r#"git commit -m 'two words' "it's" a\ b '' --x=1"#;
        let split = program(line);
        assert_eq!(
            split.argv,
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
        assert_eq!(split.command_line, line);
    }

    #[test]
    fn only_quotes_are_understood_of_a_shell() {
        let argv = program("echo $HOME *.txt | wc").argv;
        assert_eq!(argv, ["echo", "$HOME", "*.txt", "|", "wc"]);
    }

    #[test]
    fn a_line_that_cannot_be_split_is_an_error() {
        assert_eq!(
            Program::split("  ").unwrap_err(),
            "Enter the name of a program"
        );
        for open in ["echo 'a", "echo \"a", "echo a\\"] {
            let error = Program::split(open).unwrap_err();
            assert_eq!(error, "A quotation mark or a backslash is not closed");
        }
    }

    #[test]
    fn a_path_is_relative_to_the_folder() {
        assert_eq!(program("./build.sh").program(), "/home/ada/./build.sh");
        assert_eq!(program("/bin/ls").program(), "/bin/ls");
        assert_eq!(program("ls").program(), "ls");
        assert_eq!(program("/usr/bin/ls -l").name(), "ls");
    }

    #[test]
    fn progress_is_read_if_the_command_line_asks_for_it() {
        let progress_format = |line| program(line).progress_format();
        assert_eq!(progress_format("ffmpeg -i a.wav a.ogg"), None);
        assert_eq!(
            progress_format("/usr/bin/ffmpeg -progress - -i a.wav a.ogg"),
            Some(ProgressFormat::Ffmpeg(Some(Length::OfFile("a.wav".into()))))
        );
        assert_eq!(
            progress_format("ffmpeg -progress - -t 2.5 -i a.wav a.ogg"),
            Some(ProgressFormat::Ffmpeg(Some(Length::Known(
                Duration::from_millis(2500)
            ))))
        );
        assert_eq!(
            progress_format("ffmpeg -progress"),
            Some(ProgressFormat::Ffmpeg(None))
        );
        assert_eq!(progress_format("borg create --progress r::a ."), None);
        assert_eq!(
            progress_format("borg create --log-json --progress r::a ."),
            Some(ProgressFormat::Borg)
        );
    }
}
