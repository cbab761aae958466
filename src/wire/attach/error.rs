//! Why a value could not be encoded or decoded.

use std::fmt;
use std::io;

use super::DECODED_MAX;
use super::why::Refusal;
use crate::wire::control::DESCRIPTORS_MAX;

/// Why a value could not be encoded. This is always the sender's own error.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum EncodeError {
    /// serde or postcard refused the value.
    Value {
        kind: &'static str,
        /// `None` if serializing it once more did not fail.
        refusal: Option<Refusal>,
        error: postcard::Error,
    },
    /// The value has more descriptors than fit in one frame.
    TooManyDescriptors,
    /// A descriptor could not be duplicated.
    Duplicate(io::Error),
    /// The memory of a buffer could not be prepared to be sent.
    Buffer(io::Error),
}

/// Why bytes and descriptors could not be decoded. This is the sender's error, except for `Map`.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum DecodeError {
    /// The bytes are not a value of the type.
    Value {
        kind: &'static str,
        at: usize,
        error: postcard::Error,
    },
    /// The value is nested too deeply for the stack.
    TooDeep { kind: &'static str },
    /// The value takes more memory than [`DECODED_MAX`].
    TooLarge { kind: &'static str },
    /// Bytes follow the value.
    TrailingBytes { count: usize },
    /// An index without a descriptor.
    NoSuchDescriptor { index: u32, count: usize },
    /// An index that occurs twice.
    TakenTwice { index: u32 },
    /// Descriptors whose index does not occur in the value.
    SurplusDescriptors { count: usize, of: usize },
    /// The descriptor of a buffer that is not safe to map.
    Buffer(Box<dyn std::error::Error + Send + Sync>),
    /// A valid buffer that could not be mapped.
    Map(io::Error),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value {
                kind,
                refusal: Some(refusal),
                ..
            } => write!(f, "a value of {kind} cannot be sent: {refusal}"),
            Self::Value { kind, error, .. } => {
                write!(f, "a value of {kind} cannot be sent: {error}")
            }
            Self::TooManyDescriptors => {
                write!(
                    f,
                    "one message can carry at most {} descriptors",
                    DESCRIPTORS_MAX
                )
            }
            Self::Duplicate(error) => write!(
                f,
                "a descriptor could not be duplicated to be sent: {error}"
            ),
            Self::Buffer(error) => {
                write!(f, "a Buffer could not be prepared to be sent: {error}")
            }
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value { kind, at, error } => {
                write!(
                    f,
                    "the data is not a valid {kind}: {} (at byte {at})",
                    why_not_read(error)
                )
            }
            Self::TooDeep { kind } => {
                write!(f, "the data is not a valid {kind}: it is nested too deeply")
            }
            Self::TooLarge { kind } => {
                write!(
                    f,
                    "the data is not a valid {kind}: it takes more than {} MiB of memory; send large data as a Buffer",
                    DECODED_MAX >> 20
                )
            }
            Self::TrailingBytes { count } => {
                write!(f, "{count} bytes follow the value")
            }
            Self::NoSuchDescriptor { index, count } => {
                write!(
                    f,
                    "the data names descriptor {index}, but only {count} descriptors arrived with it"
                )
            }
            Self::TakenTwice { index } => {
                write!(f, "the data names descriptor {index} twice")
            }
            Self::SurplusDescriptors { count, of } => {
                write!(
                    f,
                    "{of} descriptors arrived with the data, which names only {}",
                    of - count
                )
            }
            Self::Buffer(refused) => {
                write!(f, "a Buffer arrived that is not safe to map: {refused}")
            }
            Self::Map(error) => {
                write!(f, "a Buffer arrived, but could not be mapped: {error}")
            }
        }
    }
}

impl std::error::Error for EncodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Value { error, .. } => Some(error),
            Self::Duplicate(error) | Self::Buffer(error) => Some(error),
            Self::TooManyDescriptors => None,
        }
    }
}

impl std::error::Error for DecodeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Value { error, .. } => Some(error),
            Self::Map(error) => Some(error),
            _ => None,
        }
    }
}

fn why_not_read(error: &postcard::Error) -> &'static str {
    use postcard::Error::{
        DeserializeBadBool, DeserializeBadChar, DeserializeBadEncoding, DeserializeBadEnum,
        DeserializeBadOption, DeserializeBadUtf8, DeserializeBadVarint, DeserializeUnexpectedEnd,
        SerdeDeCustom, WontImplement,
    };
    match error {
        WontImplement => {
            "its type needs a self-describing format (as `untagged`, `flatten`, internally tagged enums and \
             `serde_json::Value` do), which postcard is not"
        }
        DeserializeUnexpectedEnd => "it ends too early",
        DeserializeBadVarint => "it contains a number that is too large",
        DeserializeBadBool => "it contains an invalid Boolean value",
        DeserializeBadChar => "it contains an invalid character",
        DeserializeBadUtf8 => "it contains text that is not UTF-8",
        DeserializeBadOption => "it contains an invalid optional value",
        DeserializeBadEnum => "it contains an invalid variant of an enum",
        DeserializeBadEncoding => "it is encoded incorrectly",
        SerdeDeCustom => "one of its fields refused the value",
        _ => "the decoder refused it",
    }
}
