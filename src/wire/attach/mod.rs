//! Encodes a value as the payload and the descriptors of a frame, and decodes it.
//!
//! A descriptor's number means nothing in another process, so a value that owns one (a [`Buffer`], a [`Descriptor`]) is
//! encoded as an index into the descriptors that travel with the frame (`SCM_RIGHTS` of unix(7)). serde passes no context
//! to a value; therefore the table of descriptors is in a thread-local slot while [`encode`] or [`decode`] runs. Calls
//! may nest: each has its own table.
//!
//! What it promises:
//!
//! - each index occurs once; an index that is out of range or occurs again is an error;
//! - a descriptor whose index does not occur is closed, and is an error, as are bytes after the value;
//! - how much memory is taken depends on the bytes that are there, never on a length in them, and has a limit
//!   ([`DECODED_MAX`]);
//! - a value that is nested too deeply is an error, and does not overflow the stack;
//! - outside a frame, with any other serializer, serializing such a value is an error that says so.
//!
//! [`Buffer`]: crate::Buffer

mod counted;
mod error;
mod source;
mod why;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread::LocalKey;

use postcard::ser_flavors::Flavor;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::counted::Counted;
use super::control::{DESCRIPTORS_MAX, FRAME_MAX};
use crate::process::background;
pub(crate) use error::{DecodeError, EncodeError};

/// The payload of a frame and the descriptors that go with it, in the order of their indices.
pub(crate) type Encoded = (Vec<u8>, Vec<Arc<OwnedFd>>);

/// The most memory that a decoded value may take, as far as that can be estimated, in bytes (256 MiB).
pub(crate) const DECODED_MAX: usize = 4 * FRAME_MAX;

/// Encodes `value`.
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Encoded, EncodeError> {
    encode_into(value, Vec::new())
}

/// Encodes `value` and appends it to `bytes`, so that a caller can reuse the memory or write a header first. After an
/// error the bytes are lost.
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
            // Its descriptors need a table, so that they are not what is refused.
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

