//! What the files need of the rest of the library.

use serde::{Serialize, de::DeserializeOwned};

pub(crate) mod own {
    pub(crate) fn id() -> u32 {
        1
    }
}

pub(crate) mod class {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    pub(crate) enum Class {
        Utility = 1,
    }

    impl Class {
        pub(crate) fn from_number(number: u8) -> Option<Class> {
            (number == 1).then_some(Class::Utility)
        }
    }
}

pub(crate) mod background {
    use std::os::fd::OwnedFd;

    pub(crate) fn close(descriptors: Vec<OwnedFd>) {
        drop(descriptors);
    }
}

pub(crate) mod hub {
    use std::task::{Context, Poll};

    pub(crate) struct Canceller;

    impl Canceller {
        pub(crate) fn cancel(&self) {}
    }

    /// Of a future that has time.
    pub(crate) struct Pace;

    impl Pace {
        pub(crate) fn poll(&mut self, _: &Context<'_>, _: bool) -> Poll<()> {
            Poll::Ready(())
        }
    }
}

pub(crate) mod attach {
    use std::os::fd::OwnedFd;

    use serde::{Serialize, de::DeserializeOwned};

    pub(crate) use postcard::Error as DecodeError;

    pub(crate) fn encode<T: Serialize>(value: &T) -> postcard::Result<super::requests::Encoded> {
        Ok((postcard::to_allocvec(value)?, Vec::new()))
    }

    pub(crate) fn decode<T: DeserializeOwned>(
        bytes: &[u8],
        _: Vec<OwnedFd>,
    ) -> Result<T, DecodeError> {
        postcard::from_bytes(bytes)
    }
}

pub(crate) mod requests {
    use std::os::fd::OwnedFd;
    use std::sync::Arc;

    pub(crate) type Encoded = (Vec<u8>, Vec<Arc<OwnedFd>>);
}

/// Of an end that nothing is sent to.
pub(crate) mod run {
    use std::task::{Context, Poll};

    use super::{SendError, requests::Encoded};

    pub(crate) struct Run;

    impl Run {
        pub(crate) fn end_requests(&self) {}

        pub(crate) fn poll_send(
            &self,
            _: &Encoded,
            _: &mut Context<'_>,
        ) -> Poll<Result<(), SendError>> {
            Poll::Ready(Err(SendError))
        }

        pub(crate) fn try_send(&self, _: &Encoded) -> Result<bool, SendError> {
            Err(SendError)
        }
    }
}

pub trait Receive {
    type Request: Serialize + DeserializeOwned;
}

#[derive(Debug)]
pub struct SendError;

impl SendError {
    pub(crate) fn ended() -> Self {
        Self
    }

    pub(crate) fn other<E>(_: E) -> Self {
        Self
    }
}
