//! Why a job cannot go on: it was asked to stop, or a message or a request did not get through.

use std::error::Error;
use std::fmt;

/// The job was asked to stop: by its handle, a cancellable or its deadline.
///
/// To be handed on by `?`. Found among the causes of the job's error, it makes the outcome
/// *cancelled* (or *timeout*) rather than *failed*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the job was asked to stop")
    }
}

impl Error for Cancelled {}

macro_rules! channel_error {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(Box<dyn Error + Send + Sync>);

        impl $name {
            pub(crate) fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
                $name(error.into())
            }

            /// Whether the only reason is that the job was asked to stop.
            pub fn is_cancelled(&self) -> bool {
                self.0.is::<Cancelled>()
            }
        }

        impl From<Cancelled> for $name {
            fn from(cancelled: Cancelled) -> Self {
                $name(Box::new(cancelled))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($what)
            }
        }

        impl Error for $name {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(&*self.0)
            }
        }
    };
}

channel_error! {
    /// A message, or a request to a job, could not be sent. `source()` says why.
    SendError, "a message could not be sent"
}

channel_error! {
    /// A request could not be received. `source()` says why.
    RecvError, "a request could not be received"
}

impl SendError {
    /// The other side is no longer there.
    #[cfg(feature = "app")]
    pub(crate) fn ended() -> Self {
        SendError("the job has ended".into())
    }
}
