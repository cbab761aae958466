//! Buffered bytes between the standard descriptors of this command and the program.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat, open, readlink};
use rustix::io::Errno;

/// How much a writable pipe takes at least without blocking; see pipe(7).
const STEP: usize = 4096;

/// How much is read at a time.
pub(super) const READ: usize = 4 * STEP;

/// A standard descriptor of this command. Other processes share it, so its flags must not change. Pipes and terminals
/// are therefore opened again, without blocking.
pub(super) enum End {
    Shared(BorrowedFd<'static>),
    Own(OwnedFd),
}

impl End {
    pub(super) fn of(fd: BorrowedFd<'static>, access: OFlags) -> Self {
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        let kind = fstat(fd).map(|status| FileType::from_raw_mode(status.st_mode));
        let again = match kind {
            Ok(FileType::Fifo) => true,
            // Opening a multiplexer again makes another terminal.
            Ok(FileType::CharacterDevice) => readlink(&path, Vec::new())
                .is_ok_and(|target| !target.to_bytes().ends_with(b"ptmx")),
            _ => false,
        };
        let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match again.then(|| open(&path, flags, Mode::empty())) {
            Some(Ok(own)) => Self::Own(own),
            _ => Self::Shared(fd),
        }
    }

    pub(super) fn is_ready(&self, flags: PollFlags) -> bool {
        let mut fds = [PollFd::new(self, flags)];
        matches!(poll(&mut fds, Some(&Timespec::default())), Ok(1..))
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Shared(fd) => *fd,
            Self::Own(fd) => fd.as_fd(),
        }
    }
}

/// Bytes that are still to be written.
#[derive(Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    written: usize,
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        self.written == self.bytes.len()
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.is_empty() {
            *self = Self::default();
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes a part of it.
    pub(super) fn empty_into(&mut self, to: impl AsFd) -> Result<(), Errno> {
        let rest = &self.bytes[self.written..];
        self.written += rustix::io::write(to, &rest[..rest.len().min(STEP)])?;
        Ok(())
    }
}
