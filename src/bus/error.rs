//! Why there is no connection.

use std::fmt;
use std::time::Duration;

use crate::text::{Text, text};

/// Why a connection could not be opened.
///
/// `Display` is a sentence for a person that names the bus or the worker, its address and what was tried; it can be
/// [translated](crate::translate_with). `source()` is zbus's or the system's error. `Send` and `Sync`.
#[derive(Debug)]
pub struct ConnectError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    step: ConnectStep,
    text: Text,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The step of opening a connection that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectStep {
    /// The app's side could not be prepared: no descriptor was left.
    Prepare,
    /// The address is malformed, or of a kind that is not supported, or missing.
    Address,
    /// Nothing accepted the connection at the address.
    Connect,
    /// What accepted it did not authenticate as the D-Bus specification says, or answered garbage.
    Authenticate,
    /// The bus did not register the connection, or not by the name that was asked for.
    Register,
    /// There was no connection within the [timeout](super::Open::timeout).
    Timeout,
}

impl ConnectError {
    pub(super) fn new(step: ConnectStep, text: Text) -> Self {
        Self(Box::new(Inner {
            step,
            text,
            source: None,
        }))
    }

    pub(super) fn because(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// It was not there in time.
    pub(super) fn late(what: Text, timeout: Duration) -> Self {
        let text = text!(
            "{service} has not answered within {time}",
            service = what,
            time = timeout
        );
        Self::new(ConnectStep::Timeout, text)
    }

    /// zbus has returned this while it opened a connection to `what`.
    pub(super) fn of(what: Text, error: zbus::Error) -> Self {
        let said = match &error {
            zbus::Error::Connection(error, _) => Text::of(error),
            zbus::Error::InputOutput(error) => Text::of(error),
            zbus::Error::Handshake(said) | zbus::Error::Address(said) => Text::of(said),
            other => Text::of(other),
        };
        let (step, text) = match &error {
            zbus::Error::Address(_) | zbus::Error::Unsupported => (
                ConnectStep::Address,
                text!(
                    "the address of {service} cannot be used: {error}",
                    service = what,
                    error = said
                ),
            ),
            zbus::Error::Connection(..) => (
                ConnectStep::Connect,
                text!(
                    "{service} cannot be connected to: {error}",
                    service = what,
                    error = said
                ),
            ),
            zbus::Error::NameTaken
            | zbus::Error::FDO(_)
            | zbus::Error::MethodError(..)
            | zbus::Error::InvalidName(_)
            | zbus::Error::InterfaceExists(..) => (
                ConnectStep::Register,
                text!(
                    "{service} does not register this connection: {error}",
                    service = what,
                    error = said
                ),
            ),
            _ => (
                ConnectStep::Authenticate,
                text!(
                    "{service} does not authenticate this connection: {error}",
                    service = what,
                    error = said
                ),
            ),
        };
        Self::new(step, text).because(error)
    }

    /// Returns the step that failed.
    pub fn step(&self) -> ConnectStep {
        self.0.step
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.text.fmt(f)
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // Its sentence is part of ours: what follows is its cause.
        self.0.source.as_deref().and_then(|source| source.source())
    }
}

const _: fn() = || {
    fn both<T: Send + Sync>() {}
    both::<ConnectError>();
};
