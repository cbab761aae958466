//! Why a job cannot go on: it was asked to stop, or a message or a request did not get through.

use std::error::Error;
use std::fmt;

use crate::text::text;

/// The job was asked to stop: by its handle, a cancellable or its deadline.
///
/// Pass it on with `?`. A job whose error is this one, or has it among its causes, ends as *cancelled* (or, at its
/// deadline, with *timeout*) rather than as *failed*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&text!("the job was asked to stop"), f)
    }
}

impl Error for Cancelled {}

macro_rules! channel_error {
    ($(#[$doc:meta])* $name:ident, $what:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(Box<dyn Error + Send + Sync>);

        impl $name {
            pub(crate) fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
                $name(error.into())
            }

            /// Whether the reason is that the job was asked to stop.
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
                fmt::Display::fmt(&$what, f)
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
    /// A message to the app, or a request to a job, could not be sent. `source()` says why.
    SendError, text!("the message could not be sent")
}

channel_error! {
    /// A request could not be received. `source()` says why.
    RecvError, text!("the request could not be received")
}

impl SendError {
    /// The job has ended.
    #[cfg(feature = "app")]
    pub(crate) fn ended() -> Self {
        SendError(text!("the job has ended").to_string().into())
    }
}
