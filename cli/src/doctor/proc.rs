//! `/proc`, read through procfs.

use std::io::{self, ErrorKind, Read};

use procfs::process::{Process, Stat, StatFlags, Status};
use procfs::{FromBufRead, FromRead, ProcError, ProcResult};

/// A `status` file. procfs refuses it if the name of the process is not UTF-8, and any process may have such a name.
pub(super) struct AnyStatus(pub(super) Status);

impl FromRead for AnyStatus {
    fn from_read<R: Read>(mut file: R) -> ProcResult<Self> {
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        Status::from_buf_read(String::from_utf8_lossy(&text).as_bytes()).map(Self)
    }
}

/// Reads the `stat` file of a process; `None` if the process is gone.
pub(super) fn stat(pid: i32) -> Option<Stat> {
    Process::new(pid).and_then(|process| process.stat()).ok()
}

pub(super) fn is_zombie(child: &Stat) -> bool {
    child.state == 'Z'
}

/// Returns whether a process was forked and has never executed a program.
pub(super) fn is_copy(process: &Stat) -> bool {
    process.flags & StatFlags::PF_FORKNOEXEC.bits() != 0 && !is_zombie(process)
}

/// Returns whether it is the guardian of a Legwork app, which blocks all signals and shares an eventfd with the app.
pub(super) fn is_guardian(pid: u32) -> bool {
    let words = Process::new(pid.cast_signed()).and_then(|process| process.cmdline());
    words.is_ok_and(|words| {
        words
            .get(1)
            .is_some_and(|word| word == "--legwork-guardian")
    })
}

/// Converts an error, for a sentence.
pub(super) fn io_error(error: ProcError) -> io::Error {
    match error {
        ProcError::PermissionDenied(_) => ErrorKind::PermissionDenied.into(),
        ProcError::NotFound(_) => ErrorKind::NotFound.into(),
        ProcError::Io(error, _) => error,
        other => io::Error::other(other.to_string()),
    }
}
