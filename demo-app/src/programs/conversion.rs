//! Converts a video or audio file to another format with ffmpeg.
//!
//! The output is written under a temporary name and renamed at the end, without replacing anything: an incomplete file
//! never looks like a complete one, and no existing file is lost. The temporary file of an app that was killed is
//! removed when the same output is written again.

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

/// A file to be converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conversion {
    pub(crate) input: PathBuf,
    /// Its extension decides the format. It must not exist yet.
    pub(crate) output: PathBuf,
}

/// A format that is offered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Format {
    /// Its name in the list.
    pub(crate) name: &'static str,
    pub(crate) extension: &'static str,
    /// Whether it has no room for a picture.
    pub(crate) audio_only: bool,
}

const fn format(name: &'static str, extension: &'static str, audio_only: bool) -> Format {
    Format {
        name,
        extension,
        audio_only,
    }
}

/// The formats that most people want, the most common first.
pub(crate) const FORMATS: &[Format] = &[
    format("MP3 Audio", "mp3", true),
    format("Ogg Vorbis Audio", "ogg", true),
    format("Opus Audio", "opus", true),
    format("FLAC Audio", "flac", true),
    format("WAV Audio", "wav", true),
    format("MP4 Video", "mp4", false),
    format("WebM Video", "webm", false),
    format("Matroska Video", "mkv", false),
];

/// The deadline of ffprobe.
const PROBE_DEADLINE: Duration = Duration::from_secs(30);

/// The duration of a recording; `None` if it is unknown.
pub(crate) async fn length(file: &Path) -> Option<Duration> {
    let probe = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "format=duration"])
        .args(["-of", "csv=p=0"])
        .arg(url(file))
        .stderr(Stdio::null())
        .deadline(PROBE_DEADLINE)
        .output_limit(1024);
    let output = probe.output().await.ok()?;
    let seconds = output.stdout_utf8().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The path as ffmpeg's `file:` address, which is never mistaken for an option or another protocol.
fn url(file: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(file);
    url
}

impl Conversion {
    /// A conversion to this format, next to the input.
    pub(crate) fn next_to(input: &Path, format: &Format) -> Self {
        Self {
            input: input.to_owned(),
            output: input.with_extension(format.extension),
        }
    }

    /// The command, which writes to `file`; ffmpeg's messages are on its standard error.
    pub(crate) fn command(&self, file: &PartialFile, length: Option<Duration>) -> Command {
        let extension = self.output.extension();
        let audio_only = FORMATS.iter().any(|format| {
            format.audio_only && extension.is_some_and(|extension| extension == format.extension)
        });
        let mut command = Command::new("ffmpeg")
            .args(["-hide_banner", "-v", "error", "-nostats"])
            .args(["-progress", "pipe:1", "-y", "-i"])
            .arg(url(&self.input));
        if audio_only {
            command = command.arg("-vn");
        }
        command
            .arg(url(&file.path))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .progress(progress::ffmpeg(length.unwrap_or_default()))
            // At a `q` ffmpeg completes the file, so that it can be played up to there.
            .stop(
                Stop::stdin(b"q")
                    .grace(Duration::from_secs(10))
                    .then(Stop::default()),
            )
    }

    /// Creates a temporary file in the folder of the output. Blocks on the file system.
    pub(crate) fn create(&self) -> io::Result<PartialFile> {
        if fs::symlink_metadata(&self.output).is_ok() {
            let sentence = "a file with this name already exists";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, sentence));
        }
        let (Some(folder), Some(name)) = (self.output.parent(), self.output.file_name()) else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "this is not the name of a file",
            ));
        };
        // A name alone has an empty parent.
        let folder = Path::new(".").join(folder);
        remove_stale(&folder, name);
        // The extension is kept: it tells ffmpeg the format.
        let mut temporary = OsString::from(format!("{PREFIX}{}-", std::process::id()));
        temporary.push(name);
        let path = folder.join(temporary);
        let file = File::create_new(&path)?;
        // Where the file system has no locks, no stale file is removed either.
        let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
        Ok(PartialFile { path, _lock: file })
    }
}

/// The start of every temporary name; the process ID and the real name follow.
const PREFIX: &str = ".legwork-";

