//! All that was found out about a process.

use std::time::Duration;

use legwork_inspect::{DescriptorInfo, End, Harm, Holder, Kind};

use super::children::Children;
use super::signals::Signals;
use super::subject::{Subject, field};
use super::variables::{self, Variable};
use super::watch::Watch;
use super::{Failure, words};

/// What was found out, and what could not be.
pub(super) struct Report<'a> {
    pub(super) subject: &'a Subject,
    /// How many threads it has.
    pub(super) threads: usize,
    pub(super) descriptors: Vec<Entry>,
    pub(super) variables: Vec<Variable>,
    pub(super) signals: Option<Signals>,
    pub(super) children: Option<Children>,
    pub(super) watch: Option<Watch>,
    pub(super) unreadable: Vec<Unreadable>,
}

/// One descriptor.
pub(super) struct Entry {
    pub(super) info: DescriptorInfo,
    /// Who else holds it, or its other end.
    pub(super) holders: Vec<Holder>,
    /// Children of the process that hold the very same, and hardly on purpose.
    pub(super) leaked_to: Vec<u32>,
}

/// Which careless child gets a descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PassedOn {
    /// 0, 1 and 2: every child expects them.
    Standard,
    /// One that forks, and closes nothing.
    ByFork,
    /// One that executes a program, and closes nothing, as well.
    ByExec,
}

/// A part that stayed in the dark.
pub(super) struct Unreadable {
    pub(super) part: &'static str,
    pub(super) why: String,
}

impl Entry {
    pub(super) fn passed_on(&self) -> PassedOn {
        if self.info.number <= 2 && self.info.harm().is_none() {
            PassedOn::Standard
        } else if self.info.close_on_exec {
            PassedOn::ByFork
        } else {
            PassedOn::ByExec
        }
    }

    pub(super) fn harm(&self) -> Option<Harm> {
        self.info.harm()
    }

    /// Whether it is a fault of the process: it takes no fork to inherit it, or somebody has already.
    pub(super) fn is_fault(&self) -> bool {
        self.passed_on() == PassedOn::ByExec || !self.leaked_to.is_empty()
    }
}

impl<'a> Report<'a> {
    /// Looks at everything, and watches for a time if asked to; `nap` sleeps, and says whether the process has ended.
    pub(super) fn of(
        subject: &'a Subject,
        watch: Option<Duration>,
        nap: &dyn Fn(Duration) -> bool,
    ) -> Result<Self, Failure> {
        let mut unreadable = Vec::new();
        let mut dark = |part, error| {
            let why = subject.why(&error);
            unreadable.push(Unreadable { part, why });
        };
        let open = legwork_inspect::list(subject.pid)
            .map_err(|error| dark("its descriptors", error))
            .unwrap_or_default();
        let variables = variables::of(subject, &open)
            .map_err(|error| dark("its environment", error))
            .unwrap_or_default();
        let signals = Signals::of(subject)
            .map_err(|error| dark("its signals", error))
            .ok();
        let children = signals
            .as_ref()
            .map(|signals| Children::of(subject, signals, nap));
        let watch = match watch {
            Some(window) => Watch::keep(subject, &open, window, nap)
                .map_err(|error| dark("what its threads do", error))
                .ok(),
            None => None,
        };
        Ok(Self {
            subject,
            threads: subject.threads().len(),
            descriptors: entries(subject, open),
            variables,
            signals,
            children,
            watch,
            unreadable,
        })
    }

    /// Whether there is something that the process should not have; what only a fork passes on, if asked to.
    pub(super) fn found(&self, fork: bool) -> bool {
        self.descriptors.iter().any(Entry::is_fault)
            || fork && self.descriptors.iter().any(|entry| entry.harm().is_some())
            || words::sections(self)
                .iter()
                .any(|section| section.notes.iter().any(|note| note.found))
    }
}

fn entries(subject: &Subject, open: Vec<DescriptorInfo>) -> Vec<Entry> {
    let mut holders = legwork_inspect::holders(subject.pid, &open);
    open.into_iter()
        .map(|info| {
            let mut holders = holders.remove(&info.number).unwrap_or_default();
            // What it shares with this command, its terminal's pipe say, is nobody's concern.
            holders.retain(|holder| holder.pid != std::process::id());
            Entry {
                leaked_to: leaked_to(subject, &info, &holders),
                info,
                holders,
            }
        })
        .collect()
}

/// A child that holds its parent's connection or wakeup has hardly been handed it on purpose; memory and pipes often are.
fn leaked_to(subject: &Subject, info: &DescriptorInfo, holders: &[Holder]) -> Vec<u32> {
    let is_private = info.service.is_some()
        || matches!(
            info.kind,
            Kind::Eventfd | Kind::TcpSocket | Kind::UdpSocket | Kind::Inhibitor
        );
    if !is_private || info.harm().is_none() {
        return Vec::new();
    }
    let mut children = holders
        .iter()
        .filter(|holder| holder.end == End::Same && holder.pid != subject.pid)
        .filter(|holder| is_child(holder.pid, subject.pid))
        .map(|holder| holder.pid)
        .collect::<Vec<_>>();
    children.dedup();
    children
}

fn is_child(pid: u32, of: u32) -> bool {
    let status = std::fs::read_to_string(super::subject::file(pid, "status"));
    status.is_ok_and(|status| field(&status, "PPid").and_then(|pid| pid.parse().ok()) == Some(of))
}
