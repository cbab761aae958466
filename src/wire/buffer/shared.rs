//! A buffer: one piece of sealed memory, shared by its handles and mapped at its first use.

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

/// Up to this size a received buffer keeps no descriptor, and is copied if it is sent on.
pub(super) const SMALL: usize = 1 << 20;

/// Bytes that nobody can change any more, and that another process maps instead of copying.
///
/// A buffer may stand anywhere in a job's input, messages, requests or output, inside of other
/// values too; only its descriptor travels. It derefs to `[u8]`. A clone is another handle to the
/// same memory.
///
/// It is made from a slice ([`copy_from_slice`](Self::copy_from_slice)), from what is written to a
/// [`BufferWriter`](crate::BufferWriter), or from a [`BufferMut`](crate::BufferMut) that was filled in place.
///
/// It is `Send` and `Sync`, as nothing in it changes. Dropping the last handle gives the memory
/// back, on a thread of its own where that takes long.
///
/// # Descriptors
///
/// A buffer holds one descriptor, but a received one of at most 1 MiB holds none: that one is
/// copied if it is sent on. A message carries at most 252.
///
/// # Panics
///
/// A buffer that was made in this process is mapped at its first use, as one that is only sent
/// never needs to be. If the process has no room left in its address space, that use panics;
/// [`try_as_slice`](Self::try_as_slice) does not. A received one is mapped already.
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
/// // In the worker: fill it where it lies, seal it, send it.
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
    /// `None` is the empty buffer: it has no memory.
    pub(super) shared: Option<Arc<Shared>>,
}

/// What the handles to one buffer share.
pub(super) struct Shared {
    len: usize,
    /// `None` once a small received buffer is mapped.
    pub(super) memory: Option<Sealed>,
    pub(super) mapping: OnceLock<Mapping>,
    /// The process that made this handle; one forked from it by somebody else is another.
    process: u32,
}

impl Buffer {
    /// Copies `bytes` into a new buffer.
    ///
    /// # Errors
    ///
    /// Those of memfd_create(2) and write(2): no descriptor or no memory is left.
    pub fn copy_from_slice(bytes: &[u8]) -> io::Result<Self> {
        let mut memory = File::from(memory::create()?);
        memory.write_all(bytes)?;
        memory::seal(memory.into()).map(Self::sealed)
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.shared.as_ref().map_or(0, |shared| shared.len)
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, or why they cannot be mapped.
    ///
    /// # Errors
    ///
    /// Those of mmap(2) at the first use of a buffer that was made in this process: no room is left
    /// in its address space, or it has too many mappings. Never for a received one.
    pub fn try_as_slice(&self) -> io::Result<&[u8]> {
        match &self.shared {
            None => Ok(&[]),
            Some(shared) => shared.map().map(Mapping::bytes),
        }
    }

    /// A buffer of what this process has sealed.
    pub(super) fn sealed(memory: Sealed) -> Self {
        match memory.len() {
            0 => Self::default(),
            len => Self::new(len, Some(memory), OnceLock::new()),
        }
    }

    /// A buffer of what a peer says is one.
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

    /// The memory that a frame is to carry.
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
            .expect("memory is only let go of once it is mapped");
        // Two threads may come here at once: the mapping of the second is undone again.
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

/// A buffer as its bytes in a frame say it is. An empty one has no descriptor.
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
                "a Buffer that is not empty comes with a descriptor",
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
