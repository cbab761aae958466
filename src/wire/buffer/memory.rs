//! The memory of a buffer: a memfd, its seals, and what is checked of one that a peer has sent.
//!
//! A mapping is only as reliable as its file. A process that shortens the file kills the reader with SIGBUS; one that
//! writes to it changes what the reader has already checked. Only the seals of fcntl(2) prevent both for good: file modes
//! and read-only descriptors do not, as the sender has its own descriptor.
//!
//! | what a hostile sender sends | what prevents harm |
//! |---|---|
//! | a file, a pipe, a device, a file of a file system that it serves itself and that may never answer | `F_GET_SEALS` comes first: the kernel answers it by itself, and only for memory |
//! | bytes that change, also through an older mapping or a pinned page | `F_SEAL_WRITE`, which cannot be set while there is one. `F_SEAL_FUTURE_WRITE` is not enough |
//! | a file that gets shorter | `F_SEAL_SHRINK` |
//! | huge pages, which may be missing when they are read | the file system is tmpfs |
//! | a length that is not the file's | `fstat` |
//! | terabytes of holes, which take memory, or fail to, when they are read | every page must be allocated: the blocks are counted after those beyond the end were removed. `F_SEAL_GROW` prevents new ones, and holes cannot be made in a sealed file |

use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{
    FallocateFlags, MemfdFlags, OFlags, SealFlags, fallocate, fcntl_add_seals, fcntl_get_seals,
    fcntl_getfl, fstat, fstatfs, ftruncate, memfd_create,
};
use rustix::io::Errno;

use crate::process::background;

/// The seals that a buffer must have to be mapped.
const NEEDED: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::WRITE);

/// `TMPFS_MAGIC` of statfs(2).
const TMPFS: u64 = 0x0102_1994;

/// The unit of `st_blocks`, inode(7).
const BLOCK: u64 = 512;

/// Memory that no process can change or shorten any more. A value of this type is the proof.
pub(super) struct Sealed {
    descriptor: Arc<OwnedFd>,
    len: usize,
}

/// Makes memory that can be sealed: close-on-exec, not executable, of length 0.
pub(super) fn create() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match memfd_create(c"legwork-buffer", flags | MemfdFlags::NOEXEC_SEAL) {
        // Linux before 6.3 does not know MFD_NOEXEC_SEAL.
        Err(Errno::INVAL) => Ok(memfd_create(c"legwork-buffer", flags)?),
        created => Ok(created?),
    }
}

/// Seals memory that this process has filled. This process must have no writable mapping of it.
pub(super) fn seal(descriptor: OwnedFd) -> io::Result<Sealed> {
    let stat = fstat(&descriptor)?;
    let len = stat.st_size as u64;
    if !is_whole(len, stat.st_blocks as u64) {
        // Parts that were never written have no pages, which the receiver requires.
        fallocate(&descriptor, FallocateFlags::empty(), 0, len)?;
    }
    match fcntl_add_seals(&descriptor, NEEDED | SealFlags::SEAL) {
        // A process that was forked from this one has it mapped, or a device still reads into it. A copy is private.
        Err(Errno::BUSY) => return seal(copy(descriptor)?),
        added => added?,
    }
    Sealed::check(descriptor, len).map_err(io::Error::other)
}

fn copy(memory: OwnedFd) -> io::Result<OwnedFd> {
    let mut from = File::from(memory);
    let mut to = File::from(create()?);
    from.seek(SeekFrom::Start(0))?;
    io::copy(&mut from, &mut to)?;
    Ok(to.into())
}

impl Sealed {
    /// Checks that `descriptor` is sealed memory of exactly `len` bytes, whichever process made it.
    pub(super) fn check(descriptor: OwnedFd, len: u64) -> Result<Self, Refused> {
        match examine(&descriptor, len) {
            Ok(len) => Ok(Self {
                descriptor: Arc::new(descriptor),
                len,
            }),
            Err(refused) => {
                background::close(vec![descriptor]);
                Err(refused)
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn descriptor(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.descriptor)
    }
}

/// The checks, in the order of the table above. Returns `len`.
fn examine(descriptor: &OwnedFd, len: u64) -> Result<usize, Refused> {
    let seals = fcntl_get_seals(descriptor).map_err(|_| Refused::NotMemory)?;
    if !seals.contains(NEEDED) {
        return Err(Refused::NotSealed);
    }
    if fstatfs(descriptor).map_err(|_| Refused::NotMemory)?.f_type as u64 != TMPFS {
        return Err(Refused::HugePages);
    }
    let access = fcntl_getfl(descriptor).map_err(|_| Refused::NotMemory)?;
    if access & OFlags::RWMODE != OFlags::RDWR {
        return Err(Refused::Access);
    }
    let size = fstat(descriptor).map_err(|_| Refused::NotMemory)?.st_size as u64;
    if size != len {
        return Err(Refused::Size {
            announced: len,
            found: size,
        });
    }
    let in_memory = isize::try_from(len).map_err(|_| Refused::TooLong { len })?;
    // Removes blocks beyond the end, which would be counted in place of missing ones.
    ftruncate(descriptor, len).map_err(|_| Refused::Holes)?;
    let blocks = fstat(descriptor).map_err(|_| Refused::NotMemory)?.st_blocks as u64;
    if !is_whole(len, blocks) {
        return Err(Refused::Holes);
    }
    Ok(in_memory.unsigned_abs())
}

/// Whether a file of this length has all of its pages.
fn is_whole(len: u64, blocks: u64) -> bool {
    blocks >= len.next_multiple_of(rustix::param::page_size() as u64) / BLOCK
}

/// Why a descriptor is not safe to map as a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Refused {
    NotMemory,
    NotSealed,
    HugePages,
    Access,
    Size { announced: u64, found: u64 },
    TooLong { len: u64 },
    Holes,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMemory => f.write_str("it is not memory that can be sealed"),
            Self::NotSealed => f.write_str("it can still be written to or change its length"),
            Self::HugePages => {
                f.write_str("it is made of huge pages, which may be missing when it is read")
            }
            Self::Access => f.write_str("it is not open for reading and writing"),
            Self::Size { announced, found } => {
                write!(f, "it has {found} bytes, and {announced} were announced")
            }
            Self::TooLong { len } => {
                write!(f, "its {len} bytes are more than this machine can address")
            }
            Self::Holes => f.write_str("parts of it have no memory"),
        }
    }
}

impl std::error::Error for Refused {}