/// Decodes a value from a payload and the descriptors that arrived with it. A descriptor that the value does not own
/// afterwards is closed.
pub(crate) fn decode<T: DeserializeOwned>(
    bytes: &[u8],
    descriptors: Vec<OwnedFd>,
) -> Result<T, DecodeError> {
    let count = descriptors.len();
    let table = Incoming {
        descriptors: descriptors.into_iter().map(Some).collect(),
        ..Incoming::default()
    };
    let scope = Scope::enter(&INCOMING, table);
    let mut reader = postcard::Deserializer::from_flavor(source::Source::new(bytes));
    let allowance = Cell::new(Some(DECODED_MAX));
    let read = T::deserialize(Counted {
        inner: &mut reader,
        allowance: &allowance,
    });
    let table = scope.leave();

    let mut surplus: Vec<_> = table.descriptors.into_iter().flatten().collect();
    let surplus_count = surplus.len();
    surplus.extend(table.dropped);
    background::close(surplus);
    if let Some(refused) = table.refused {
        return Err(refused);
    }
    let end = reader.finalize().expect("a source always has an end");
    let kind = std::any::type_name::<T>();
    let value = match read {
        Ok(value) => value,
        Err(_) if end.too_deep => return Err(DecodeError::TooDeep { kind }),
        Err(_) if allowance.get().is_none() => return Err(DecodeError::TooLarge { kind }),
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

/// Runs a deserialization that makes up a descriptor for each index. Fails if one could not be made.
pub(super) fn with_made_up<T>(walk: impl FnOnce() -> T) -> io::Result<T> {
    let table = Incoming {
        made_up: true,
        ..Incoming::default()
    };
    let scope = Scope::enter(&INCOMING, table);
    let walked = walk();
    match scope.leave().refused {
        Some(DecodeError::Map(error)) => Err(error),
        _ => Ok(walked),
    }
}

fn made_up() -> Result<OwnedFd, DecodeError> {
    let nowhere = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC);
    nowhere.map_err(|error| DecodeError::Map(error.into()))
}

/// A descriptor inside a message: an open file, a socket, a pipe.
///
/// A job's input, messages, requests and output may contain it anywhere. The receiver gets a close-on-exec duplicate
/// that shares the open file; the sender keeps its own until that is dropped. Legwork does not check what the descriptor
/// refers to: a receiver that does not trust the sender has to, and must expect the status flags (`O_NONBLOCK`) to
/// change at any time, as they belong to the open file.
///
/// One message carries at most 252 descriptors, including those of its [`Buffer`](crate::Buffer)s.
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
/// // ... and in the job's `run`:
/// let picture = File::from(OwnedFd::from(job.picture));
/// # drop(picture);
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Descriptor(Option<OwnedFd>);

const OWNED: &str = "owned until it is dropped";

impl From<OwnedFd> for Descriptor {
    fn from(descriptor: OwnedFd) -> Self {
        Self(Some(descriptor))
    }
}

impl From<Descriptor> for OwnedFd {
    fn from(mut descriptor: Descriptor) -> Self {
        descriptor.0.take().expect(OWNED)
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_ref().expect(OWNED).as_fd()
    }
}

impl Drop for Descriptor {
    /// A part of a value whose decoding fails is closed in the [background], as closing it may block.
    fn drop(&mut self) {
        // At the end of a thread there is no table, and nothing is decoded.
        let _ = INCOMING.try_with(|slot| {
            if let Some(table) = &mut *slot.borrow_mut() {
                table.dropped.extend(self.0.take());
            }
        });
    }
}

/// The encoded form of a [`Descriptor`]: its index.
#[derive(Serialize, Deserialize)]
#[serde(rename = "legwork::Descriptor")]
struct OnTheWire(u32);

impl Serialize for Descriptor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The sender still owns the value, and may drop it while the table lives: hence a duplicate.
        let duplicate = match self.as_fd().try_clone_to_owned() {
            Ok(duplicate) => Arc::new(duplicate),
            Err(error) => return Err(refuse_to_send(EncodeError::Duplicate(error))),
        };
        OnTheWire(attach("Descriptor", &duplicate)?).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let OnTheWire(index) = OnTheWire::deserialize(deserializer)?;
        take("Descriptor", index).map(Self::from)
    }
}

/// Adds a descriptor to the table of the frame that is being encoded, and returns its index.
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

/// Takes the descriptor with this index from the table of the frame that is being decoded.
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

/// Makes the decoding fail for this reason. postcard's errors carry no text, so the reason is kept in the table, where
/// [`decode`] finds it.
pub(super) fn refuse<E: serde::de::Error>(reason: DecodeError) -> E {
    let error = E::custom(&reason);
    INCOMING.with_borrow_mut(|slot| {
        if let Some(table) = slot {
            table.refused.get_or_insert(reason);
        }
    });
    error
}

/// Makes the encoding fail for this reason.
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

/// The descriptors of the frame that is being encoded.
#[derive(Default)]
struct Outgoing {
    descriptors: Vec<Arc<OwnedFd>>,
    refused: Option<EncodeError>,
}

/// The descriptors of the frame that is being decoded.
#[derive(Default)]
struct Incoming {
    descriptors: Vec<Option<OwnedFd>>,
    /// Those of values that were dropped meanwhile.
    dropped: Vec<OwnedFd>,
    /// Whether a descriptor is made up for each index.
    made_up: bool,
    refused: Option<DecodeError>,
}

/// A table in its slot. At the end, also by a panic, the table before it is restored.
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
        // Bound first, so that the table is dropped, and its descriptors closed, outside the borrow.
        let table = self.slot.replace(self.outer.take());
        drop(table);
    }
}

/// Appends to a vector. postcard's own flavor starts with an empty one.
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
