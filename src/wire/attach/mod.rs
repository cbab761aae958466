//! Descriptors beside the bytes: the one way in which a value becomes a frame's payload and back.
//!
//! A descriptor's number means nothing in another process, so a value that owns one (a [`Buffer`], a
//! [`Descriptor`]) is written as an index into a table that travels beside the bytes, as `SCM_RIGHTS`
//! of unix(7). serde hands a value no context of its own; therefore the table lives in a thread-local
//! slot for just as long as one [`encode`] or [`decode`] runs. Calls nest: each sees its own table.
//!
//! What it promises:
//!
//! - an index may be taken once; one that is out of range or taken again is an error;
//! - a descriptor that nobody took is closed, and is an error, as are bytes that nobody read;
//! - a length inside the bytes never decides how much memory is taken, the bytes that are there do;
//! - a value nested without end is an error and not an overflow of the stack;
//! - outside of a frame, with any other serializer, such a value is a serde error that says so.
//!
//! One limit is the author's: postcard writes an element without content (`()`, an empty struct) in no
//! bytes, so a sequence of those claims any length for free. Such a type does not belong in a message.
//!
//! [`Buffer`]: crate::Buffer

mod error;
mod source;
mod why;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::LocalKey;

use postcard::ser_flavors::Flavor;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::control::DESCRIPTORS_MAX;
use crate::process::background;
pub(crate) use error::{DecodeError, EncodeError};

/// The payload of a frame and the descriptors that go with it, in the order of their indices.
pub(crate) type Encoded = (Vec<u8>, Vec<Arc<OwnedFd>>);

/// Encodes `value`.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Encoded, EncodeError> {
    encode_into(value, Vec::new())
}

/// Encodes `value` behind what `bytes` already holds, so that a caller can reuse the memory or put a
/// header first. On an error the bytes are gone.
pub(crate) fn encode_into<T: Serialize + ?Sized>(
    value: &T,
    bytes: Vec<u8>,
) -> Result<Encoded, EncodeError> {
    let scope = Scope::enter(&OUTGOING, Outgoing::default());
    let written = postcard::serialize_with_flavor(value, Append(bytes));
    let table = scope.leave();
    match (written, table.refused) {
        (_, Some(refused)) => Err(refused),
        (Err(error), None) => {
            // It may hold descriptors, which want a table to be refused for anything else.
            let _scope = Scope::enter(&OUTGOING, Outgoing::default());
            Err(EncodeError::Value {
                kind: std::any::type_name::<T>(),
                refusal: why::refuses(value),
                error,
            })
        }
        (Ok(bytes), None) => Ok((bytes, table.descriptors)),
    }
}

/// Decodes a value from a whole payload and the descriptors that came with it. Every descriptor that
/// does not end up in the value is closed.
pub(crate) fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    descriptors: Vec<OwnedFd>,
) -> Result<T, DecodeError> {
    let count = descriptors.len();
    let table = Incoming {
        descriptors: descriptors.into_iter().map(Some).collect(),
        made_up: false,
        refused: None,
    };
    let scope = Scope::enter(&INCOMING, table);
    let mut reader = postcard::Deserializer::from_flavor(source::Source::new(bytes));
    let read = T::deserialize(&mut reader);
    let table = scope.leave();

    let surplus: Vec<_> = table.descriptors.into_iter().flatten().collect();
    let surplus_count = surplus.len();
    background::close(surplus);
    if let Some(refused) = table.refused {
        return Err(refused);
    }
    let end = reader.finalize().expect("a source always has an end");
    let kind = std::any::type_name::<T>();
    let value = match read {
        Ok(value) => value,
        Err(_) if end.too_deep => return Err(DecodeError::TooDeep { kind }),
        Err(error) => {
            return Err(DecodeError::Value {
                kind,
                at: bytes.len() - end.left,
                error,
            });
        }
    };
    if end.left > 0 {
        return Err(DecodeError::TrailingBytes { count: end.left });
    }
    if surplus_count > 0 {
        return Err(DecodeError::SurplusDescriptors {
            count: surplus_count,
            of: count,
        });
    }
    Ok(value)
}

/// Runs a deserialization of made-up values, whose descriptors are made up too.
pub(super) fn with_made_up<T>(walk: impl FnOnce() -> T) -> T {
    let table = Incoming {
        descriptors: Vec::new(),
        made_up: true,
        refused: None,
    };
    let _scope = Scope::enter(&INCOMING, table);
    walk()
}

fn made_up() -> Result<OwnedFd, DecodeError> {
    let nowhere = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC);
    nowhere.map_err(|error| DecodeError::Map(error.into()))
}

/// A descriptor inside a message: an open file, a socket, a pipe.
///
/// It may stand anywhere in a job's input, messages, requests or output. The receiver gets a duplicate
/// that shares the open file, close-on-exec; the sender keeps its own until it is dropped. What the
/// descriptor *is* is not checked: whoever receives one from a process that may be hostile checks that
/// itself, and also expects its status flags (`O_NONBLOCK`) to change, as they belong to the open file.
///
/// One message carries at most 252 descriptors, those of its [`Buffer`](crate::Buffer)s included.
///
/// ```
/// use std::fs::File;
/// use std::os::fd::OwnedFd;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Convert {
///     picture: legwork::Descriptor,
/// }
///
/// let job = Convert { picture: OwnedFd::from(File::open("/dev/null")?).into() };
/// // ... and in the job:
/// let picture = File::from(OwnedFd::from(job.picture));
/// # drop(picture);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Descriptor(OwnedFd);

