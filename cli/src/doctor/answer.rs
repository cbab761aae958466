//! The answer in short: what is wrong, and what to do about it.

use super::finding::{Conclusion, Finding, Suspect};
use super::sentence::{list, sentence};

/// How many faults are named.
const NAMED: usize = 3;

/// Returns some sentences.
pub(super) fn answer(findings: &[Finding<'_>]) -> String {
    match Conclusion::of(findings) {
        Conclusion::Found => of_faults(findings),
        Conclusion::Unknown => {
            "Nothing is wrong in what could be read, but some parts could not be read.".into()
        }
        Conclusion::Nothing => {
            let harmful = findings.iter().find_map(|finding| match finding {
                Finding::ByFork { count, .. } => Some(count),
                _ => None,
            });
            let fork = match harmful {
                Some(count) => format!(
                    " A child that is only forked would inherit {count} descriptors that can do harm."
                ),
                None => " It has no descriptor that a careless child could do harm with.".into(),
            };
            format!("Nothing is wrong.{fork}")
        }
    }
}

fn of_faults(findings: &[Finding<'_>]) -> String {
    let faults = findings.iter().filter(|finding| finding.is_fault());
    let faults = faults.filter_map(|fault| Some((in_short(fault)?, cure(fault))));
    let faults = faults.collect::<Vec<_>>();
    let (mut text, mut cures) = (String::new(), Vec::new());
    for (words, cure) in faults.iter().take(NAMED) {
        text.push_str(&format!("{words}. "));
        if !cures.contains(cure) {
            cures.push(*cure);
        }
    }
    match faults.len().saturating_sub(NAMED) {
        0 => (),
        1 => text.push_str("One more fault is listed below. "),
        more => text.push_str(&format!("{more} more faults are listed below. ")),
    }
    format!("{text}What to do: {}.", cures.join(". "))
}

/// Returns what is wrong, in short; `None` if another finding says the same.
fn in_short(fault: &Finding<'_>) -> Option<String> {
    Some(match fault {
        Finding::Busy(_) | Finding::Suspect(_) => return None,
        Finding::Unexplained { .. } => "A thread is busy, and no descriptor explains it".into(),
        Finding::Spins { suspects, seen } => {
            let which = match &suspects[..] {
                [one] => format!("descriptor {}", with_name(one)),
                all => {
                    let numbers = list(all.iter().map(|suspect| suspect.ready.number));
                    format!("one of the descriptors {numbers}")
                }
            };
            match *seen || suspects.iter().any(|one| one.is_wakeup_of_two) {
                true => format!("A main loop spins around {which}"),
                false => format!("A thread never sleeps, and may spin around {which}"),
            }
        }
        other => {
            let words = sentence(other);
            words.split(". ").next().unwrap_or_default().to_owned()
        }
    })
}

fn with_name(suspect: &Suspect<'_>) -> String {
    let is = suspect.entry.map(|entry| &entry.info.description);
    let is = is.map_or(String::new(), |is| format!(", {is}"));
    format!("{}{is}", suspect.ready.number)
}

/// Returns what to do about it. Faults with the same remedy have the same words.
pub(super) fn cure(fault: &Finding<'_>) -> &'static str {
    match fault {
        Finding::Spins { suspects, .. } if suspects.iter().any(|one| one.is_wakeup_of_two) => {
            NO_FORK
        }
        Finding::Spins { seen: true, .. } => {
            "Read what is ready there, or close it if its other end is closed"
        }
        Finding::Spins { seen: false, .. } => {
            "Find out by `strace -p` which descriptors it waits for. One that is always ready has to be read, or closed if \
             its other end is closed. If it does not wait for these, look for a source that always asks to be called \
             again"
        }
        Finding::IsCopy { .. }
        | Finding::Copies { .. }
        | Finding::HeldByChildren(_)
        | Finding::ByFork { .. } => NO_FORK,
        Finding::ByExec(_) => {
            "Open descriptors with O_CLOEXEC or the like, or close them in the child"
        }
        Finding::ChildSignalIgnored => "Leave SIGCHLD at its default",
        Finding::Zombies { .. } => {
            "Wait for every child, for example by g_child_watch_add() or waitid()"
        }
        Finding::WaitsForAny { .. } => "Wait for known children only, each by its number or pidfd",
        Finding::BlockedByMainThread(_) | Finding::Ignored(_) => {
            "Start children with an empty mask and default dispositions (POSIX_SPAWN_SETSIGMASK and POSIX_SPAWN_SETSIGDEF)"
        }
        Finding::Variable(_) => "Remove such variables from the environment after reading them",
        _ => "Look at it with strace or a profiler",
    }
}

const NO_FORK: &str = "Start children that execute a program and inherit nothing else: by posix_spawn with \
     posix_spawn_file_actions_addclosefrom_np, by Legwork, or in Python by multiprocessing.set_start_method(\"spawn\")";
