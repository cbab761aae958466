//! The findings in English.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::io::ErrorKind;

use legwork::process::Signal;
use legwork_inspect::{End, Kind, Scene};

use super::descriptors::Entry;
use super::finding::{Finding, Suspect, Topic};
use super::report::{Part, Unreadable};
use super::variables::Variable;
use super::watch::Watch;

/// Returns the heading of a topic.
pub(super) fn heading(topic: Topic) -> &'static str {
    match topic {
        Topic::Guardian => "Legwork",
        Topic::Watch => "Main loop",
        Topic::Forks => "Forks",
        Topic::Descriptors => "Descriptors",
        Topic::Children => "Children",
        Topic::Threads => "Threads",
        Topic::Signals => "Signals",
        Topic::Environment => "Environment that it was started with",
        Topic::NotSeen => "Not seen",
    }
}

/// Returns one or more sentences, without the last full stop.
pub(super) fn sentence(finding: &Finding<'_>) -> String {
    match finding {
        Finding::IsGuardian => {
            "It is the guardian of a Legwork app: it ends the app's programs when the app dies, and starts none".into()
        }
        Finding::Calm(watch) => format!("{}. It does not spin", figures(watch)),
        Finding::Busy(watch) => figures(watch),
        Finding::Unexplained { seen } => {
            let which = if *seen { " that it waits for" } else { "" };
            format!(
                "No descriptor{which} explains that: it computes, or a source of its loop always asks to be called again"
            )
        }
        Finding::Spins { suspects, seen: true } if suspects.len() == 1 => {
            "It spins, and this keeps it spinning:".into()
        }
        Finding::Spins { seen: true, .. } => {
            "It spins, and one of these keeps it spinning; it waits for all of them:".into()
        }
        Finding::Spins { seen: false, .. } => {
            "It was never seen asleep, so it is not known what it waits for. If it waits for one of these, that keeps it \
             spinning; otherwise it computes, or a source of its loop always asks to be called again:".into()
        }
        Finding::Suspect(suspect) => of_suspect(suspect),
        Finding::IsCopy { of, .. } => format!(
            "It is a fork of process {} ({}) that has never executed a program: it holds descriptors of that process, and \
             a lock that another thread held at the fork is never released",
            of.pid, of.name
        ),
        Finding::Copies { pids, .. } => format!(
            "Forks of this process that have never executed a program: {}. They hold all of its descriptors, and \
             a lock that another thread held at the fork is never released in them",
            list(*pids)
        ),
        Finding::HeldByChildren(entries) => {
            let children = entries.iter().flat_map(|entry| &entry.leaked_to);
            format!(
                "Inherited by a child, and hardly on purpose: {}. The child is process {}",
                numbers(entries),
                list(children.collect::<BTreeSet<_>>())
            )
        }
        Finding::ByExec(entries) => format!(
            "Not close-on-exec: {}. A program that the process executes inherits them, unless they are closed for it",
            numbers(entries)
        ),
        Finding::Inherited(entries) => format!(
            "Inherited from its parent, and not close-on-exec: {}. A program that it executes inherits them as well",
            numbers(entries)
        ),
        Finding::ByFork { count, .. } => format!(
            "A child that is only forked inherits all of them, and could do harm with {count}"
        ),
        Finding::ChildSignalIgnored => {
            "SIGCHLD is ignored: the kernel discards the exit status of its children, so nobody can wait for them".into()
        }
        Finding::ChildSignalHandled => {
            "SIGCHLD is handled. Whether the handler reaps every child, or only known ones, cannot be seen from outside".into()
        }
        Finding::Zombies { pids, of } => format!(
            "{} of its {of} children have ended, and nobody has waited for them: {}",
            pids.len(),
            list(*pids)
        ),
        Finding::WaitsForAny { threads, .. } => format!(
            "Thread {} waits for any child, and so reaps those that other code has started",
            list(*threads)
        ),
        Finding::Threads(count) => format!(
            "{count} threads: a lock that one of them holds during a fork is never released in the child"
        ),
        Finding::BlockedByMainThread(signals) => format!(
            "Blocked in the main thread: {}. A child that it starts blocks the same, whatever it executes",
            names(signals)
        ),
        Finding::BlockedByOthers(signals) => format!(
            "Blocked in other threads only: {}. A child that one of them starts blocks the same",
            names(signals)
        ),
        Finding::Ignored(signals) => format!(
            "Ignored: {}. A child ignores the same, whatever it executes",
            names(signals)
        ),
        Finding::IgnoredByCustom(signals) => format!(
            "Ignored, as shells and runtimes often have it: {}. A program that it executes ignores the same, unless \
             that is reset for it",
            names(signals)
        ),
        Finding::Variable(variable) => of_variable(variable),
        Finding::Unreadable(unreadable) => {
            format!("{}: {}", part(unreadable.part), why(unreadable))
        }
    }
}

/// Returns the name of a part that could not be read.
pub(super) fn part(part: Part) -> &'static str {
    match part {
        Part::Descriptors => "its descriptors",
        Part::Environment => "its environment",
    }
}

/// Returns why it could not be read.
pub(super) fn why(unreadable: &Unreadable) -> String {
    if unreadable.error.kind() != ErrorKind::PermissionDenied {
        return unreadable.error.to_string();
    }
    let own = rustix::process::getuid().as_raw();
    if unreadable.user != own {
        let user = unreadable.user;
        return format!("it belongs to user {user}, and this command runs as user {own}");
    }
    "it has rights that this command does not have, or has asked not to be looked at".into()
}

