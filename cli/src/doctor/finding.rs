//! What of a report is worth a sentence, and what is a fault. The exit code, the table and the JSON
//! are all made from this.

use legwork::process::Signal;
use legwork_inspect::Scene;

use super::children::Disposition;
use super::descriptors::Entry;
use super::report::{Report, Unreadable};
use super::variables::Variable;
use super::watch::{Ready, Verdict, Watch};
use crate::failure::OWN_FAILURE;

/// One thing that was found out, beside the descriptors.
pub(super) enum Finding<'a> {
    Variable(&'a Variable),
    BlockedByMainThread(Vec<Signal>),
    BlockedByOthers(Vec<Signal>),
    Ignored(&'a [Signal]),
    ChildSignalIgnored,
    ChildSignalHandled,
    Zombies { pids: &'a [i32], of: usize },
    WaitsForAny { threads: &'a [i32], alone: bool },
    Threads(u64),
    Calm(&'a Watch),
    Busy(&'a Watch),
    Unexplained,
    Spins { suspects: usize },
    Suspect(&'a Ready, Option<&'a Entry>),
    Unreadable(&'a Unreadable),
}

/// What a finding is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Environment,
    Signals,
    Children,
    Threads,
    Watch,
    NotSeen,
}

impl Finding<'_> {
    /// What it is about, its name for a program, and whether it is a fault of the process or only worth
    /// knowing.
    fn class(&self) -> (Topic, &'static str, bool) {
        match self {
            Self::Variable(_) => (Topic::Environment, "variable", true),
            Self::BlockedByMainThread(_) => (Topic::Signals, "blocked-by-main-thread", true),
            Self::BlockedByOthers(_) => (Topic::Signals, "blocked-by-others", false),
            Self::Ignored(_) => (Topic::Signals, "ignored", true),
            Self::ChildSignalIgnored => (Topic::Children, "sigchld-ignored", true),
            Self::ChildSignalHandled => (Topic::Children, "sigchld-handled", false),
            Self::Zombies { .. } => (Topic::Children, "zombies", true),
            // Alone, as a shell is, it has no others to wait for.
            Self::WaitsForAny { alone, .. } => (Topic::Children, "waits-for-any", !alone),
            Self::Threads(_) => (Topic::Threads, "threads", false),
            Self::Calm(_) => (Topic::Watch, "calm", false),
            Self::Busy(_) => (Topic::Watch, "busy", true),
            Self::Unexplained => (Topic::Watch, "unexplained", true),
            Self::Spins { .. } => (Topic::Watch, "spins", true),
            Self::Suspect(..) => (Topic::Watch, "suspect", true),
            Self::Unreadable(_) => (Topic::NotSeen, "unreadable", false),
        }
    }

    pub(super) fn topic(&self) -> Topic {
        self.class().0
    }

    /// Its name for a program.
    pub(super) fn name(&self) -> &'static str {
        self.class().1
    }

    pub(super) fn is_fault(&self) -> bool {
        self.class().2
    }

    /// Where the like has happened.
    pub(super) fn scene(&self) -> Option<Scene> {
        match self {
            Self::Threads(_) => Some(Scene::LOCK),
            Self::Suspect(..) => Some(Scene::WAKEUP),
            _ => None,
        }
    }
}

/// All of them, in the order of their topics.
pub(super) fn findings<'a>(report: &'a Report<'_>) -> Vec<Finding<'a>> {
    let mut found = report
        .variables
        .iter()
        .map(Finding::Variable)
        .collect::<Vec<_>>();
    let blocked = |by_main| {
        let blocked = report.signals.blocked.iter();
        let some = blocked.filter(move |blocked| blocked.by_main_thread == by_main);
        some.map(|blocked| blocked.signal).collect::<Vec<_>>()
    };
    let some = |signals: Vec<Signal>| (!signals.is_empty()).then_some(signals);
    found.extend(some(blocked(true)).map(Finding::BlockedByMainThread));
    found.extend(some(blocked(false)).map(Finding::BlockedByOthers));
    if !report.signals.ignored.is_empty() {
        found.push(Finding::Ignored(&report.signals.ignored));
    }
    let children = &report.children;
    match children.sigchld {
        Disposition::Ignored => found.push(Finding::ChildSignalIgnored),
        Disposition::Handled => found.push(Finding::ChildSignalHandled),
        Disposition::Default => {}
    }
    if !children.zombies.is_empty() {
        found.push(Finding::Zombies {
            pids: &children.zombies,
            of: children.count,
        });
    }
    if !children.waiting_for_any.is_empty() {
        found.push(Finding::WaitsForAny {
            threads: &children.waiting_for_any,
            alone: report.threads < 2,
        });
    }
    if report.threads > 1 {
        found.push(Finding::Threads(report.threads));
    }
    if let Some(watch) = &report.watch {
        found.push(match watch.verdict {
            Verdict::Quiet => Finding::Calm(watch),
            _ => Finding::Busy(watch),
        });
        match &watch.verdict {
            Verdict::Quiet => {}
            Verdict::Busy => found.push(Finding::Unexplained),
            Verdict::Spins(numbers) => {
                found.push(Finding::Spins {
                    suspects: numbers.len(),
                });
                let ready = watch.ready.iter();
                let suspects = ready.filter(|ready| numbers.contains(&ready.number));
                found.extend(
                    suspects.map(|ready| Finding::Suspect(ready, report.entry(ready.number))),
                );
            }
        }
    }
    found.extend(report.unreadable.iter().map(Finding::Unreadable));
    found
}

/// What all of it comes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Conclusion {
    /// There is something that the process should not have.
    Found,
    /// Parts could not be seen, and there was nothing in the others.
    Unknown,
    Nothing,
}

impl Conclusion {
    /// Counts what only a fork passes on if asked to.
    pub(super) fn of(report: &Report<'_>, fork: bool) -> Self {
        let is_fault = |entry: &Entry| entry.is_fault() || fork && entry.info.harm().is_some();
        if report.descriptors.iter().any(is_fault) || findings(report).iter().any(Finding::is_fault)
        {
            Self::Found
        } else if report.unreadable.is_empty() {
            Self::Nothing
        } else {
            Self::Unknown
        }
    }

    pub(super) fn code(self) -> u8 {
        match self {
            Self::Nothing => 0,
            Self::Found => 1,
            Self::Unknown => OWN_FAILURE,
        }
    }
}
