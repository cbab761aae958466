//! The face for a program. `docs/doctor.md` has the schema: what is changed here is changed there.

use legwork_inspect::{End, Scene};
use serde_json::{Value, json};

use super::report::{Entry, PassedOn, Report, Unreadable};
use super::variables::Variable;
use super::verdict::{Verdict, verdict};
use super::watch::{Ready, Watch};
use super::words;

/// Raised when a field is taken away or means something else.
const SCHEMA: u32 = 1;

/// The whole report.
pub(super) fn of(report: &Report<'_>, found: bool) -> Value {
    let subject = report.subject;
    json!({
        "schema": SCHEMA,
        "found": found,
        "pid": subject.pid,
        "name": subject.name,
        "program": subject.program.as_ref().map(|program| program.to_string_lossy()),
        "threads": report.threads,
        "descriptors": report.descriptors.iter().map(descriptor).collect::<Vec<_>>(),
        "variables": report.variables.iter().map(variable).collect::<Vec<_>>(),
        "signals": report.signals.as_ref().map(|signals| json!({
            "blocked": signals.blocked.iter().map(|blocked| json!({
                "signal": blocked.signal.name(),
                "by_main_thread": blocked.by_main_thread,
                "threads": blocked.threads,
            })).collect::<Vec<_>>(),
            "ignored": names(&signals.ignored),
            "handled": names(&signals.handled),
        })),
        "children": report.children.as_ref().map(|children| json!({
            "sigchld": children.sigchld.name(),
            "count": children.count,
            "zombies": children.zombies,
            "threads_that_wait_for_any": children.waiting_for_any,
        })),
        "watch": report.watch.as_ref().map(|seen| watch(report, seen)),
        "notes": words::sections(report).iter().flat_map(|section| &section.notes).map(|note| json!({
            "text": note.text,
            "scene": scene(note.scene),
            "found": note.found,
        })).collect::<Vec<_>>(),
        "unreadable": report.unreadable.iter().map(unreadable).collect::<Vec<_>>(),
    })
}

fn names(signals: &[legwork::process::Signal]) -> Vec<String> {
    let names = signals.iter().map(|signal| signal.name().into_owned());
    names.collect()
}

fn scene(scene: Option<Scene>) -> Option<String> {
    scene.map(|scene| format!("S{}", scene.number()))
}

fn descriptor(entry: &Entry) -> Value {
    let info = &entry.info;
    let survives = match entry.passed_on() {
        PassedOn::Standard => "standard",
        PassedOn::ByFork => "fork",
        PassedOn::ByExec => "exec",
    };
    json!({
        "number": info.number,
        "kind": info.kind.name(),
        "description": info.description,
        "service": info.service.map(|service| service.name()),
        "survives": survives,
        "close_on_exec": info.close_on_exec,
        "nonblocking": info.nonblocking,
        "readable": info.readable,
        "writable": info.writable,
        "listening": info.listening,
        "found": entry.is_fault(),
        "harm": words::harm(entry).map(|(number, words)| json!({
            "scene": scene(number),
            "text": words,
        })),
        "holders": entry.holders.iter().map(|holder| json!({
            "pid": holder.pid,
            "name": holder.name,
            "number": holder.number,
            "end": match holder.end {
                End::Same => "same",
                End::Other => "other",
            },
        })).collect::<Vec<_>>(),
        "leaked_to": entry.leaked_to,
    })
}

fn variable(variable: &Variable) -> Value {
    json!({
        "name": variable.name,
        "value": variable.value,
        "descriptors": variable.names.iter().map(|named| json!({
            "number": named.number,
            "description": named.is,
        })).collect::<Vec<_>>(),
    })
}

fn watch(report: &Report<'_>, watch: &Watch) -> Value {
    let ready = |ready: &Ready| {
        json!({
            "number": ready.number,
            "share": ready.share,
            "hung_up": ready.hung_up,
            "waiting": ready.waiting,
        })
    };
    let verdict = verdict(report, watch);
    let spins_around = match &verdict {
        Verdict::Spins(suspects) => suspects.iter().map(|ready| ready.number).collect(),
        _ => Vec::new(),
    };
    json!({
        "seconds": watch.seconds,
        "verdict": match verdict {
            Verdict::Quiet => "quiet",
            Verdict::Busy => "busy",
            Verdict::Spins(_) => "spins",
        },
        "spins_around": spins_around,
        "thread": {
            "id": watch.busiest.id,
            "name": watch.busiest.name,
            "is_main": watch.busiest.is_main,
            "busy": watch.busiest.busy,
            "running": watch.busiest.running,
            "in_kernel": watch.busiest.in_kernel,
            "wakeups_per_second": watch.busiest.wakeups,
        },
        "ready": watch.ready.iter().map(ready).collect::<Vec<_>>(),
    })
}

fn unreadable(dark: &Unreadable) -> Value {
    json!({ "part": dark.part, "why": dark.why })
}
