//! What can be wrong with one file: a named entry in the result, never the end of the job.
//!
//! An app can match on these, so they travel as values and not as a rendered error.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

/// Why one entry of a folder has no result. `Display` is a sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trouble {
    /// It was listed, and gone when it was opened.
    Vanished,
    /// The system does not allow to read it.
    Forbidden,
    /// It grew or shrank while it was read, so no result would be true.
    Changed,
    /// A link that leads round in a circle.
    Loop,
    /// A link that leads nowhere.
    Dangling,
    /// A second way to a folder that was read already; reading it again could go on for ever.
    ReadBefore,
    /// A device, a socket or a pipe: it has no end, or reading it does something.
    Special,
    /// The picture says that it is larger than what is decoded here.
    TooLarge,
    /// The picture ends before it is complete.
    CutShort,
    /// The content is not of any picture format that is known here.
    NotAPicture,
    /// The picture contradicts itself; the text is the decoder's.
    Damaged(String),
    /// Anything else the system said.
    Other(String),
}

impl Trouble {
    /// A name for machines, stable across releases.
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

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vanished => "It disappeared before it could be read",
            Self::Forbidden => "You do not have permission to read it",
            Self::Changed => "It changed while it was being read",
            Self::Loop => "The link leads round in a circle",
            Self::Dangling => "The link leads nowhere",
            Self::ReadBefore => "A second way to a folder that was already read",
            Self::Special => "It is a device, a socket or a pipe, not a file",
            Self::TooLarge => "The picture is too large to open safely",
            Self::CutShort => "The picture is cut short",
            Self::NotAPicture => "It is not a picture that can be opened",
            Self::Damaged(said) => return write!(f, "The picture is damaged: {said}"),
            Self::Other(said) => return write!(f, "It could not be read: {said}"),
        })
    }
}

impl From<&io::Error> for Trouble {
    fn from(error: &io::Error) -> Self {
        use rustix::io::Errno;
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT | Errno::NOTDIR | Errno::STALE) => Self::Vanished,
            Some(Errno::ACCESS | Errno::PERM) => Self::Forbidden,
            Some(Errno::LOOP) => Self::Loop,
            // A socket, or a device without a driver behind it.
            Some(Errno::NXIO | Errno::NODEV) => Self::Special,
            _ => Self::Other(error.to_string()),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::from(&error)
    }
}
