//! The findings: what is worth a sentence, and what is a fault. The exit code, the answer, the table and the JSON are
//! all made from them.

use legwork::process::Signal;
use legwork_inspect::Scene;

use super::children::Disposition;
use super::descriptors::Entry;
use super::proc::is_guardian;
use super::report::{Report, Unreadable};
use super::subject::Parent;
use super::variables::Variable;
use super::watch::{Ready, Verdict, Watch};
use crate::failure::OWN_FAILURE;

/// One fact about the process.
pub(super) enum Finding<'a> {
    /// The process is the guardian of a Legwork app.
    IsGuardian,
    Calm(&'a Watch),
    Busy(&'a Watch),
    Unexplained {
        seen: bool,
    },
    /// `seen`: whether it was seen to wait for them.
    Spins {
        suspects: Vec<Suspect<'a>>,
        seen: bool,
    },
    Suspect(Suspect<'a>),
    IsCopy {
        of: &'a Parent,
        alone: bool,
    },
    Copies {
        pids: &'a [i32],
        alone: bool,
    },
    HeldByChildren(Vec<&'a Entry>),
    ByExec(Vec<&'a Entry>),
    /// The same, but the process has inherited them from its parent.
    Inherited(Vec<&'a Entry>),
    ByFork {
        count: usize,
        counts: bool,
    },
    ChildSignalIgnored,
    ChildSignalHandled,
    Zombies {
        pids: &'a [i32],
        of: usize,
    },
    WaitsForAny {
        threads: &'a [i32],
        alone: bool,
    },
    Threads(u64),
    BlockedByMainThread(Vec<Signal>),
    BlockedByOthers(Vec<Signal>),
    Ignored(Vec<Signal>),
    IgnoredByCustom(Vec<Signal>),
    Variable(&'a Variable),
    Unreadable(&'a Unreadable),
}

/// A descriptor that may keep a loop spinning.
#[derive(Clone, Copy)]
pub(super) struct Suspect<'a> {
    pub(super) ready: &'a Ready,
    pub(super) entry: Option<&'a Entry>,
    /// Whether it wakes a main loop, and another process holds it as well.
    pub(super) is_wakeup_of_two: bool,
}

/// What a finding is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Guardian,
    Watch,
    Forks,
    Descriptors,
    Children,
    Threads,
    Signals,
    Environment,
    NotSeen,
}

impl Finding<'_> {
    /// Returns its topic, its name in JSON, and whether it is a fault of the process or only worth knowing.
    fn class(&self) -> (Topic, &'static str, bool) {
        match self {
            Self::IsGuardian => (Topic::Guardian, "is-guardian", false),
            Self::Calm(_) => (Topic::Watch, "calm", false),
            Self::Busy(_) => (Topic::Watch, "busy", true),
            Self::Unexplained { .. } => (Topic::Watch, "unexplained", true),
            Self::Spins { .. } => (Topic::Watch, "spins", true),
            Self::Suspect(_) => (Topic::Watch, "suspect", true),
            // Otherwise no other thread held a lock, and no private descriptor is shared.
            Self::IsCopy { alone, .. } => (Topic::Forks, "is-copy", !alone),
            Self::Copies { alone, .. } => (Topic::Forks, "copies", !alone),
            Self::HeldByChildren(_) => (Topic::Descriptors, "held-by-children", true),
            Self::ByExec(_) => (Topic::Descriptors, "by-exec", true),
            Self::Inherited(_) => (Topic::Descriptors, "inherited", false),
            Self::ByFork { counts, .. } => (Topic::Descriptors, "by-fork", *counts),
            Self::ChildSignalIgnored => (Topic::Children, "sigchld-ignored", true),
            Self::ChildSignalHandled => (Topic::Children, "sigchld-handled", false),
            Self::Zombies { .. } => (Topic::Children, "zombies", true),
            // A process with one thread, such as a shell, waits only for its own children.
            Self::WaitsForAny { alone, .. } => (Topic::Children, "waits-for-any", !alone),
            Self::Threads(_) => (Topic::Threads, "threads", false),
            Self::BlockedByMainThread(_) => (Topic::Signals, "blocked-by-main-thread", true),
            Self::BlockedByOthers(_) => (Topic::Signals, "blocked-by-others", false),
            Self::Ignored(_) => (Topic::Signals, "ignored", true),
            Self::IgnoredByCustom(_) => (Topic::Signals, "ignored-by-custom", false),
            // It may have been removed since, which cannot be seen, and a token alone does no harm.
            Self::Variable(variable) if variable.names.is_empty() => {
                (Topic::Environment, "variable", false)
            }
            Self::Variable(_) => (Topic::Environment, "variable", true),
            Self::Unreadable(_) => (Topic::NotSeen, "unreadable", false),
        }
    }

    pub(super) fn topic(&self) -> Topic {
        self.class().0
    }

    /// Returns its name in JSON.
    pub(super) fn name(&self) -> &'static str {
        self.class().1
    }

    pub(super) fn is_fault(&self) -> bool {
        self.class().2
    }

    /// Returns the scene in which the same has happened.
    pub(super) fn scene(&self) -> Option<Scene> {
        match self {
            Self::Threads(_) | Self::IsCopy { .. } | Self::Copies { .. } => Some(Scene::LOCK),
            Self::Suspect(suspect) if suspect.is_wakeup_of_two => Some(Scene::WAKEUP),
            _ => None,
        }
    }
}

/// Returns all findings, grouped by topic, the worst first.
pub(super) fn findings<'a>(report: &'a Report<'_>) -> Vec<Finding<'a>> {
    let mut found = Vec::new();
    let is_guardian = is_guardian(report.subject.pid);
    if is_guardian {
        found.push(Finding::IsGuardian);
    }
    if let Some(watch) = &report.watch {
        of_watch(report, watch, &mut found);
    }
    if let Some(of) = &report.subject.copy_of {
        let mut entries = report.descriptors.iter();
        let alone = of.threads < 2 && !entries.any(|entry| entry.is_of(of.pid));
        found.push(Finding::IsCopy { of, alone });
    }
    of_descriptors(report, &mut found);
    of_children(report, &mut found);
    if report.threads > 1 {
        found.push(Finding::Threads(report.threads));
    }
    // A guardian blocks and ignores signals on purpose, and starts no child.
    if !is_guardian {
        of_signals(report, &mut found);
    }
    found.extend(report.variables.iter().map(Finding::Variable));
    found.extend(report.unreadable.iter().map(Finding::Unreadable));
    found
}

fn of_watch<'a>(report: &'a Report<'_>, watch: &'a Watch, found: &mut Vec<Finding<'a>>) {
    found.push(match watch.verdict {
        Verdict::Quiet => Finding::Calm(watch),
        _ => Finding::Busy(watch),
    });
    let seen = watch.waits_for.is_some();
    match &watch.verdict {
        Verdict::Quiet => {}
        Verdict::Busy => found.push(Finding::Unexplained { seen }),
        Verdict::Spins(numbers) => {
            let ready = watch.ready.iter();
            let suspects = ready.filter(|ready| numbers.contains(&ready.number));
            let suspects = suspects.map(|ready| {
                let entry = report.entry(ready.number);
                Suspect {
                    ready,
                    entry,
                    is_wakeup_of_two: entry
                        .is_some_and(|entry| entry.is_wakeup_of_two(report.subject.pid)),
                }
            });
            let suspects = suspects.collect::<Vec<_>>();
            found.push(Finding::Spins {
                suspects: suspects.clone(),
                seen,
            });
            found.extend(suspects.into_iter().map(Finding::Suspect));
        }
    }
}

fn of_descriptors<'a>(report: &'a Report<'_>, found: &mut Vec<Finding<'a>>) {
    let those = |is: fn(&Entry) -> bool| {
        let some = report.descriptors.iter().filter(|entry| is(entry));
        some.collect::<Vec<_>>()
    };
    let held = those(|entry| !entry.leaked_to.is_empty());
    let copies = &report.children.copies;
    if !copies.is_empty() {
        found.push(Finding::Copies {
            pids: copies,
            alone: report.threads < 2 && held.is_empty(),
        });
    }
    if !held.is_empty() {
        found.push(Finding::HeldByChildren(held));
    }
    let by_exec = those(Entry::does_harm_by_exec).into_iter();
    let (inherited, by_exec) = by_exec.partition::<Vec<_>, _>(|entry| entry.is_inherited());
    if !by_exec.is_empty() {
        found.push(Finding::ByExec(by_exec));
    }
    if !inherited.is_empty() {
        found.push(Finding::Inherited(inherited));
    }
    let by_fork = those(|entry| entry.harm().is_some());
    if !by_fork.is_empty() {
        found.push(Finding::ByFork {
            count: by_fork.len(),
            counts: report.counts_fork,
        });
    }
}

fn of_children<'a>(report: &'a Report<'_>, found: &mut Vec<Finding<'a>>) {
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
}

