//! A video or audio file as another kind of file, by ffmpeg.
//!
//! It is written under a name of its own and gets its real one at the end, without replacing anything: half a file
//! never looks like a whole one, and nothing that was there is lost. What an app that was killed had begun is removed
//! when the same file is made again.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use legwork::{Command, Stdio, Stop, progress};
use rustix::fs::{CWD, FlockOperation, OFlags, RenameFlags, flock, renameat_with};

/// One file to be made from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Convert {
    pub(crate) input: PathBuf,
    /// Its ending decides the kind. It must not be there yet.
    pub(crate) output: PathBuf,
}

/// A kind of file that is offered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// What people call it.
    pub(crate) name: &'static str,
    pub(crate) ending: &'static str,
    /// It has no place for pictures.
    pub(crate) only_sound: bool,
}

const fn sound(name: &'static str, ending: &'static str) -> Format {
    Format {
        name,
        ending,
        only_sound: true,
    }
}

const fn video(name: &'static str, ending: &'static str) -> Format {
    Format {
        name,
        ending,
        only_sound: false,
    }
}

/// What most people want, the most common first.
pub(crate) const FORMATS: &[Format] = &[
    sound("MP3 Audio", "mp3"),
    sound("Ogg Vorbis Audio", "ogg"),
    sound("Opus Audio", "opus"),
    sound("FLAC Audio", "flac"),
    sound("WAV Audio", "wav"),
    video("MP4 Video", "mp4"),
    video("WebM Video", "webm"),
    video("Matroska Video", "mkv"),
];

/// How long ffprobe may look at a file.
const PROBE_WITHIN: Duration = Duration::from_secs(30);

/// How long a file plays; `None` if that cannot be found out.
pub(crate) async fn length(file: &Path) -> Option<Duration> {
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "format=duration"])
        .args(["-of", "csv=p=0"])
        .arg(url(file))
        .stderr(Stdio::null())
        .deadline(PROBE_WITHIN)
        .output_limit(1024);
    let output = probe.output().await.ok()?;
    let seconds = output.stdout_utf8().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// A path that ffmpeg takes for nothing else, whatever it begins with.
fn url(file: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(file);
    url
}

impl Convert {
    /// Makes a file of this format beside the first one.
    pub(crate) fn beside(input: &Path, format: &Format) -> Self {
        Self {
            input: input.to_owned(),
            output: input.with_extension(format.ending),
        }
    }

    /// The command, which writes to `to`; what ffmpeg says comes from its standard error.
    pub(crate) fn command(&self, to: &Unfinished, length: Option<Duration>) -> Command {
        let ending = self.output.extension();
        let only_sound = FORMATS.iter().any(|format| {
            format.only_sound && ending.is_some_and(|ending| ending == format.ending)
        });
        let mut command = Command::new("ffmpeg")
            .args(["-hide_banner", "-v", "error", "-nostats"])
            .args(["-progress", "pipe:1", "-y", "-i"])
            .arg(url(&self.input));
        if only_sound {
            command = command.arg("-vn");
        }
        command
            .arg(url(&to.path))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .progress(progress::ffmpeg(length.unwrap_or_default()))
            // At a `q` it writes the file's end, so that what was done can be played.
            .stop(
                Stop::stdin(b"q")
                    .grace(Duration::from_secs(10))
                    .then(Stop::default()),
            )
    }

    /// A place in the same folder for the file while it is made. Asks the file system.
    pub(crate) fn begin(&self) -> io::Result<Unfinished> {
        let taken = |what: &str| io::Error::new(io::ErrorKind::AlreadyExists, what.to_owned());
        if fs::symlink_metadata(&self.output).is_ok() {
            return Err(taken("there is a file of this name already"));
        }
        let (Some(folder), Some(name)) = (self.output.parent(), self.output.file_name()) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "this is not a file's name",
            ));
        };
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        remove_left_behind(folder, name);
        // The ending stays: it tells ffmpeg what to write.
        let mut hidden = OsString::from(format!("{HIDDEN}{}-", std::process::id()));
        hidden.push(name);
        let path = folder.join(hidden);
        let file = File::create_new(&path)?;
        // Where there are no locks nothing is removed later, either.
        let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
        Ok(Unfinished { path, _lock: file })
    }
}

/// Begins the name of every unfinished file; the number of a process and the real name follow.
const HIDDEN: &str = ".legwork-";

