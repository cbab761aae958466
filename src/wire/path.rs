//! Paths and file names of any bytes, for `#[serde(with = "legwork::path")]`.
//!
//! A file name on Linux consists of any bytes but NUL and the slash. serde writes a `PathBuf` as text and refuses one
//! that is not UTF-8, so a job on a folder would fail for the one user who has such a folder. With this module a path is
//! written as bytes.
//!
//! ```
//! use std::ffi::OsString;
//! use std::path::PathBuf;
//!
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct Thumbnails {
//!     #[serde(with = "legwork::path")]
//!     folder: PathBuf,
//!     #[serde(with = "legwork::path")]
//!     skip: Vec<OsString>,
//!     #[serde(with = "legwork::path")]
//!     output: Option<PathBuf>,
//! }
//! ```

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Serializes a path, or an `Option` or `Vec` of paths, as bytes.
///
/// # Errors
///
/// Those of the serializer.
pub fn serialize<P: Path, S: Serializer>(path: &P, serializer: S) -> Result<S::Ok, S::Error> {
    path.write(serializer)
}

/// Deserializes what [`serialize`] has written.
///
/// # Errors
///
/// Those of the deserializer, and data that is neither bytes nor text.
pub fn deserialize<'de, P: Path, D: Deserializer<'de>>(deserializer: D) -> Result<P, D::Error> {
    P::read(deserializer)
}

/// The types that this module serializes: `PathBuf`, `OsString`, and `Option` and `Vec` of these.
pub trait Path: sealed::Sealed + Sized {
    #[doc(hidden)]
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;
    #[doc(hidden)]
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for OsString {}
impl Path for OsString {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_bytes())
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_byte_buf(Bytes)
            .map(OsString::from_vec)
    }
}

impl sealed::Sealed for PathBuf {}
impl Path for PathBuf {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.as_os_str().as_bytes())
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        OsString::read(deserializer).map(PathBuf::from)
    }
}

impl<P: Path> sealed::Sealed for Option<P> {}
impl<P: Path> Path for Option<P> {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_ref().map(AsBytes).serialize(serializer)
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<FromBytes<P>>::deserialize(deserializer)?.map(|path| path.0))
    }
}

impl<P: Path> sealed::Sealed for Vec<P> {}
impl<P: Path> Path for Vec<P> {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(AsBytes))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<FromBytes<P>>::deserialize(deserializer)?
            .into_iter()
            .map(|path| path.0)
            .collect())
    }
}

/// Serializes an element of an `Option` or `Vec`.
struct AsBytes<'a, P>(&'a P);

impl<P: Path> Serialize for AsBytes<'_, P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.write(serializer)
    }
}

/// Deserializes one.
struct FromBytes<P>(P);

impl<'de, P: Path> Deserialize<'de> for FromBytes<P> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        P::read(deserializer).map(Self)
    }
}

struct Bytes;

impl<'de> Visitor<'de> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes of a path")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }

    // JSON and the like have no bytes: they write a list of numbers. People write a text.
    fn visit_str<E>(self, text: &str) -> Result<Vec<u8>, E> {
        Ok(text.as_bytes().to_vec())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = sequence.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}
