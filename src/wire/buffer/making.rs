//! Two ways to make a buffer: fill it in place, or write to it.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::{Deref, DerefMut};

use super::mapping::Fill;
use super::memory;
use super::shared::Buffer;
use crate::wire::file_size;

/// Memory of a fixed length that is filled in place and becomes a [`Buffer`]. It derefs to `[u8]`.
///
/// It is for code that writes its result into a slice: decoders, rasterizers, parallel loops. Data that comes piece by
/// piece is faster written to a [`BufferWriter`].
///
/// It is `Send` and `Sync`. A process that is forked from this one does not have the memory, and must not read it.
/// Dropping one that was not sealed frees the memory on the spot, which takes a fifth of a second
/// for a GiB.
///
/// ```
/// let mut pixels = legwork::BufferMut::new(4 * 256)?;
/// for pixel in pixels.chunks_exact_mut(4) {
///     pixel.copy_from_slice(&[0x20, 0x40, 0x60, 0xff]);
/// }
/// let pixels: legwork::Buffer = pixels.seal()?;
/// assert_eq!(pixels[4..8], [0x20, 0x40, 0x60, 0xff]);
/// # std::io::Result::Ok(())
/// ```
pub struct BufferMut(Fill);

impl BufferMut {
    /// Allocates `len` bytes, which are 0. All of the memory is allocated now, so that it fails now if there is not
    /// enough, and filling it causes no page faults.
    ///
    /// # Errors
    ///
    /// Those of memfd_create(2), fallocate(2) and mmap(2): the process has reached its limit of open files or of the size
    /// of files, or there is not enough memory. More than all memory of the machine is refused at once.
    pub fn new(len: usize) -> io::Result<Self> {
        Fill::new(len).map(Self)
    }

    /// Makes it a buffer, which no process can change any more, including this one.
    ///
    /// The memory is unmapped on the spot, which takes 80 ms for a GiB. If another process still has it mapped (one that
    /// a library has forked from this one), it is copied.
    ///
    /// # Errors
    ///
    /// Only if it has to be copied: those of [`new`](Self::new).
    pub fn seal(self) -> io::Result<Buffer> {
        memory::seal(self.0.into_memory()).map(Buffer::sealed)
    }
}

impl Deref for BufferMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl DerefMut for BufferMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.bytes_mut()
    }
}

impl AsRef<[u8]> for BufferMut {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for BufferMut {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl fmt::Debug for BufferMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferMut")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// A writer of any length that becomes a [`Buffer`].
///
/// It is for data that comes piece by piece: downloads, encoders, serializers. Each write is a system call; wrap it in a
/// [`BufWriter`](io::BufWriter) for pieces of a few hundred bytes.
///
/// With pieces of 64 to 256 KiB it is the fastest way to fill a buffer: the kernel copies them, while they are in the
/// processor's cache, into pages that it need not clear first.
///
/// ```
/// use std::io::Write;
///
/// let mut writer = legwork::BufferWriter::new()?;
/// writeln!(writer, "a line of {}", "text")?;
/// let text: legwork::Buffer = writer.seal()?;
/// assert_eq!(&text[..], b"a line of text\n");
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct BufferWriter(File);

impl BufferWriter {
    /// An empty writer.
    ///
    /// # Errors
    ///
    /// Those of memfd_create(2): the process has reached its limit of open files.
    pub fn new() -> io::Result<Self> {
        memory::create().map(File::from).map(Self)
    }

    /// Makes what was written a buffer, which no process can change any more, including this one.
    ///
    /// # Errors
    ///
    /// Those of fcntl(2) and fallocate(2): there is not enough memory for parts that were skipped by seeking.
    pub fn seal(self) -> io::Result<Buffer> {
        memory::seal(self.0.into()).map(Buffer::sealed)
    }
}

impl BufferWriter {
    /// Fails if there is no room for as many bytes.
    fn check_room(&mut self, bytes: usize) -> io::Result<()> {
        let end = self.0.stream_position()?.saturating_add(bytes as u64);
        file_size::check(end)
    }
}

impl Write for BufferWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.check_room(bytes.len())?;
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, bytes: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.check_room(bytes.iter().map(|part| part.len()).sum())?;
        self.0.write_vectored(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for BufferWriter {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.0.seek(position)
    }
}
