//! The report as JSON. `docs/doctor.md` describes it, so change both.

use legwork_inspect::{End, Scene};
use serde_json::{Value, json};

use super::answer::{answer, cure};
use super::children::Disposition;
use super::descriptors::{Entry, PassedOn};
use super::finding::{Conclusion, Finding};
use super::report::{Report, Unreadable};
use super::sentence;
use super::variables::Variable;
use super::watch::{Ready, Verdict, Watch};

/// Is incremented when a field is removed or changes its meaning.
const SCHEMA: u32 = 1;

/// Returns the whole report.
pub(super) fn of(report: &Report<'_>, findings: &[Finding<'_>]) -> Value {
    let (subject, signals, children) = (report.subject, &report.signals, &report.children);
    json!({
        "schema": SCHEMA,
        "found": Conclusion::of(findings) == Conclusion::Found,
        "answer": answer(findings),
        "pid": subject.pid,
        "name": subject.name,
        "program": subject.program.as_ref().map(|program| program.to_string_lossy()),
        "threads": report.threads,
        "descriptors": list(&report.descriptors, descriptor),
        "variables": list(&report.variables, variable),
        "signals": {
            "blocked": list(&signals.blocked, |blocked| json!({
                "signal": blocked.signal.name(),
                "by_main_thread": blocked.by_main_thread,
                "threads": blocked.threads,
            })),
            "ignored": list(&signals.ignored, |signal| signal.name().into()),
            "handled": list(&signals.handled, |signal| signal.name().into()),
        },
        "children": {
            "sigchld": match children.sigchld {
                Disposition::Default => "default",
                Disposition::Handled => "handled",
                Disposition::Ignored => "ignored",
            },
            "count": children.count,
            "zombies": children.zombies,
            "copies": children.copies,
            "threads_that_wait_for_any": children.waiting_for_any,
        },
        "watch": report.watch.as_ref().map(watch),
        "notes": list(findings, note),
        "unreadable": list(&report.unreadable, unreadable),
    })
}

fn list<T>(all: &[T], one: impl Fn(&T) -> Value) -> Value {
    all.iter().map(one).collect()
}

fn note(finding: &Finding<'_>) -> Value {
    json!({
        "kind": finding.name(),
        "text": sentence::sentence(finding),
        "scene": scene(finding.scene()),
        "found": finding.is_fault(),
        "cure": finding.is_fault().then(|| cure(finding)),
    })
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
        "harm": sentence::harm(entry).map(|(number, words)| json!({
            "scene": scene(number),
            "text": words,
        })),
        "holders": list(&entry.holders, |holder| json!({
            "pid": holder.pid,
            "name": holder.name,
            "number": holder.number,
            "end": match holder.end {
                End::Same => "same",
                End::Other => "other",
            },
        })),
        "leaked_to": entry.leaked_to,
    })
}

fn variable(variable: &Variable) -> Value {
    json!({
        "name": variable.name,
        "value": variable.value,
        "descriptors": list(&variable.names, |named| json!({
            "number": named.number,
            "description": named.is,
        })),
    })
}

fn watch(watch: &Watch) -> Value {
    let thread = &watch.busiest;
    let (verdict, spins_around) = match &watch.verdict {
        Verdict::Quiet => ("quiet", &[][..]),
        Verdict::Busy => ("busy", &[][..]),
        Verdict::Spins(numbers) => ("spins", &numbers[..]),
    };
    json!({
        "seconds": watch.seconds,
        "verdict": verdict,
        "spins_around": spins_around,
        "thread": {
            "id": thread.id,
            "name": thread.name,
            "is_main": thread.is_main,
            "busy": thread.busy,
            "running": thread.running,
            "in_kernel": thread.in_kernel,
            "wakeups_per_second": thread.wakeups,
        },
        "waits_for": watch.waits_for,
        "ready": list(&watch.ready, |ready: &Ready| json!({
            "number": ready.number,
            "share": ready.share,
            "hung_up": ready.hung_up,
            "waiting": ready.waiting,
        })),
    })
}

fn unreadable(unreadable: &Unreadable) -> Value {
    json!({ "part": sentence::part(unreadable.part), "why": sentence::why(unreadable) })
}
