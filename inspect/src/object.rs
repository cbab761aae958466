//! What a descriptor leads to, so that it is recognised where another process holds it.

use std::fs;
use std::os::unix::fs::MetadataExt;

use procfs::process::FDTarget;

use crate::fdinfo::FdInfo;
use crate::kind::is_inhibitor;
use crate::link::Link;

/// What an open descriptor leads to. Two descriptors with the same one, in whichever processes, lead
/// to the same thing.
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
    /// `None` where it does not matter who else holds it, as for a regular file.
    pub(crate) fn of(link: &Link, details: impl FnOnce() -> Option<FdInfo>) -> Option<Self> {
        match &link.target {
            FDTarget::Socket(inode) => Some(Self::Socket(*inode)),
            FDTarget::Pipe(inode) => Some(Self::Pipe(*inode)),
            FDTarget::AnonInode(name) if name == "[eventfd]" => {
                Some(Self::Eventfd(details()?.eventfd_id()?))
            }
            // Not every path: a look at a file may wait for its file system.
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
