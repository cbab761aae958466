//! Why a program could not be started, before the program has a label.

use std::io;

use crate::child::Error;
use crate::spawn::{SpawnError, Step};
use crate::text::{Text, text};

/// A step of a start that failed.
#[derive(Debug)]
pub(super) enum StartError {
    /// A system call of the app's: what could not be done, and why.
    System(Text, io::Error),
    /// The program could not be started, or what was asked for makes no sense.
    Spawn(SpawnError),
}

impl StartError {
    pub(super) fn refused(step: Step, sentence: Text) -> Self {
        StartError::Spawn(SpawnError::refused(step, sentence))
    }

    /// The same, once there is a child.
    pub(super) fn into_spawn_error(self) -> SpawnError {
        match self {
            StartError::System(what, error) => {
                let sentence = text!("{what}: {error}", what = what, error = Text::of(&error));
                SpawnError::refused(Step::Helper, sentence)
            }
            StartError::Spawn(error) => error,
        }
    }

    pub(super) fn labelled(self, label: &str) -> Error {
        match self {
            StartError::System(what, error) => Error::lacking(label, what, error),
            StartError::Spawn(error) => Error::start(label, error),
        }
    }
}

impl From<SpawnError> for StartError {
    fn from(error: SpawnError) -> Self {
        StartError::Spawn(error)
    }
}

/// Most calls that can fail make a descriptor.
impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        StartError::System(
            text!("the app could not make the descriptors for it"),
            error,
        )
    }
}

impl From<rustix::io::Errno> for StartError {
    fn from(errno: rustix::io::Errno) -> Self {
        io::Error::from(errno).into()
    }
}