impl From<OwnedFd> for Descriptor {
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }
}

impl From<Descriptor> for OwnedFd {
    fn from(descriptor: Descriptor) -> Self {
        descriptor.0
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A [`Descriptor`] as its bytes in a frame say it is.
#[derive(Serialize, Deserialize)]
#[serde(rename = "legwork::Descriptor")]
struct OnTheWire(u32);

impl Serialize for Descriptor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The table may outlive the value, and a value that was sent is still the sender's: hence a duplicate.
        let duplicate = match self.0.try_clone() {
            Ok(duplicate) => Arc::new(duplicate),
            Err(error) => return Err(refuse_to_send(EncodeError::Duplicate(error))),
        };
        OnTheWire(attach("Descriptor", &duplicate)?).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let OnTheWire(index) = OnTheWire::deserialize(deserializer)?;
        take("Descriptor", index).map(Self)
    }
}

/// Puts a descriptor into the table of the frame being written and returns its index.
pub(super) fn attach<E: serde::ser::Error>(
    kind: &str,
    descriptor: &Arc<OwnedFd>,
) -> Result<u32, E> {
    let attached = OUTGOING.with_borrow_mut(|slot| {
        let table = slot.as_mut()?;
        if table.descriptors.len() == DESCRIPTORS_MAX {
            return Some(Err(EncodeError::TooManyDescriptors));
        }
        table.descriptors.push(Arc::clone(descriptor));
        Some(Ok(table.descriptors.len() as u32 - 1))
    });
    match attached {
        None => Err(E::custom(format_args!(
            "a {kind} can only be sent in a Legwork frame"
        ))),
        Some(Err(refused)) => Err(refuse_to_send(refused)),
        Some(Ok(index)) => Ok(index),
    }
}

/// Takes the descriptor with this index out of the table of the frame being read.
pub(super) fn take<E: serde::de::Error>(kind: &str, index: u32) -> Result<OwnedFd, E> {
    let taken = INCOMING.with_borrow_mut(|slot| {
        let table = slot.as_mut()?;
        if table.made_up {
            return Some(made_up());
        }
        let count = table.descriptors.len();
        Some(match table.descriptors.get_mut(index as usize) {
            None => Err(DecodeError::NoSuchDescriptor { index, count }),
            Some(entry) => entry.take().ok_or(DecodeError::TakenTwice { index }),
        })
    });
    match taken {
        None => Err(E::custom(format_args!(
            "a {kind} can only be received in a Legwork frame"
        ))),
        Some(Err(refused)) => Err(refuse(refused)),
        Some(Ok(descriptor)) => Ok(descriptor),
    }
}

/// Ends the decoding under way for this reason. postcard's errors carry no text, so the reason is kept
/// in the table, where `decode` finds it.
pub(super) fn refuse<E: serde::de::Error>(reason: DecodeError) -> E {
    let error = E::custom(&reason);
    INCOMING.with_borrow_mut(|slot| {
        if let Some(table) = slot {
            table.refused.get_or_insert(reason);
        }
    });
    error
}

/// The same for encoding.
pub(super) fn refuse_to_send<E: serde::ser::Error>(reason: EncodeError) -> E {
    let error = E::custom(&reason);
    OUTGOING.with_borrow_mut(|slot| {
        if let Some(table) = slot {
            table.refused.get_or_insert(reason);
        }
    });
    error
}

thread_local! {
    static OUTGOING: RefCell<Option<Outgoing>> = const { RefCell::new(None) };
    static INCOMING: RefCell<Option<Incoming>> = const { RefCell::new(None) };
}

/// The descriptors of the frame being written.
#[derive(Default)]
struct Outgoing {
    descriptors: Vec<Arc<OwnedFd>>,
    refused: Option<EncodeError>,
}

/// The descriptors of the frame being read.
struct Incoming {
    descriptors: Vec<Option<OwnedFd>>,
    /// There are no descriptors: every index is good for one that leads nowhere.
    made_up: bool,
    refused: Option<DecodeError>,
}

/// A table in its slot. The one that was there before comes back at the end, by a panic too.
struct Scope<T: 'static> {
    slot: &'static LocalKey<RefCell<Option<T>>>,
    outer: Option<T>,
}

impl<T: 'static> Scope<T> {
    fn enter(slot: &'static LocalKey<RefCell<Option<T>>>, table: T) -> Self {
        Self {
            slot,
            outer: slot.replace(Some(table)),
        }
    }

    fn leave(self) -> T {
        self.slot
            .take()
            .expect("only the scope that filled the slot empties it")
    }
}

impl<T: 'static> Drop for Scope<T> {
    fn drop(&mut self) {
        // Bound first: the table is dropped, and its descriptors closed, outside of the borrow.
        let table = self.slot.replace(self.outer.take());
        drop(table);
    }
}

/// Writes behind what is already there; postcard's own vector starts empty.
struct Append(Vec<u8>);

impl Flavor for Append {
    type Output = Vec<u8>;

    #[inline(always)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline(always)]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}
