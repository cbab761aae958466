//! A buffer as GLib's bytes.

use crate::Buffer;

impl Buffer {
    /// Returns the bytes for GLib, GTK and whatever else takes a `GBytes` (such as `gdk::MemoryTexture`),
    /// without a copy.
    ///
    /// They keep the memory as long as they exist; the last reference may be dropped on any thread.
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
    /// As [`Buffer`] does; never for a buffer that was received.
    pub fn to_bytes(&self) -> glib::Bytes {
        glib::Bytes::from_owned(self.clone())
    }
}
