//! Two ways to make a buffer: fill it where it lies, or write to it.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::{Deref, DerefMut};

use super::mapping::Fill;
use super::memory;
use super::shared::Buffer;

/// A [`Buffer`] in the making, of a fixed length, to be filled in place: it derefs to `[u8]`.
///
/// For what writes its result wherever it is told to: decoders, rasterizers, parallel loops. What
/// comes piece by piece is faster written to a [`BufferWriter`].
///
/// It is `Send` and `Sync`. One that is dropped without being sealed is given back in place, which
/// takes a fifth of a second for a GiB.
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
    /// Takes memory for `len` bytes, which are 0. All of it is taken now, so that there is an error
    /// now if it is not there; filling it then meets no page fault.
    ///
    /// # Errors
    ///
    /// Those of memfd_create(2), fallocate(2) and mmap(2): no descriptor is left, or not so much
    /// memory. More than all memory of the machine is refused at once.
    pub fn new(len: usize) -> io::Result<Self> {
        Fill::new(len).map(Self)
    }

    /// Makes it a buffer that nobody can change any more, this process included.
    ///
    /// It is unmapped for that, in place, which takes 80 ms for a GiB. If somebody else still has it
    /// mapped (a process that another library forked from this one), it is copied.
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

/// A [`Buffer`] in the making, of any length, to be written to.
///
/// For what comes piece by piece: downloads, encoders, serializers. Each write is a system call;
/// pieces of a few hundred bytes want a [`BufWriter`](io::BufWriter) around it.
///
/// From pieces of 64 to 256 KiB it is the fastest way of all to fill a buffer: the kernel copies
/// them, while they are in the processor's cache, into pages that it need not zero before.
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
    /// A buffer without bytes.
    ///
    /// # Errors
    ///
    /// Those of memfd_create(2): no descriptor is left.
    pub fn new() -> io::Result<Self> {
        memory::create().map(File::from).map(Self)
    }

    /// Makes what was written a buffer that nobody can change any more, this process included.
    ///
    /// # Errors
    ///
    /// Those of fcntl(2) and fallocate(2): there is no memory for parts that were skipped.
    pub fn seal(self) -> io::Result<Buffer> {
        memory::seal(self.0.into()).map(Buffer::sealed)
    }
}

impl Write for BufferWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_vectored(&mut self, bytes: &[io::IoSlice<'_>]) -> io::Result<usize> {
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
