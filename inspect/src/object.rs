//! The kernel object behind a descriptor, to recognize it in other processes.

use std::fs;
use std::os::unix::fs::MetadataExt;

use procfs::process::FDTarget;

use crate::fdinfo::FdInfo;
use crate::kind::is_inhibitor;
use crate::link::Link;

/// The kernel object that a descriptor refers to. Two descriptors with the same object, even in different processes,
/// refer to the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Object {
    /// An eventfd, by the number that the kernel gave it (in fdinfo, since Linux 5.2).
    Eventfd(u64),
    /// One end of a socket, by its inode.
    Socket(u64),
    /// A pipe without a name, by its inode. Both ends are one object.
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
    /// Returns `None` if it does not matter who else holds it, as for a regular file.
    pub(crate) fn of(link: &Link, details: impl FnOnce() -> Option<FdInfo>) -> Option<Self> {
        match &link.target {
            FDTarget::Socket(inode) => Some(Self::Socket(*inode)),
            FDTarget::Pipe(inode) => Some(Self::Pipe(*inode)),
            FDTarget::AnonInode(name) if name == "[eventfd]" => {
                Some(Self::Eventfd(details()?.eventfd_id()?))
            }
            // Not for every path: a stat may wait for the file system.
            target if matches!(target, FDTarget::MemFD(_)) || is_inhibitor(&link.path) => {
                let status = fs::metadata(&link.entry).ok()?;
                Some(Self::File {
                    device: status.dev(),
                    inode: status.ino(),
                })
            }
            _ => None,
        }
    }
}
