//! Why a value could not be written to a frame or read from one, in sentences.

use std::fmt;
use std::io;

use super::why::Refusal;
use crate::wire::control::DESCRIPTORS_MAX;

/// Why a value could not be encoded. Always the sender's own doing.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum EncodeError {
    /// serde or postcard refused the value.
    Value {
        kind: &'static str,
        /// Unless the value refuses only at times.
        refusal: Option<Refusal>,
        error: postcard::Error,
    },
    /// More descriptors than travel in one frame.
    TooManyDescriptors,
    /// A descriptor could not be duplicated.
    Duplicate(io::Error),
    /// The memory of a buffer could not be made ready to be sent.
    Buffer(io::Error),
}

/// Why bytes and descriptors could not be decoded. The sender's doing, but for `Map`.
#[derive(Debug)]
#[non_exhaustive]
pub(crate) enum DecodeError {
    /// The bytes are no value of the type.
    Value {
        kind: &'static str,
        at: usize,
        error: postcard::Error,
    },
    /// The value is nested deeper than the stack is to be trusted with.
    TooDeep { kind: &'static str },
    /// The value ended before its bytes did.
    TrailingBytes { count: usize },
    /// An index without a descriptor.
    NoSuchDescriptor { index: u32, count: usize },
    /// An index used by two places.
    TakenTwice { index: u32 },
    /// Descriptors that no place in the value names.
    SurplusDescriptors { count: usize, of: usize },
    /// A descriptor that claims to be a buffer, and is not to be trusted as one.
    Buffer(Box<dyn std::error::Error + Send + Sync>),
    /// A good buffer that could not be mapped: this process has no room for it.
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
                write!(f, "a Buffer could not be made ready to be sent: {error}")
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
                    "the message is no {kind}: {} (at byte {at})",
                    why_not_read(error)
                )
            }
            Self::TooDeep { kind } => write!(
                f,
                "the message is no acceptable {kind}: it is nested too deeply"
            ),
            Self::TrailingBytes { count } => {
                write!(f, "the message is {count} bytes longer than its value")
            }
            Self::NoSuchDescriptor { index, count } => {
                write!(
                    f,
                    "the message refers to descriptor {index}, but came with {count}"
                )
            }
            Self::TakenTwice { index } => {
                write!(f, "the message refers to descriptor {index} twice")
            }
            Self::SurplusDescriptors { count, of } => {
                write!(
                    f,
                    "the message came with {of} descriptors and refers to {} of them",
                    of - count
                )
            }
            Self::Buffer(refused) => {
                write!(
                    f,
                    "the message came with a Buffer that cannot be trusted: {refused}"
                )
            }
            Self::Map(error) => {
                write!(f, "a Buffer was received and could not be mapped: {error}")
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
            "its type wants to be told what comes next (as `untagged`, `flatten`, internally tagged enums and \
             `serde_json::Value` do), and the bytes do not say"
        }
        DeserializeUnexpectedEnd => "it ends too early",
        DeserializeBadVarint => "a number in it is too large",
        DeserializeBadBool => "a truth value in it is neither 0 nor 1",
        DeserializeBadChar => "a character in it is none",
        DeserializeBadUtf8 => "a text in it is not UTF-8",
        DeserializeBadOption => "an optional value in it is neither there nor not there",
        DeserializeBadEnum => "the number of a variant in it is too large",
        DeserializeBadEncoding => "it is not well encoded",
        SerdeDeCustom => "one of its fields refused what it was given",
        _ => "the decoder refused it",
    }
}
