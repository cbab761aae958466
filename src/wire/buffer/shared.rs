//! A buffer: sealed memory that its handles share, mapped at its first use.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::mapping::Mapping;
use super::memory::{self, Sealed};
use super::release;
use crate::process::own;
use crate::wire::attach::{self, DecodeError, EncodeError};
use crate::wire::file_size;

/// A received buffer of at most this size keeps no descriptor, and is copied if it is sent on.
pub(super) const SMALL: usize = 1 << 20;

/// Immutable bytes that another process maps instead of copying.
///
/// A job's input, messages, requests and output may contain buffers anywhere; only their descriptors are sent. A buffer
/// derefs to `[u8]`. A clone is another handle to the same memory.
///
/// It is made from a slice ([`copy_from_slice`](Self::copy_from_slice)), from what is written to a
/// [`BufferWriter`](crate::BufferWriter), or from a [`BufferMut`](crate::BufferMut) that was filled in place.
///
/// It is `Send` and `Sync`, as it never changes. Dropping the last handle frees the memory, on another thread if that
/// takes long.
///
/// # Descriptors
///
/// A buffer has one descriptor. A received one of at most 1 MiB has none, and is copied if it is sent on. A message
/// carries at most 252 descriptors.
///
/// # Panics
///
/// A buffer that was made in this process is mapped at its first use, so that one that is only sent never is. That use
/// panics if the process has no address space left; [`try_as_slice`](Self::try_as_slice) returns an error instead. A
/// received buffer is mapped already.
///
/// # Examples
///
/// ```
/// use legwork::{Buffer, BufferMut};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Picture {
///     width: u32,
///     pixels: Buffer,
/// }
///
/// // In the worker: fill it in place, seal it, send it.
/// let mut pixels = BufferMut::new(640 * 480 * 4)?;
/// pixels.fill(0x7f);
/// let picture = Picture { width: 640, pixels: pixels.seal()? };
///
/// // In the app: the same pages.
/// assert_eq!(picture.pixels.len(), 640 * 480 * 4);
/// assert_eq!(picture.pixels[0], 0x7f);
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Default)]
pub struct Buffer {
    /// `None` is the empty buffer, which has no memory.
    pub(super) shared: Option<Arc<Shared>>,
}

/// What the handles of a buffer share.
pub(super) struct Shared {
    len: usize,
    /// `None` once a small received buffer is mapped.
    pub(super) memory: Option<Sealed>,
    pub(super) mapping: OnceLock<Mapping>,
    /// The process that made the buffer. A process that is forked from it must not free it.
    process: u32,
}

impl Buffer {
    /// Copies `bytes` into a new buffer.
    ///
    /// # Errors
    ///
    /// Those of memfd_create(2) and write(2): the process has reached its limit of open files or of the size of files, or
    /// memory is exhausted.
    pub fn copy_from_slice(bytes: &[u8]) -> io::Result<Self> {
        file_size::check(bytes.len() as u64)?;
        let mut memory = File::from(memory::create()?);
        memory.write_all(bytes)?;
        memory::seal(memory.into()).map(Self::sealed)
    }

    /// The number of bytes.
    pub fn len(&self) -> usize {
        self.shared.as_ref().map_or(0, |shared| shared.len)
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes.
    ///
    /// # Errors
    ///
    /// Those of mmap(2), at the first use of a buffer that was made in this process: the process has no address space
    /// left, or too many mappings. A received buffer never fails.
    pub fn try_as_slice(&self) -> io::Result<&[u8]> {
        match &self.shared {
            None => Ok(&[]),
            Some(shared) => shared.map().map(Mapping::bytes),
        }
    }

    /// A buffer of memory that this process has sealed.
    pub(super) fn sealed(memory: Sealed) -> Self {
        match memory.len() {
            0 => Self::default(),
            len => Self::new(len, Some(memory), OnceLock::new()),
        }
    }

    /// A buffer of a descriptor that a peer has sent.
    fn received(descriptor: OwnedFd, len: u64) -> Result<Self, DecodeError> {
        let memory =
            Sealed::check(descriptor, len).map_err(|why| DecodeError::Buffer(why.into()))?;
        let mapping = Mapping::of_sealed(&memory).map_err(DecodeError::Map)?;
        let len = memory.len();
        Ok(Self::new(
            len,
            (len > SMALL).then_some(memory),
            OnceLock::from(mapping),
        ))
    }

    fn new(len: usize, memory: Option<Sealed>, mapping: OnceLock<Mapping>) -> Self {
        let process = own::id();
        Self {
            shared: Some(Arc::new(Shared {
                len,
                memory,
                mapping,
                process,
            })),
        }
    }

    /// The memory to send. `None` if it is empty.
    fn to_send(&self) -> io::Result<Option<Arc<OwnedFd>>> {
        let Some(shared) = &self.shared else {
            return Ok(None);
        };
        if let Some(memory) = &shared.memory {
            return Ok(Some(memory.descriptor()));
        }
        let copy = Self::copy_from_slice(self)?;
        copy.to_send()
    }
}

impl Shared {
    fn map(&self) -> io::Result<&Mapping> {
        if let Some(mapping) = self.mapping.get() {
            return Ok(mapping);
        }
        let memory = self
            .memory
            .as_ref()
            .expect("its descriptor is closed only after it was mapped");
        // Of two threads that come here at the same time, the second unmaps what it has mapped.
        let mapping = Mapping::of_sealed(memory)?;
        Ok(self.mapping.get_or_init(|| mapping))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        release::release(self.memory.take(), self.mapping.take(), self.process);
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self.try_as_slice() {
            Ok(bytes) => bytes,
            Err(error) => panic!("a Buffer of {} bytes cannot be mapped: {error}", self.len()),
        }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Compares the bytes.
impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        match (&self.shared, &other.shared) {
            (Some(one), Some(another)) if Arc::ptr_eq(one, another) => true,
            _ => self.len() == other.len() && self[..] == other[..],
        }
    }
}

impl Eq for Buffer {}

/// The encoded form of a buffer: its length, and the index of its descriptor unless it is empty.
#[derive(Serialize, Deserialize)]
#[serde(rename = "legwork::Buffer")]
struct OnTheWire {
    len: u64,
    descriptor: Option<u32>,
}

impl Serialize for Buffer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let descriptor = match self.to_send() {
            Ok(memory) => memory
                .map(|memory| attach::attach("Buffer", &memory))
                .transpose()?,
            Err(error) => return Err(attach::refuse_to_send(EncodeError::Buffer(error))),
        };
        OnTheWire {
            len: self.len() as u64,
            descriptor,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Buffer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match OnTheWire::deserialize(deserializer)? {
            OnTheWire { len: 0, .. } => Ok(Self::default()),
            OnTheWire {
                descriptor: None, ..
            } => Err(D::Error::custom(
                "a Buffer that is not empty has a descriptor",
            )),
            OnTheWire {
                len,
                descriptor: Some(index),
            } => {
                let descriptor = attach::take("Buffer", index)?;
                Self::received(descriptor, len).map_err(attach::refuse)
            }
        }
    }
}
