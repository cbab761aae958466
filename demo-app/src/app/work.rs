//! What a job is about, kept so that it can be named in the list and done again.

use std::{path::Path, time::Duration};

use legwork_demo::jobs::{Checksum, Misbehave, Misdeed, Thumbnails};

use crate::programs::{Convert, Program};

/// One of this app's jobs, or a program, with its input.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Checksum(Checksum),
    Thumbnails(Thumbnails),
    Misbehave(Misbehave),
    Program(Program),
    Convert(Convert),
}

/// How long a job that hangs may take in all.
pub(crate) const HANG_DEADLINE: Duration = Duration::from_secs(10);

impl Work {
    /// Checksums of `folder` with the options that most people want.
    pub(crate) fn checksum(folder: &Path) -> Self {
        Self::Checksum(Checksum {
            folder: folder.to_owned(),
            follow_links: true,
            threads: None,
        })
    }

    /// Thumbnails of `folder` with the options that most people want.
    pub(crate) fn thumbnails(folder: &Path) -> Self {
        Self::Thumbnails(Thumbnails {
            folder: folder.to_owned(),
            follow_links: true,
            side: 256,
            threads: None,
        })
    }

    /// `misdeed` after a moment in which there is something to see.
    pub(crate) fn misbehave(misdeed: Misdeed) -> Self {
        Self::Misbehave(Misbehave {
            misdeed,
            after: Duration::from_millis(1500),
        })
    }

    /// What the list calls it: `Checksums of Pictures`.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Checksum(job) => format!("Checksums of {}", name(&job.folder)),
            Self::Thumbnails(job) => format!("Thumbnails of {}", name(&job.folder)),
            Self::Misbehave(job) => format!("Misbehave: {}", misdeed_title(job.misdeed)),
            Self::Program(program) => program.line.clone(),
            Self::Convert(job) => format!("Conversion of {}", name(&job.input)),
        }
    }

    /// What kind of work it is, in a word.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Checksum(_) => "Checksums",
            Self::Thumbnails(_) => "Thumbnails",
            Self::Misbehave(_) => "Misbehave",
            Self::Program(_) => "Program",
            Self::Convert(_) => "Conversion",
        }
    }

    /// The icon of its kind, from this app's own.
    pub(crate) fn icon(&self) -> &'static str {
        match self {
            Self::Checksum(_) => "checksum-symbolic",
            Self::Thumbnails(_) => "thumbnails-symbolic",
            Self::Misbehave(_) => "misbehave-symbolic",
            Self::Program(_) => "program-symbolic",
            Self::Convert(_) => "convert-symbolic",
        }
    }

    /// The folder that it reads, or works in.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Checksum(job) => Some(&job.folder),
            Self::Thumbnails(job) => Some(&job.folder),
            Self::Misbehave(_) => None,
            Self::Program(program) => program.folder.as_deref(),
            Self::Convert(job) => job.output.parent(),
        }
    }

    /// Whether it is a program of somebody else's: no job with results and a log, but output.
    pub(crate) fn is_program(&self) -> bool {
        matches!(self, Self::Program(_) | Self::Convert(_))
    }

    /// What one and several of its results are called.
    pub(crate) fn results(&self) -> (&'static str, &'static str) {
        match self {
            Self::Checksum(_) => ("sum", "sums"),
            Self::Thumbnails(_) => ("picture", "pictures"),
            Self::Misbehave(_) | Self::Program(_) | Self::Convert(_) => ("result", "results"),
        }
    }

    /// How long it may take in all; no bound for honest work.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        match self {
            Self::Misbehave(Misbehave {
                misdeed: Misdeed::Hang,
                ..
            }) => Some(HANG_DEADLINE),
            _ => None,
        }
    }
}

/// A file's or folder's own name, or its whole path where it has none.
pub(crate) fn name(folder: &Path) -> String {
    folder
        .file_name()
        .unwrap_or(folder.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// A misdeed's name in lists.
pub(crate) fn misdeed_title(misdeed: Misdeed) -> &'static str {
    match misdeed {
        Misdeed::Panic => "Panic",
        Misdeed::Abort => "Abort",
        Misdeed::MemoryFault => "Memory Fault",
        Misdeed::Exit => "Exit Without Answer",
        Misdeed::Hang => "Hang",
        Misdeed::MemoryHunger => "Memory Hunger",
    }
}

/// What will happen; afterwards the list says the same in the past tense.
pub(crate) fn misdeed_story(misdeed: Misdeed) -> &'static str {
    match misdeed {
        Misdeed::Panic => "Finds a fault in itself and stops",
        Misdeed::Abort => "Gives up and ends itself at once",
        Misdeed::MemoryFault => "Touches memory that is not its own; the system ends it",
        Misdeed::Exit => "Leaves without giving a result",
        Misdeed::Hang => "Never finishes; it is ended after 10 seconds",
        Misdeed::MemoryHunger => "Asks for more memory than it may have",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_called_by_what_it_does_to_what() {
        assert_eq!(
            Work::checksum(Path::new("/home/ada/Pictures")).title(),
            "Checksums of Pictures"
        );
        assert_eq!(Work::thumbnails(Path::new("/")).title(), "Thumbnails of /");
        assert_eq!(Work::misbehave(Misdeed::Hang).title(), "Misbehave: Hang");
        let program = Program::typed("echo 'two words'", None).unwrap();
        assert_eq!(Work::Program(program).title(), "echo 'two words'");
        let convert = Convert {
            input: "/home/ada/tone.wav".into(),
            output: "/home/ada/tone.ogg".into(),
        };
        assert_eq!(Work::Convert(convert).title(), "Conversion of tone.wav");
    }

    #[test]
    fn only_what_never_ends_has_a_deadline() {
        let bounded = Misdeed::ALL.map(|misdeed| Work::misbehave(misdeed).deadline().is_some());
        assert_eq!(bounded, [false, false, false, false, true, false]);
    }
}
