//! Why a program could not be started, before the program has a label.

use std::borrow::Cow;
use std::io;

use crate::child::{Error, ErrorKind};
use crate::spawn::{SpawnError, Step};

/// A step of a start that failed.
#[derive(Debug)]
pub(super) enum StartError {
    /// A system call of the app's: what could not be done, and why.
    System(&'static str, io::Error),
    /// The program could not be started, or what was asked for makes no sense.
    Spawn(SpawnError),
}

impl StartError {
    pub(super) fn refused(step: Step, sentence: impl Into<Cow<'static, str>>) -> Self {
        StartError::Spawn(SpawnError::refused(step, sentence))
    }

    pub(super) fn labelled(self, label: &str) -> Error {
        match self {
            StartError::System(what, error) => {
                let text = format!("it could not be started: {what}: {error}");
                Error::new(ErrorKind::Start, label, text).because(error)
            }
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
        StartError::System("the app could not make the descriptors for it", error)
    }
}

impl From<rustix::io::Errno> for StartError {
    fn from(errno: rustix::io::Errno) -> Self {
        io::Error::from(errno).into()
    }
}
