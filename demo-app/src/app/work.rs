//! What a job does and with what input: enough to name it in the list and to run it again.

use std::{path::Path, time::Duration};

use legwork_demo::jobs::{Checksum, Misbehave, Misdeed, Source, Thumbnails};

use crate::programs::{Conversion, Program};

/// One of this app's jobs or a program, with its input.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Checksum(Checksum),
    Thumbnails(Thumbnails),
    Misbehave(Misbehave),
    Program(Program),
    Convert(Conversion),
}

/// The deadline of a job that hangs.
pub(crate) const HANG_DEADLINE: Duration = Duration::from_secs(10);

/// What is the same for all work of a kind.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// One of this app's own icons.
    pub(crate) icon: &'static str,
    /// What one and several of its results are called.
    pub(crate) results: (&'static str, &'static str),
}

impl Work {
    /// Checksums of `folder` with the options that most people want.
    pub(crate) fn checksum(folder: &Path) -> Self {
        let source = Source::new(folder);
        Self::Checksum(Checksum { source })
    }

    /// Thumbnails of `folder` with the options that most people want.
    pub(crate) fn thumbnails(folder: &Path) -> Self {
        let source = Source::new(folder);
        Self::Thumbnails(Thumbnails { source, side: 256 })
    }

    /// `misdeed`, after enough time to see the job run.
    pub(crate) fn misbehave(misdeed: Misdeed) -> Self {
        Self::Misbehave(Misbehave {
            misdeed,
            after: Duration::from_millis(1500),
        })
    }

    /// Its title in the list: `Checksums of Pictures`.
    pub(crate) fn title(&self) -> String {
        let kind = self.kind().name;
        match self {
            Self::Checksum(job) => format!("{kind} of {}", name(&job.source.folder)),
            Self::Thumbnails(job) => format!("{kind} of {}", name(&job.source.folder)),
            Self::Misbehave(job) => format!("{kind}: {}", misdeed_title(job.misdeed)),
            Self::Program(program) => program.command_line.clone(),
            Self::Convert(job) => format!("{kind} of {}", name(&job.input)),
        }
    }

    /// What is the same for all work of this kind.
    pub(crate) fn kind(&self) -> Kind {
        let (name, icon, results) = match self {
            Self::Checksum(_) => ("Checksums", "checksum-symbolic", ("sum", "sums")),
            Self::Thumbnails(_) => ("Thumbnails", "thumbnails-symbolic", ("picture", "pictures")),
            Self::Misbehave(_) => ("Misbehave", "misbehave-symbolic", ("result", "results")),
            Self::Program(_) => ("Program", "program-symbolic", ("result", "results")),
            Self::Convert(_) => ("Conversion", "convert-symbolic", ("result", "results")),
        };
        Kind {
            name,
            icon,
            results,
        }
    }

    /// The folder that it reads or works in.
    pub(crate) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Checksum(job) => Some(&job.source.folder),
            Self::Thumbnails(job) => Some(&job.source.folder),
            Self::Misbehave(_) => None,
            Self::Program(program) => program.folder.as_deref(),
            Self::Convert(job) => job.output.parent(),
        }
    }

    /// Whether it runs a program, which has output instead of a log.
    pub(crate) fn is_program(&self) -> bool {
        matches!(self, Self::Program(_) | Self::Convert(_))
    }

    /// Its deadline, where it needs one.
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

/// The last part of a path, or the whole path where it has none.
pub(crate) fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

/// The title of a misdeed in lists.
pub(crate) fn misdeed_title(misdeed: Misdeed) -> &'static str {
    match misdeed {
        Misdeed::Panic => "Panic",
        Misdeed::Abort => "Abort",
        Misdeed::MemoryFault => "Memory Fault",
        Misdeed::Exit => "Exit Without a Result",
        Misdeed::Hang => "Hang",
        Misdeed::OutOfMemory => "Out of Memory",
    }
}

/// What will happen; the outcome says the same in the past tense.
pub(crate) fn misdeed_story(misdeed: Misdeed) -> &'static str {
    match misdeed {
        Misdeed::Panic => "Detects an internal error and stops",
        Misdeed::Abort => "Aborts itself at once",
        Misdeed::MemoryFault => "Accesses memory that is not its own; the system ends it",
        Misdeed::Exit => "Ends without giving a result",
        Misdeed::Hang => "Never finishes; it is ended after 10 seconds",
        Misdeed::OutOfMemory => "Asks for more memory than it is allowed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_names_the_kind_and_the_input() {
        assert_eq!(
            Work::checksum(Path::new("/home/ada/Pictures")).title(),
            "Checksums of Pictures"
        );
        assert_eq!(Work::thumbnails(Path::new("/")).title(), "Thumbnails of /");
        assert_eq!(Work::misbehave(Misdeed::Hang).title(), "Misbehave: Hang");
        let program = Program::parse("echo 'two words'", None).unwrap();
        assert_eq!(Work::Program(program).title(), "echo 'two words'");
        let convert = Conversion {
            input: "/home/ada/tone.wav".into(),
            output: "/home/ada/tone.ogg".into(),
        };
        assert_eq!(Work::Convert(convert).title(), "Conversion of tone.wav");
    }

    #[test]
    fn only_the_misdeed_that_never_ends_has_a_deadline() {
        let deadlines = Misdeed::ALL.map(|misdeed| Work::misbehave(misdeed).deadline().is_some());
        assert_eq!(deadlines, [false, false, false, false, true, false]);
    }
}