/// Returns what such a descriptor has done to other programs, or what it could do.
pub(super) fn harm(entry: &Entry) -> Option<(Option<Scene>, &'static str)> {
    let harm = entry.harm()?;
    let scene = harm.scene();
    Some((scene, scene.map_or(harm.risk(), Scene::happened)))
}

/// Returns sentences about who else holds a descriptor, and its other end.
pub(super) fn holders(entry: &Entry) -> Vec<String> {
    /// How many are named.
    const NAMED: usize = 3;
    let ends = [
        (End::Same, "also held by"),
        (End::Other, "the other end is held by"),
    ];
    let sentences = ends.into_iter().filter_map(|(end, words)| {
        let mut holders = entry.holders.iter().filter(|holder| holder.end == end);
        let some = holders.by_ref().take(NAMED);
        let names =
            some.map(|holder| format!("{} ({}, its {})", holder.name, holder.pid, holder.number));
        let mut names = names.collect::<Vec<_>>();
        match holders.count() {
            0 => {}
            more => names.push(format!("{more} more")),
        }
        (!names.is_empty()).then(|| format!("{words} {}", names.join(", ")))
    });
    sentences.collect()
}

fn of_variable(variable: &Variable) -> String {
    let mut text = variable.name.clone();
    if let Some(value) = &variable.value {
        text.push_str(&format!("={value}"));
    }
    for named in &variable.names {
        let is = named.is.as_deref().unwrap_or("not open");
        text.push_str(&format!("; {} is {is}", named.number));
    }
    let belief = match variable.name.as_str() {
        "WAYLAND_SOCKET" => "that its connection to the compositor is there",
        "LISTEN_FDS" | "LISTEN_FDNAMES" | "LISTEN_PID" | "LISTEN_PIDFDID" => {
            "that systemd has handed it sockets, from 3 on"
        }
        "NOTIFY_SOCKET" | "FDSTORE" => "that it is the service, and speaks to systemd in its name",
        "WATCHDOG_PID" | "WATCHDOG_USEC" => "that it has to feed the service's watchdog",
        "DBUS_STARTER_ADDRESS" | "DBUS_STARTER_BUS_TYPE" => "that the bus has activated it",
        "DESKTOP_AUTOSTART_ID" => "that the session manager started it",
        "NODE_CHANNEL_FD" | "NODE_CHANNEL_SERIALIZATION_MODE" => {
            "that its parent is Node.js and talks to it"
        }
        "DESKTOP_STARTUP_ID" | "XDG_ACTIVATION_TOKEN" => {
            "that the right to take the focus, once, is its own"
        }
        "GIO_LAUNCHED_DESKTOP_FILE" | "GIO_LAUNCHED_DESKTOP_FILE_PID" => {
            "that the launcher started it"
        }
        "MAKEFLAGS" | "MFLAGS" | "CARGO_MAKEFLAGS" => "that make's jobserver is there",
        _ => "that a descriptor meant for it is there",
    };
    format!("{text}. A child that finds it believes {belief}")
}

/// Lists signals, but not all of them if there are many.
fn names(signals: &[Signal]) -> String {
    const MOST: usize = 12;
    let some = signals.iter().take(MOST).map(|signal| signal.name());
    let mut names = some.collect::<Vec<_>>().join(", ");
    if signals.len() > MOST {
        names.push_str(&format!(" and {} more", signals.len() - MOST));
    }
    names
}

/// Lists descriptors by number.
fn numbers(entries: &[&Entry]) -> String {
    let numbers = list(entries.iter().map(|entry| entry.info.number));
    match entries {
        [_] => format!("descriptor {numbers}"),
        _ => format!("descriptors {numbers}"),
    }
}

pub(super) fn list(numbers: impl IntoIterator<Item: Display>) -> String {
    let numbers = numbers.into_iter().map(|number| number.to_string());
    numbers.collect::<Vec<_>>().join(", ")
}

fn figures(watch: &Watch) -> String {
    let thread = &watch.busiest;
    let who = if thread.is_main {
        "the main thread".to_owned()
    } else {
        format!("thread {} ({})", thread.id, thread.name)
    };
    let in_kernel = thread.in_kernel.map_or(String::new(), |share| {
        format!(" ({:.0} % of that in the kernel)", share * 100.0)
    });
    format!(
        "In {:.1} s, {who} used {:.0} % of a processor{in_kernel}, wanted {:.0} %, and was woken {:.0} times a second",
        watch.seconds,
        thread.running * 100.0,
        thread.busy * 100.0,
        thread.wakeups
    )
}

fn of_suspect(Suspect { ready, entry, .. }: &Suspect<'_>) -> String {
    let is = entry.map_or("", |entry| &entry.info.description);
    let is_eventfd = entry.is_some_and(|entry| entry.info.kind == Kind::Eventfd);
    let mut text = format!(
        "Descriptor {}, {is}, was ready in {:.0} % of the polls",
        ready.number,
        ready.share * 100.0
    );
    if ready.hung_up {
        text.push_str("; its other end is closed");
    }
    match ready.waiting {
        None | Some(0) => {}
        Some(count) if is_eventfd => text.push_str(&format!("; its count is {count}")),
        Some(bytes) => text.push_str(&format!("; {bytes} bytes wait to be read")),
    }
    for holders in entry.map(holders).unwrap_or_default() {
        text.push_str(&format!("; {holders}"));
    }
    text
}
