//! What the standard descriptors of a program are.

use std::fs::File;
use std::io::{PipeReader, PipeWriter};
use std::os::fd::OwnedFd;

/// What one of the three standard descriptors of a program is.
///
/// | | input | output, error |
/// |---|---|---|
/// | [`null`](Self::null) | empty; the default | dropped |
/// | [`inherit`](Self::inherit) | the app's own | the app's own; the default, or dropped if the app has none |
/// | [`piped`](Self::piped) | [`CommandHandle::stdin`](super::CommandHandle::stdin) | [`stdout`](super::CommandHandle::stdout), [`stderr`](super::CommandHandle::stderr) |
/// | [`bytes`](Self::bytes) | these, then the end | - |
/// | [`fd`](Self::fd) | any descriptor, file, socket | the same |
/// | [`merged`](Self::merged) | - | for error: the same as output |
#[derive(Debug)]
pub struct Stdio(pub(super) Kind);

#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Inherit,
    Piped,
    Bytes(Vec<u8>),
    Descriptor(OwnedFd),
    Merged,
}

impl Stdio {
    /// `/dev/null`.
    pub fn null() -> Self {
        Stdio(Kind::Null)
    }

    /// The app's own. If that is closed in the app, the start fails.
    pub fn inherit() -> Self {
        Stdio(Kind::Inherit)
    }

    /// A pipe to the app.
    pub fn piped() -> Self {
        Stdio(Kind::Piped)
    }

    /// For standard input: these bytes, however many, and then the end. They are written as the
    /// program reads them, and their memory is freed meanwhile. A program may end without reading all
    /// of them.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Stdio(Kind::Bytes(bytes.into()))
    }

    /// An open descriptor: a file, a socket, one end of a pipe. The app's own copy is closed when
    /// the program has started.
    pub fn fd(fd: impl Into<OwnedFd>) -> Self {
        Stdio(Kind::Descriptor(fd.into()))
    }

    /// For standard error: the same as standard output, so that both arrive in the order in which
    /// the program wrote them.
    pub fn merged() -> Self {
        Stdio(Kind::Merged)
    }
}

impl From<OwnedFd> for Stdio {
    fn from(fd: OwnedFd) -> Self {
        Stdio::fd(fd)
    }
}

impl From<File> for Stdio {
    fn from(file: File) -> Self {
        Stdio::fd(file)
    }
}

impl From<PipeReader> for Stdio {
    fn from(pipe: PipeReader) -> Self {
        Stdio::fd(pipe)
    }
}

impl From<PipeWriter> for Stdio {
    fn from(pipe: PipeWriter) -> Self {
        Stdio::fd(pipe)
    }
}
