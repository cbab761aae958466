//! A buffer as GLib's bytes.

use crate::Buffer;

impl Buffer {
    /// The bytes for GLib, GTK and whatever else takes a `GBytes` (a `gdk::MemoryTexture`), without a copy.
    ///
    /// They keep the memory for as long as somebody has them; the last reference may go on any thread.
    ///
    /// ```
    /// let buffer = legwork::Buffer::copy_from_slice(b"pixels")?;
    /// let bytes = buffer.to_bytes();
    /// assert_eq!(bytes[..].as_ptr(), buffer.as_ptr());
    /// # std::io::Result::Ok(())
    /// ```
    ///
    /// # Panics
    ///
    /// As [`Buffer`] does, never for one that was received.
    pub fn to_bytes(&self) -> glib::Bytes {
        glib::Bytes::from_owned(self.clone())
    }
}
