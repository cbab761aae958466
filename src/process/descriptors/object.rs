//! What a descriptor leads to, so that it is known again where another process holds it.

use std::{fs, os::unix::ffi::OsStrExt, os::unix::fs::MetadataExt, path::Path};

use super::{field, kind};

/// What an open descriptor leads to. The same one in two descriptors, of whichever processes: both lead there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Object {
    /// A counter, by the number that the kernel gave it (fdinfo, since Linux 5.2).
    Eventfd(u64),
    /// One end of a socket, by its inode.
    Socket(u64),
    /// A pipe without a name, both ends of it, by its inode.
    Pipe(u64),
    /// Memory or an inhibitor, by device and inode.
    File {
        /// The device that it is on.
        device: u64,
        /// Its number there.
        inode: u64,
    },
}

impl Object {
    /// `None` for what it makes no difference who else holds it, such as a regular file.
    pub(super) fn of(entry: &Path, link: &Path, details: impl FnOnce() -> String) -> Option<Self> {
        let name = link.as_os_str().as_bytes();
        if let Some(inode) = numbered(name, b"socket:[") {
            return Some(Self::Socket(inode));
        }
        if let Some(inode) = numbered(name, b"pipe:[") {
            return Some(Self::Pipe(inode));
        }
        if name == b"anon_inode:[eventfd]" {
            let number = field(&details(), "eventfd-id:")?.parse().ok()?;
            return Some(Self::Eventfd(number));
        }
        // Not every path: a look at a file may wait for its file system.
        if !name.starts_with(b"/memfd:") && !kind::is_inhibitor(link) {
            return None;
        }
        let status = fs::metadata(entry).ok()?;
        Some(Self::File {
            device: status.dev(),
            inode: status.ino(),
        })
    }
}

/// The number in such as `socket:[4711]`.
fn numbered(name: &[u8], prefix: &[u8]) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
