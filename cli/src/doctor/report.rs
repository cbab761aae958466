//! Everything that is known about a process, as data.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use super::arguments::Arguments;
use super::children::Children;
use super::descriptors::{Entry, entries};
use super::proc::io_error;
use super::signals::Signals;
use super::subject::Subject;
use super::variables::{self, Variable};
use super::watch::Watch;

/// What is known about a process, and what could not be read.
pub(super) struct Report<'a> {
    pub(super) subject: &'a Subject,
    /// How many threads it has.
    pub(super) threads: u64,
    pub(super) descriptors: Vec<Entry>,
    pub(super) variables: Vec<Variable>,
    pub(super) signals: Signals,
    pub(super) children: Children,
    pub(super) watch: Option<Watch>,
    /// Whether what only a fork passes on counts as a fault.
    pub(super) counts_fork: bool,
    pub(super) unreadable: Vec<Unreadable>,
}

/// A part that could not be read.
pub(super) struct Unreadable {
    pub(super) part: Part,
    pub(super) error: io::Error,
    /// The user whose process it is.
    pub(super) user: u32,
}

#[derive(Clone, Copy)]
pub(super) enum Part {
    Descriptors,
    Environment,
}

impl<'a> Report<'a> {
    /// Examines everything, and watches for a time if the arguments say so. `nap` sleeps, and returns whether the
    /// process has ended.
    pub(super) fn of(
        subject: &'a Subject,
        arguments: &Arguments,
        nap: &dyn Fn(Duration) -> bool,
    ) -> Self {
        let mut unreadable = Vec::new();
        let mut dark = |part, error| {
            unreadable.push(Unreadable {
                part,
                error,
                user: subject.status.euid,
            });
        };
        let open = legwork_inspect::list(subject.thread)
            .map_err(|error| dark(Part::Descriptors, error))
            .unwrap_or_default();
        let variables = variables::of(subject, &open)
            .map_err(|error| dark(Part::Environment, io_error(error)))
            .unwrap_or_default();
        let descriptors = entries(subject.pid, subject.parent, open);
        let signals = Signals::of(subject);
        Self {
            threads: subject.status.threads,
            children: Children::of(subject, &signals, nap),
            watch: (arguments.watch).and_then(|time| Watch::keep(subject, &descriptors, time, nap)),
            counts_fork: arguments.fork,
            subject,
            descriptors,
            variables,
            signals,
            unreadable,
        }
    }

    pub(super) fn entry(&self, number: RawFd) -> Option<&Entry> {
        let mut entries = self.descriptors.iter();
        entries.find(|entry| entry.info.number == number)
    }
}