fn of_signals<'a>(report: &'a Report<'_>, found: &mut Vec<Finding<'a>>) {
    let blocked = |by_main| {
        let blocked = report.signals.blocked.iter();
        let some = blocked.filter(move |blocked| blocked.by_main_thread == by_main);
        some.map(|blocked| blocked.signal).collect::<Vec<_>>()
    };
    let some = |signals: Vec<Signal>| (!signals.is_empty()).then_some(signals);
    found.extend(some(blocked(true)).map(Finding::BlockedByMainThread));
    found.extend(some(blocked(false)).map(Finding::BlockedByOthers));
    let ignored = report.signals.ignored.iter().copied();
    let (by_custom, ignored) = ignored.partition(|signal| BY_CUSTOM.contains(&signal.as_raw()));
    found.extend(some(ignored).map(Finding::Ignored));
    found.extend(some(by_custom).map(Finding::IgnoredByCustom));
}

/// Signals that are often ignored, and not because of the process: shells ignore some for programs in the background,
/// as does nohup(1); the runtimes of Rust, Python and Go ignore SIGPIPE, and reset it for programs that they start;
/// glibc 2.36 ignores 32 and 33 in children of posix_spawn(3).
const BY_CUSTOM: [i32; 9] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGPIPE,
    32,
    33,
];

/// The overall result.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Conclusion {
    /// Something is wrong.
    Found,
    /// Parts could not be read, and nothing is wrong in the others.
    Unknown,
    Nothing,
}

impl Conclusion {
    pub(super) fn of(findings: &[Finding<'_>]) -> Self {
        let is_unreadable = |finding: &Finding<'_>| matches!(finding, Finding::Unreadable(_));
        if findings.iter().any(Finding::is_fault) {
            Self::Found
        } else if findings.iter().any(is_unreadable) {
            Self::Unknown
        } else {
            Self::Nothing
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
