//! What was found, in sentences, and which of them tells of a fault: the same for both faces.

use legwork::process::Signal;
use legwork_inspect::{End, Scene};

use super::children::Disposition;
use super::report::{Entry, PassedOn, Report};
use super::variables::Variable;
use super::verdict::{Verdict, verdict};
use super::watch::{Ready, Watch};

/// A heading and what stands under it.
pub(super) struct Section {
    pub(super) title: String,
    pub(super) notes: Vec<Note>,
}

/// One sentence.
pub(super) struct Note {
    pub(super) text: String,
    /// Where the like has happened.
    pub(super) scene: Option<Scene>,
    /// Whether it is a fault of the process, or only worth knowing.
    pub(super) found: bool,
}

impl Note {
    fn known(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            scene: None,
            found: false,
        }
    }

    fn fault(text: impl Into<String>) -> Self {
        Self {
            found: true,
            ..Self::known(text)
        }
    }

    fn seen(self, scene: Scene) -> Self {
        Self {
            scene: Some(scene),
            ..self
        }
    }
}

/// All but the descriptors. A section without notes is left out.
pub(super) fn sections(report: &Report<'_>) -> Vec<Section> {
    let section = |title: &str, notes| Section {
        title: title.into(),
        notes,
    };
    let mut sections = vec![
        section(
            "Environment, as it was started with",
            report.variables.iter().map(variable).collect(),
        ),
        section("Signals", signals(report)),
        section("Children", children(report)),
        section("Threads", threads(report)),
    ];
    if let Some(watch) = &report.watch {
        let title = format!("Watched for {:.1} s", watch.seconds);
        sections.push(section(&title, watched(report, watch)));
    }
    let unreadable = report.unreadable.iter();
    sections.push(section(
        "Not seen",
        unreadable
            .map(|dark| Note::known(format!("{}: {}", dark.part, dark.why)))
            .collect(),
    ));
    sections.retain(|section| !section.notes.is_empty());
    sections
}

/// Which careless child gets a descriptor.
pub(super) const fn passed_on(how: PassedOn) -> &'static str {
    match how {
        PassedOn::Standard => "any child",
        PassedOn::ByFork => "fork",
        PassedOn::ByExec => "fork, exec",
    }
}

/// What it has done to others, or else what it could do.
pub(super) fn harm(entry: &Entry) -> Option<(Option<Scene>, &'static str)> {
    let harm = entry.harm()?;
    let scene = harm.scene();
    Some((scene, scene.map_or(harm.risk(), Scene::happened)))
}

/// How many of the others that hold a thing are named.
const NAMED: usize = 3;

/// Who else holds it, and its other end.
pub(super) fn holders(entry: &Entry) -> Vec<String> {
    let words = [
        (End::Same, "also held by"),
        (End::Other, "the other end is held by"),
    ];
    words
        .into_iter()
        .filter_map(|(end, words)| {
            let mut holders = entry.holders.iter().filter(|holder| holder.end == end);
            let mut names = holders
                .by_ref()
                .take(NAMED)
                .map(|holder| format!("{} ({}, its {})", holder.name, holder.pid, holder.number))
                .collect::<Vec<_>>();
            match holders.count() {
                0 => {}
                more => names.push(format!("{more} more")),
            }
            (!names.is_empty()).then(|| format!("{words} {}", names.join(", ")))
        })
        .collect()
}

fn variable(variable: &Variable) -> Note {
    let mut text = variable.name.clone();
    if let Some(value) = &variable.value {
        text.push('=');
        text.push_str(value);
    }
    for named in &variable.names {
        let is = named.is.as_deref().unwrap_or("not open");
        text.push_str(&format!("; {} is {is}", named.number));
    }
    Note::fault(format!("{text}. A child believes {}", variable.belief))
}

fn signals(report: &Report<'_>) -> Vec<Note> {
    let Some(signals) = &report.signals else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    let blocked = |by_main| {
        let blocked = signals.blocked.iter();
        let some = blocked.filter(move |blocked| blocked.by_main_thread == by_main);
        some.map(|blocked| blocked.signal).collect::<Vec<_>>()
    };
    let (by_main, by_others) = (blocked(true), blocked(false));
    if !by_main.is_empty() {
        notes.push(Note::fault(format!(
            "Blocked in the main thread: {}. A child that it starts does not hear that, whatever it executes",
            names(&by_main)
        )));
    }
    if !by_others.is_empty() {
        notes.push(Note::known(format!(
            "Blocked in other threads alone: {}. A child that one of them starts does not hear that",
            names(&by_others)
        )));
    }
    if !signals.ignored.is_empty() {
        notes.push(Note::fault(format!(
            "Ignored: {}. A child ignores that, too, whatever it executes",
            names(&signals.ignored)
        )));
    }
    notes
}

