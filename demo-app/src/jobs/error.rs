//! The errors of a job, and of one entry of its folder.
//!
//! An entry's error is part of the result and never ends the job. An app can match on it, so it is sent as a value and
//! not as a sentence.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

/// The error that ends a job.
pub type JobError = Box<dyn std::error::Error + Send + Sync>;

/// Why one entry of a folder has no result. `Display` is a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryError {
    /// It was listed, but did not exist any more when it was opened.
    Vanished,
    /// The permission to read it is missing.
    Forbidden,
    /// It grew or shrank while it was read, so that no result would be right.
    Changed,
    /// A link that points back to itself.
    Loop,
    /// A link whose target does not exist.
    Dangling,
    /// Another path to a folder that was read already; reading it again might never end.
    ReadBefore,
    /// A device, a socket or a pipe: reading it may never end, or have an effect.
    Special,
    /// The picture is larger than the limits allow.
    TooLarge,
    /// The end of the picture is missing.
    CutShort,
    /// The content is of no known picture format.
    NotAPicture,
    /// The picture is invalid; the text is the decoder's.
    Damaged(String),
    /// Another error of the system.
    Other(String),
}

impl EntryError {
    /// The name of the error in JSON, which stays the same across releases.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Vanished => "vanished",
            Self::Forbidden => "forbidden",
            Self::Changed => "changed",
            Self::Loop => "loop",
            Self::Dangling => "dangling",
            Self::ReadBefore => "read-before",
            Self::Special => "special",
            Self::TooLarge => "too-large",
            Self::CutShort => "cut-short",
            Self::NotAPicture => "not-a-picture",
            Self::Damaged(_) => "damaged",
            Self::Other(_) => "other",
        }
    }
}

impl fmt::Display for EntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vanished => "It disappeared before it could be read",
            Self::Forbidden => "You do not have permission to read it",
            Self::Changed => "It changed while it was being read",
            Self::Loop => "The link points back to itself",
            Self::Dangling => "The target of the link does not exist",
            Self::ReadBefore => "This folder was already read under another path",
            Self::Special => "It is a device, a socket or a pipe, not a file",
            Self::TooLarge => "The picture is too large to open safely",
            Self::CutShort => "The picture is incomplete",
            Self::NotAPicture => "It is not a picture that can be opened",
            Self::Damaged(message) => return write!(f, "The picture is damaged: {message}"),
            Self::Other(message) => return write!(f, "It could not be read: {message}"),
        })
    }
}

impl From<&io::Error> for EntryError {
    fn from(error: &io::Error) -> Self {
        use rustix::io::Errno;
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::STALE) => Self::Vanished,
            Some(Errno::ACCESS | Errno::PERM) => Self::Forbidden,
            Some(Errno::LOOP) => Self::Loop,
            // A socket, or a device without a driver.
            Some(Errno::NXIO | Errno::NODEV) => Self::Special,
            _ => Self::Other(error.to_string()),
        }
    }
}

impl From<io::Error> for EntryError {
    fn from(error: io::Error) -> Self {
        Self::from(&error)
    }
}
