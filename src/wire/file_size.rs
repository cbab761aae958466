//! Memory that travels by its descriptor is a file, and the limit of files applies to it (`RLIMIT_FSIZE` of getrlimit(2),
//! `ulimit -f`). Beyond it the kernel does not only fail: it sends SIGXFSZ, which ends the process. So lengths are compared
//! first.

use std::io::{self, ErrorKind};

use rustix::process::{Resource, getrlimit};

/// Fails if a file may not have this length.
pub(crate) fn check(length: u64) -> io::Result<()> {
    match getrlimit(Resource::Fsize).current {
        Some(most) if length > most => Err(io::Error::new(
            ErrorKind::FileTooLarge,
            format!(
                "{length} bytes exceed the limit for the size of files, which is {most} bytes (RLIMIT_FSIZE, ulimit -f)"
            ),
        )),
        _ => Ok(()),
    }
}