/// Removes unfinished files of this name of which nobody holds the lock: who made them was killed.
fn remove_left_behind(folder: &Path, name: &OsStr) {
    let unfinished = |file: &OsStr| {
        let rest = file.as_encoded_bytes().strip_prefix(HIDDEN.as_bytes());
        let number = rest.and_then(|rest| rest.strip_suffix(name.as_encoded_bytes()));
        let digits = number.and_then(|number| number.strip_suffix(b"-"));
        digits.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
    };
    let Ok(files) = fs::read_dir(folder) else {
        return;
    };
    for file in files.flatten().filter(|file| unfinished(&file.file_name())) {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(flags)
            .open(file.path());
        if opened
            .is_ok_and(|opened| flock(opened, FlockOperation::NonBlockingLockExclusive).is_ok())
        {
            let _ = fs::remove_file(file.path());
        }
    }
}

/// A file that is being made; dropping it removes it.
pub(crate) struct Unfinished {
    path: PathBuf,
    /// Held as long as somebody writes; a process that dies of anything lets go of it.
    _lock: File,
}

impl Unfinished {
    /// Gives it its real name and returns its size. Asks the file system.
    pub(crate) fn finish(self, name: &Path) -> io::Result<u64> {
        let size = fs::metadata(&self.path)?.len();
        match renameat_with(CWD, &self.path, CWD, name, RenameFlags::NOREPLACE) {
            // A file system that cannot do it in one step.
            Err(rustix::io::Errno::INVAL) if fs::symlink_metadata(name).is_err() => {
                fs::rename(&self.path, name)?;
            }
            done => done?,
        }
        Ok(size)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already when it was finished.
        let _ = fs::remove_file(&self.path);
    }
}

/// This name, or with a number behind it the first that nobody has: `tone (2).ogg`. Asks the file system.
pub(crate) fn free_name(wanted: &Path) -> PathBuf {
    let numbered = |number: u32| {
        let mut name = wanted.file_stem().unwrap_or_default().to_owned();
        if number > 1 {
            name.push(format!(" ({number})"));
        }
        if let Some(ending) = wanted.extension() {
            name.push(".");
            name.push(ending);
        }
        wanted.with_file_name(name)
    };
    (1..)
        .map(numbered)
        .find(|name| fs::symlink_metadata(name).is_err())
        .expect("some number is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("a tone.ogg");
        assert_eq!(free_name(&wanted), wanted);
        fs::write(&wanted, "").unwrap();
        assert_eq!(free_name(&wanted), folder.path().join("a tone (2).ogg"));
        fs::write(folder.path().join("a tone (2).ogg"), "").unwrap();
        assert_eq!(free_name(&wanted), folder.path().join("a tone (3).ogg"));
    }

    #[test]
    fn a_file_gets_its_name_at_the_end_and_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let convert = Convert {
            input: "in".into(),
            output: folder.path().join("out.ogg"),
        };
        let made = convert.begin().unwrap();
        let other = Unfinished {
            path: folder.path().join("other"),
            _lock: File::create_new(folder.path().join("other")).unwrap(),
        };
        fs::write(&made.path, "sound").unwrap();
        assert!(!convert.output.exists());
        assert_eq!(made.finish(&convert.output).unwrap(), 5);
        assert_eq!(fs::read(&convert.output).unwrap(), b"sound");

        assert!(convert.begin().is_err(), "it is there now");
        fs::write(&other.path, "noise").unwrap();
        let late = other.finish(&convert.output).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&convert.output).unwrap(), b"sound");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_not_finished_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let convert = Convert {
            input: "in".into(),
            output: folder.path().join("out.ogg"),
        };
        drop(convert.begin().unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_app_left_behind_is_removed_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(".legwork-1-out.ogg");
        fs::write(&left, "half").unwrap();
        let others = [
            ".legwork-1-about.ogg",
            ".legwork--out.ogg",
            ".legwork-x1-out.ogg",
            "1-out.ogg",
        ];
        for other in others {
            fs::write(folder.path().join(other), "").unwrap();
        }
        let held = folder.path().join(".legwork-2-out.ogg");
        let lock = File::create(&held).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();

        let convert = Convert {
            input: "in".into(),
            output: folder.path().join("out.ogg"),
        };
        let unfinished = convert.begin().unwrap();
        assert!(!left.exists() && held.exists());
        assert!(
            others
                .iter()
                .all(|other| folder.path().join(other).exists())
        );
        drop(unfinished);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            others.len() + 1
        );
    }
}
