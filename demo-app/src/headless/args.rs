//! The command line of a run without a window.

use std::{ffi::OsString, num::NonZero, path::PathBuf};

use clap::{Args, Parser, Subcommand, value_parser};
use legwork_demo::jobs::Source;

/// The command as it is typed, for usage and error messages.
const COMMAND: &str = "legwork-demo --headless";

const DETAILS: &str = "\
On a terminal there is a progress bar, in a pipe there are plain lines. Sums can be checked with
`sha256sum --check`. Entries that cannot be read are reported on standard error. The output of a program goes to
standard output and standard error as usual; for ffmpeg and borg commands that report their progress there is a
progress bar as well. With --json, all of these are events. No file is replaced by a conversion. Ctrl+C keeps what
is complete; a second Ctrl+C does not wait for that.

Exit status:
    0  everything was read; the program or the conversion succeeded
    1  some entries could not be read or written, all others were
    2  the command line was wrong
    3  the job, the program or the conversion failed; what was complete before is kept
  130  stopped by SIGINT (Ctrl+C)
  141  the reader of the output is gone
  143  stopped by SIGTERM";

/// Runs a job, a program or a conversion in a child process, without a window.
#[derive(Debug, Parser)]
#[command(name = COMMAND, bin_name = COMMAND, after_help = DETAILS, disable_help_subcommand = true)]
pub(super) struct Arguments {
    /// Print events as lines of JSON; the last one is the outcome
    #[arg(long, global = true)]
    pub(super) json: bool,
    #[command(subcommand)]
    pub(super) task: Task,
}

#[derive(Debug, Subcommand)]
pub(super) enum Task {
    /// Print the SHA-256 sum of every file in a folder
    Checksum(Folder),
    /// Write a small PNG of every picture in a folder
    Thumbnails {
        #[command(flatten)]
        folder: Folder,
        /// The folder to write to
        out: PathBuf,
        /// Longer side of a thumbnail, 1 to 1024
        #[arg(long, value_name = "PIXELS", default_value_t = 256)]
        #[arg(value_parser = value_parser!(u32).range(1..=1024))]
        side: u32,
    },
    /// Run a program
    #[command(override_usage = "legwork-demo --headless run [OPTIONS] -- <PROGRAM> [ARGUMENT]...")]
    Run {
        /// The program, by its name or its path
        program: PathBuf,
        /// Its arguments
        #[arg(value_name = "ARGUMENT")]
        arguments: Vec<OsString>,
    },
    /// Convert a video or audio file with ffmpeg
    Convert {
        /// The file to convert
        #[arg(value_name = "IN")]
        input: PathBuf,
        /// The file to write; its extension decides the format
        #[arg(value_name = "OUT")]
        output: PathBuf,
    },
}

/// A folder to read, and how.
#[derive(Args, Debug)]
pub(super) struct Folder {
    /// The folder to read
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Skip links instead of following them
    #[arg(long)]
    no_links: bool,
    /// Files to read at the same time [default: one per processor]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

impl From<Folder> for Source {
    fn from(folder: Folder) -> Self {
        Self {
            folder: folder.folder,
            follow_links: !folder.no_links,
            threads: folder.threads.and_then(|n| NonZero::new(n.into())),
        }
    }
}

/// Parses the arguments without `--headless`. The error may be the help that was asked for.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(std::iter::once(COMMAND.into()).chain(args))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn error(args: &[&str]) -> String {
        let parsed = parse(args.iter().map(OsString::from));
        parsed.unwrap_err().to_string()
    }

    #[test]
    fn a_task_takes_its_folders_and_options_in_any_order() {
        let args = [
            "thumbnails",
            "--side=64",
            "in",
            "--json",
            "--threads",
            "3",
            "out",
        ];
        let arguments = parse(args.map(OsString::from)).unwrap();
        assert!(arguments.json);
        let Task::Thumbnails { folder, out, side } = arguments.task else {
            panic!("{arguments:?}")
        };
        assert_eq!(out, PathBuf::from("out"));
        let source = Source::from(folder);
        assert_eq!((source.folder, side), (PathBuf::from("in"), 64));
        assert_eq!(
            (source.threads, source.follow_links),
            (NonZero::new(3), true)
        );
    }

    #[test]
    fn a_folder_may_have_any_name() {
        let name = OsString::from_vec(b"-\xff".to_vec());
        let arguments = parse(["checksum".into(), "--".into(), name.clone()]).unwrap();
        let Task::Checksum(folder) = arguments.task else {
            panic!("{arguments:?}")
        };
        assert_eq!(Source::from(folder).folder, PathBuf::from(name));
    }

    #[test]
    fn every_error_names_what_is_wrong_and_shows_the_usage() {
        let errors: [(&[&str], &str); 13] = [
            (&["run"], "<PROGRAM>"),
            (&["run", ""], "for '<PROGRAM>'"),
            (&["run", "ls", "-l"], "unexpected argument '-l'"),
            (&["convert", "a"], "<OUT>"),
            (&["dance"], "unrecognized subcommand 'dance'"),
            (&["checksum"], "<DIR>"),
            (&["checksum", ""], "for '<DIR>'"),
            (&["thumbnails", "a"], "<OUT>"),
            (&["checksum", "a", "b"], "unexpected argument 'b'"),
            (
                &["checksum", "a", "--quick"],
                "unexpected argument '--quick'",
            ),
            (&["checksum", "a", "--threads"], "'--threads <N>'"),
            (
                &["checksum", "a", "--threads", "0"],
                "0 is not in 1..=65535",
            ),
            (
                &["thumbnails", "a", "b", "--side=2000"],
                "2000 is not in 1..=1024",
            ),
        ];
        for (args, expected) in errors {
            let error = error(args);
            assert!(error.contains(expected), "{args:?}: {error}");
            assert!(error.contains("try '--help'"), "{args:?}: {error}");
        }
        // Without a task, the help says which there are.
        assert!(error(&[]).contains("checksum"));
    }

    #[test]
    fn what_follows_the_dashes_belongs_to_the_program() {
        let args = ["--json", "run", "--", "ls", "-l", "--json"];
        let arguments = parse(args.map(OsString::from)).unwrap();
        assert!(arguments.json);
        let Task::Run { program, arguments } = arguments.task else {
            panic!("{arguments:?}")
        };
        assert_eq!(program, PathBuf::from("ls"));
        assert_eq!(arguments, ["-l", "--json"]);
    }

    #[test]
    fn the_help_lists_the_tasks_and_the_exit_codes() {
        let help = error(&["--help"]);
        for word in ["checksum", "thumbnails", "run", "convert", "--json", "143"] {
            assert!(help.contains(word), "{word} in {help}");
        }
    }
}