/// Removes temporary files of this name that nobody has locked: the app that created them was killed.
fn remove_stale(folder: &Path, name: &OsStr) {
    let temporary = |file: &OsStr| {
        let rest = file.as_encoded_bytes().strip_prefix(PREFIX.as_bytes());
        let number = rest.and_then(|rest| rest.strip_suffix(name.as_encoded_bytes()));
        let digits = number.and_then(|number| number.strip_suffix(b"-"));
        digits.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
    };
    let Ok(files) = fs::read_dir(folder) else {
        return;
    };
    for file in files.flatten().filter(|file| temporary(&file.file_name())) {
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

/// A temporary file that is being written; it is removed when this is dropped.
pub(crate) struct PartialFile {
    path: PathBuf,
    /// Locked while the file is written; the kernel unlocks it however the process ends.
    _lock: File,
}

impl PartialFile {
    /// Renames it to its real name, and returns its size. Blocks on the file system.
    pub(crate) fn persist(self, name: &Path) -> io::Result<u64> {
        let size = fs::metadata(&self.path)?.len();
        match renameat_with(CWD, &self.path, CWD, name, RenameFlags::NOREPLACE) {
            // This file system cannot do it in one step.
            Err(rustix::io::Errno::INVAL) if fs::symlink_metadata(name).is_err() => {
                fs::rename(&self.path, name)?;
            }
            done => done?,
        }
        Ok(size)
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // It does not exist any more if it was persisted.
        let _ = fs::remove_file(&self.path);
    }
}

/// This name, or the first one with a number that does not exist: `tone (2).ogg`. Blocks on the file system.
pub(crate) fn free_name(wanted: &Path) -> PathBuf {
    let numbered = |number: u32| {
        let mut name = wanted.file_stem().unwrap_or_default().to_owned();
        if number > 1 {
            name.push(format!(" ({number})"));
        }
        if let Some(extension) = wanted.extension() {
            name.push(".");
            name.push(extension);
        }
        wanted.with_file_name(name)
    };
    (1..)
        .map(numbered)
        .find(|name| fs::symlink_metadata(name).is_err())
        .expect("there is a free number")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversion(folder: &Path) -> Conversion {
        let output = folder.join("out.ogg");
        Conversion {
            input: "in".into(),
            output,
        }
    }

    #[test]
    fn a_name_that_exists_gets_a_number() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("a tone.ogg");
        assert_eq!(free_name(&wanted), wanted);
        fs::write(&wanted, "").unwrap();
        assert_eq!(free_name(&wanted), folder.path().join("a tone (2).ogg"));
        fs::write(folder.path().join("a tone (2).ogg"), "").unwrap();
        assert_eq!(free_name(&wanted), folder.path().join("a tone (3).ogg"));
    }

    #[test]
    fn a_complete_file_is_renamed_and_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let conversion = conversion(folder.path());
        let file = conversion.create().unwrap();
        let other = PartialFile {
            path: folder.path().join("other"),
            _lock: File::create_new(folder.path().join("other")).unwrap(),
        };
        fs::write(&file.path, "sound").unwrap();
        assert!(!conversion.output.exists());
        assert_eq!(file.persist(&conversion.output).unwrap(), 5);
        assert_eq!(fs::read(&conversion.output).unwrap(), b"sound");

        assert!(conversion.create().is_err(), "it exists now");
        fs::write(&other.path, "noise").unwrap();
        let late = other.persist(&conversion.output).unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&conversion.output).unwrap(), b"sound");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_not_persisted_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let conversion = conversion(folder.path());
        drop(conversion.create().unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_temporary_file_of_a_killed_app_is_removed_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let stale = folder.path().join(".legwork-1-out.ogg");
        fs::write(&stale, "half").unwrap();
        let others = [
            ".legwork-1-about.ogg",
            ".legwork--out.ogg",
            ".legwork-x1-out.ogg",
            "1-out.ogg",
        ];
        for other in others {
            fs::write(folder.path().join(other), "").unwrap();
        }
        let locked = folder.path().join(".legwork-2-out.ogg");
        let lock = File::create(&locked).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();

        let conversion = conversion(folder.path());
        let partial = conversion.create().unwrap();
        assert!(!stale.exists() && locked.exists());
        assert!(
            others
                .iter()
                .all(|other| folder.path().join(other).exists())
        );
        drop(partial);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            others.len() + 1
        );
    }
}