/// A list that stays readable when it is of all signals.
fn names(signals: &[Signal]) -> String {
    const MOST: usize = 12;
    let mut names = signals
        .iter()
        .take(MOST)
        .map(|signal| signal.name())
        .collect::<Vec<_>>()
        .join(", ");
    if signals.len() > MOST {
        names.push_str(&format!(" and {} more", signals.len() - MOST));
    }
    names
}

fn children(report: &Report<'_>) -> Vec<Note> {
    let Some(children) = &report.children else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    match children.sigchld {
        Disposition::Ignored => notes.push(Note::fault(
            "SIGCHLD is ignored: the kernel throws away how children end, and whoever waits for one learns nothing",
        )),
        Disposition::Handled => notes.push(Note::known(
            "SIGCHLD is handled: whether the handler reaps every child or only its own does not show from outside",
        )),
        Disposition::Default => {}
    }
    if !children.zombies.is_empty() {
        notes.push(Note::fault(format!(
            "{} of its {} children ended, and nobody has waited for them: {}",
            children.zombies.len(),
            children.count,
            list(&children.zombies)
        )));
    }
    if !children.waiting_for_any.is_empty() {
        let text = format!(
            "Thread {} waits for any child: it reaps those that others have started, too",
            list(&children.waiting_for_any)
        );
        // Alone, as a shell is, it has no others.
        notes.push(if report.threads > 1 {
            Note::fault(text)
        } else {
            Note::known(text)
        });
    }
    notes
}

fn list(numbers: &[u32]) -> String {
    let numbers = numbers.iter().map(u32::to_string).collect::<Vec<_>>();
    numbers.join(", ")
}

fn threads(report: &Report<'_>) -> Vec<Note> {
    if report.threads < 2 {
        return Vec::new();
    }
    let text = format!(
        "{} threads: a lock that one of them holds at a fork is never released in the child",
        report.threads
    );
    vec![Note::known(text).seen(Scene::LOCK)]
}

fn watched(report: &Report<'_>, watch: &Watch) -> Vec<Note> {
    let thread = &watch.busiest;
    let who = if thread.is_main {
        "The main thread".to_owned()
    } else {
        format!("Thread {} ({})", thread.id, thread.name)
    };
    let in_kernel = thread.in_kernel.map_or(String::new(), |share| {
        format!(" ({:.0} % of that in the kernel)", share * 100.0)
    });
    let figures = format!(
        "{who} took {:.0} % of a processor{in_kernel}, wanted {:.0} %, and was woken {:.0} times a second",
        thread.running * 100.0,
        thread.busy * 100.0,
        thread.wakeups
    );
    match verdict(report, watch) {
        Verdict::Quiet => vec![Note::known(figures), Note::known("It does not spin")],
        Verdict::Busy => vec![
            Note::fault(figures),
            Note::fault(
                "No descriptor explains that: it computes, or a source of its loop always asks to be called again",
            ),
        ],
        Verdict::Spins(suspects) => {
            let mut notes = vec![Note::fault(figures)];
            let spins = match suspects.len() {
                1 => "It spins, and this keeps it spinning:",
                _ => {
                    "It spins, and one of these keeps it spinning; which it waits for does not show from outside:"
                }
            };
            notes.push(Note::fault(spins));
            notes.extend(suspects.into_iter().map(|ready| suspect(report, ready)));
            notes
        }
    }
}

fn suspect(report: &Report<'_>, ready: &Ready) -> Note {
    let entry = report
        .descriptors
        .iter()
        .find(|entry| entry.info.number == ready.number);
    let is = entry.map_or("", |entry| &entry.info.description);
    let mut text = format!(
        "Descriptor {}, {is}, was ready in {:.0} % of the looks",
        ready.number,
        ready.share * 100.0
    );
    if ready.hung_up {
        text.push_str("; its other end is gone");
    }
    if let Some(waiting) = ready.waiting.filter(|waiting| *waiting > 0) {
        text.push_str(&format!("; {waiting} waits there"));
    }
    for holders in entry.map(holders).unwrap_or_default() {
        text.push_str("; ");
        text.push_str(&holders);
    }
    Note::fault(text).seen(Scene::WAKEUP)
}
