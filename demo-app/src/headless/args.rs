//! The command line of a run without a window.

use std::{ffi::OsString, num::NonZero, path::PathBuf};

use legwork_demo::jobs::{Checksum, Thumbnails};

use crate::programs::{Convert, Program};

/// What `--help` prints.
pub(super) const HELP: &str = "\
Usage: legwork-demo --headless [OPTION]... checksum DIR
       legwork-demo --headless [OPTION]... thumbnails DIR OUT
       legwork-demo --headless [OPTION]... run -- PROGRAM [ARGUMENT]...
       legwork-demo --headless [OPTION]... convert IN OUT

Without a window: print the SHA-256 sum of every file below DIR; write a small
PNG of every picture below DIR into OUT; run a program; or convert a video or
audio file with ffmpeg, to the format that the ending of OUT names. The work is
done in a child process.

  --json           events as lines of JSON; the last one is the outcome
  --no-links       leave links out instead of following them
  --side PIXELS    longer side of a small picture, 1 to 1024 (default 256)
  --threads N      files read at the same time (default: one a processor)
  -h, --help       this help

On a terminal there is a progress bar; into a pipe go plain lines. Sums can be
checked with `sha256sum --check`. What could not be read is told on standard
error, and is an event with --json. What a program writes goes to where it would
have gone, and is an event with --json; of ffmpeg and borg that report their
progress there is a bar as well. OUT is never replaced. At Ctrl+C what can be
kept is kept; a second Ctrl+C does not wait for that.

Exit status:
    0  everything was read; the program or the conversion succeeded
    1  some entries could not be read or written, all others were
    2  the command line was wrong
    3  the job, the program or the conversion failed; what was finished is kept
  130  stopped by SIGINT (Ctrl+C)
  141  nobody reads the output any more
  143  stopped by SIGTERM
";

/// What to do.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) task: Task,
    pub(super) json: bool,
}

#[derive(Debug)]
pub(super) enum Task {
    Help,
    Checksum(Checksum),
    Thumbnails(Thumbnails, PathBuf),
    Run(Program),
    Convert(Convert),
}

/// Reads what follows `--headless`. The error is a sentence for the person who typed it.
pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Request, String> {
    let mut args = args.into_iter();
    let mut words: Vec<OsString> = Vec::new();
    let (mut json, mut follow_links, mut side, mut threads) = (false, true, 256, None);
    let mut only_words = false;
    while let Some(arg) = args.next() {
        if only_words || !arg.as_encoded_bytes().starts_with(b"-") {
            words.push(arg);
            continue;
        }
        let text = arg.to_string_lossy();
        let (name, inline) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (&*text, None),
        };
        let mut value = || {
            inline
                .clone()
                .or_else(|| {
                    args.next()
                        .map(|value| value.to_string_lossy().into_owned())
                })
                .ok_or(format!("{name} needs a value"))
        };
        match name {
            "--" => only_words = true,
            "-h" | "--help" => {
                return Ok(Request {
                    task: Task::Help,
                    json: false,
                });
            }
            "--json" => json = true,
            "--no-links" => follow_links = false,
            "--side" => {
                let value = value()?;
                side = (value.parse().ok().filter(|side| (1..=1024).contains(side)))
                    .ok_or(format!("--side takes 1 to 1024 pixels, not “{value}”"))?;
            }
            "--threads" => {
                let value = value()?;
                let number = value.parse::<NonZero<usize>>();
                let wrong = |_| format!("--threads takes a number above 0, not “{value}”");
                threads = Some(number.map_err(wrong)?);
            }
            _ => return Err(format!("there is no option {text}")),
        }
    }

    let mut words = words.into_iter();
    let task = words
        .next()
        .ok_or("say what to do: checksum, thumbnails, run or convert")?;
    if task == "run" {
        let words: Vec<_> = words.collect();
        if words.first().is_none_or(|program| program.is_empty()) {
            return Err("run needs a program".into());
        }
        let task = Task::Run(Program::of_words(words));
        return Ok(Request { task, json });
    }
    let mut folder = |what: &str| -> Result<PathBuf, String> {
        let word = words.next().filter(|word| !word.is_empty());
        word.map(PathBuf::from)
            .ok_or_else(|| format!("{} needs {what}", task.display()))
    };
    let task = match task.to_str() {
        Some("checksum") => Task::Checksum(Checksum {
            folder: folder("a folder")?,
            follow_links,
            threads,
        }),
        Some("thumbnails") => Task::Thumbnails(
            Thumbnails {
                folder: folder("a folder")?,
                follow_links,
                side,
                threads,
            },
            folder("a folder to write to")?,
        ),
        Some("convert") => Task::Convert(Convert {
            input: folder("a file")?,
            output: folder("a file to write")?,
        }),
        _ => return Err(format!("there is no task “{}”", task.display())),
    };
    match words.next() {
        Some(word) => Err(format!("“{}” is one word too many", word.display())),
        None => Ok(Request { task, json }),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn said(args: &[&str]) -> String {
        parse(args.iter().map(OsString::from)).unwrap_err()
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
        let request = parse(args.map(OsString::from)).unwrap();
        assert!(request.json);
        let Task::Thumbnails(job, out) = request.task else {
            panic!("{request:?}")
        };
        assert_eq!((job.folder, out), ("in".into(), "out".into()));
        assert_eq!(
            (job.side, job.threads, job.follow_links),
            (64, NonZero::new(3), true)
        );
    }

    #[test]
    fn a_folder_may_have_any_name() {
        let name = OsString::from_vec(b"-\xff".to_vec());
        let request = parse(["checksum".into(), "--".into(), name.clone()]).unwrap();
        let Task::Checksum(job) = request.task else {
            panic!("{request:?}")
        };
        assert_eq!(job.folder, PathBuf::from(name));
    }

    #[test]
    fn whatever_is_wrong_is_said() {
        assert_eq!(
            said(&[]),
            "say what to do: checksum, thumbnails, run or convert"
        );
        assert_eq!(said(&["run"]), "run needs a program");
        assert_eq!(said(&["run", "ls", "-l"]), "there is no option -l");
        assert_eq!(said(&["convert", "a"]), "convert needs a file to write");
        assert_eq!(said(&["dance"]), "there is no task “dance”");
        assert_eq!(said(&["checksum"]), "checksum needs a folder");
        assert_eq!(said(&["checksum", ""]), "checksum needs a folder");
        assert_eq!(
            said(&["thumbnails", "a"]),
            "thumbnails needs a folder to write to"
        );
        assert_eq!(said(&["checksum", "a", "b"]), "“b” is one word too many");
        assert_eq!(
            said(&["checksum", "a", "--quick"]),
            "there is no option --quick"
        );
        assert_eq!(said(&["--threads"]), "--threads needs a value");
        assert_eq!(
            said(&["--threads", "0"]),
            "--threads takes a number above 0, not “0”"
        );
        assert_eq!(
            said(&["--side=2000"]),
            "--side takes 1 to 1024 pixels, not “2000”"
        );
    }

    #[test]
    fn what_a_program_is_given_stays_its_own() {
        let args = ["--json", "run", "--", "ls", "-l", "--json"];
        let request = parse(args.map(OsString::from)).unwrap();
        let Task::Run(program) = request.task else {
            panic!("{request:?}")
        };
        assert!(request.json);
        assert_eq!(program.words, ["ls", "-l", "--json"]);
    }

    #[test]
    fn help_is_there() {
        assert!(matches!(parse(["-h".into()]).unwrap().task, Task::Help));
    }
}
