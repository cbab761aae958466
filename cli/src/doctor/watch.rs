//! A main loop that spins: how busy its thread is, and which descriptors keep waking it.
//!
//! If a loop is woken again and again by a descriptor that nobody reads, a profiler does not show why. Here the
//! descriptors are polled from outside, many times, which does not change them. What is always ready while a thread is
//! busy may be what keeps it busy. Whether the thread waits for it can be seen only if it sometimes sleeps.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use legwork_inspect::readiness;
use procfs::ProcResult;
use procfs::process::Task;

use super::descriptors::Entry;
use super::polled::polled;
use super::proc::AnyStatus;
use super::subject::Subject;

/// The time between two polls of the descriptors.
const STEP: Duration = Duration::from_millis(20);
/// The least number of polls. On a busy machine the window is extended for it, up to this factor.
const LEAST_LOOKS: u32 = 10;
const LONGER: u32 = 4;
/// What was ready in a smaller share of the polls is left out.
const SELDOM: f64 = 0.05;
/// From which values on a thread is busy: as a share of one processor, or by wakeups per second.
const BUSY: f64 = 0.5;
const OFTEN: f64 = 1000.0;
/// If nothing is always ready, what is ready more often than not: it is emptied and filled again. This is the second
/// choice because a busy loop of GLib does that with its own wakeup descriptor as well.
const OFTEN_READY: f64 = 0.5;

/// What was seen in a window of time.
pub(super) struct Watch {
    pub(super) seconds: f64,
    /// The thread that wanted a processor for the longest time.
    pub(super) busiest: Thread,
    /// What that thread waited for whenever it was seen asleep; `None` if it never was.
    pub(super) waits_for: Option<BTreeSet<RawFd>>,
    /// What was ready when it was polled, the most frequent first.
    pub(super) ready: Vec<Ready>,
    pub(super) verdict: Verdict,
}

/// What a thread did. Shares are of one processor.
pub(super) struct Thread {
    pub(super) id: i32,
    pub(super) name: String,
    pub(super) is_main: bool,
    /// The share of the time in which it ran or waited for a processor: how much it would have run on an idle machine.
    pub(super) busy: f64,
    /// The share of the time in which it ran.
    pub(super) running: f64,
    /// The share of its running time spent in the kernel.
    pub(super) in_kernel: Option<f64>,
    /// How often per second it slept and was woken.
    pub(super) wakeups: f64,
}

/// A descriptor that was ready.
#[derive(Default)]
pub(super) struct Ready {
    pub(super) number: RawFd,
    /// The share of the polls, 0 to 1.
    pub(super) share: f64,
    pub(super) hung_up: bool,
    /// What was waiting at the last poll: bytes, or the count of an eventfd.
    pub(super) waiting: Option<u64>,
}

/// What keeps the busiest thread busy, if anything does.
pub(super) enum Verdict {
    Quiet,
    /// Busy, and no descriptor explains it.
    Busy,
    /// Busy because of one of these, if the thread waits for it.
    Spins(Vec<RawFd>),
}

impl Watch {
    /// Watches for a time; `None` if the process has ended.
    pub(super) fn keep(
        subject: &Subject,
        entries: &[Entry],
        window: Duration,
        nap: &dyn Fn(Duration) -> bool,
    ) -> Option<Self> {
        let before = times_of_all(subject);
        let start = Instant::now();
        let mut looks = 0_u32;
        let mut seen: BTreeMap<RawFd, Ready> = BTreeMap::new();
        let mut waits: BTreeMap<i32, BTreeSet<RawFd>> = BTreeMap::new();
        loop {
            looks += 1;
            for thread in subject.threads() {
                if let Some(polled) = polled(&subject.process, &thread) {
                    waits.entry(thread.tid).or_default().extend(polled);
                }
            }
            for Entry { info, .. } in entries {
                let found = readiness(subject.thread, info);
                let Some(found) = found.filter(|found| found.wakes()) else {
                    continue;
                };
                let ready = seen.entry(info.number).or_default();
                ready.share += 1.0;
                (ready.hung_up, ready.waiting) = (found.hung_up, found.waiting);
            }
            let goal = if looks < LEAST_LOOKS {
                window * LONGER
            } else {
                window
            };
            let left = goal.saturating_sub(start.elapsed());
            if left.is_zero() || nap(left.min(STEP)) {
                break;
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        let busiest = busiest(subject, &before, seconds)?;
        let ready = seen.into_iter().map(|(number, ready)| Ready {
            number,
            share: ready.share / f64::from(looks),
            ..ready
        });
        let mut ready = ready
            .filter(|ready| ready.share >= SELDOM)
            .collect::<Vec<_>>();
        ready.sort_by(|a, b| b.share.total_cmp(&a.share));
        let waits_for = waits.remove(&busiest.id);
        Some(Self {
            verdict: verdict(&busiest, &ready, waits_for.as_ref(), &|number| {
                let entry = entries.iter().find(|entry| entry.info.number == number);
                entry.is_some_and(|entry| entry.is_shared_by(subject.pid))
            }),
            seconds,
            busiest,
            waits_for,
            ready,
        })
    }
}

/// Returns whether a thread spins, and around what. `waits_for` is what the thread waits for, if that is known;
/// `is_shared` whether another process holds a descriptor as well.
fn verdict(
    thread: &Thread,
    ready: &[Ready],
    waits_for: Option<&BTreeSet<RawFd>>,
    is_shared: &dyn Fn(RawFd) -> bool,
) -> Verdict {
    if thread.busy < BUSY && thread.wakeups < OFTEN {
        return Verdict::Quiet;
    }
    let suspects = |from: f64| {
        // Another process may fill a shared descriptor as fast as the loop empties it.
        let some = ready
            .iter()
            .filter(|one| waits_for.is_none_or(|polled| polled.contains(&one.number)))
            .filter(|one| one.share >= from || is_shared(one.number));
        some.map(|ready| ready.number).collect::<Vec<_>>()
    };
    let mut suspects = match suspects(1.0) {
        none if none.is_empty() => suspects(OFTEN_READY),
        some => some,
    };
    // Few loops wait for 0, 1 and 2, and a closed standard input is always ready.
    if suspects.iter().any(|number| *number > 2) {
        suspects.retain(|number| *number > 2);
    }
    if suspects.is_empty() {
        Verdict::Busy
    } else {
        Verdict::Spins(suspects)
    }
}

#[derive(Default)]
struct Times {
    name: String,
    ran: Duration,
    /// For a processor to run on.
    waited: Duration,
    user_ticks: u64,
    kernel_ticks: u64,
    wakeups: u64,
}

/// Returns the times of each thread. A thread that ends meanwhile is left out.
fn times_of_all(subject: &Subject) -> BTreeMap<i32, Times> {
    let threads = subject.threads();
    threads
        .filter_map(|thread| Some((thread.tid, times(&thread).ok()?)))
        .collect()
}

fn times(thread: &Task) -> ProcResult<Times> {
    let AnyStatus(status) = thread.read("status")?;
    let stat = thread.stat()?;
    let (ran, waited) = match thread.schedstat() {
        Ok(schedule) => (schedule.sum_exec_runtime, schedule.run_delay),
        // A kernel built without CONFIG_SCHED_INFO.
        Err(_) => {
            let nanoseconds_per_tick = 1_000_000_000 / procfs::ticks_per_second();
            ((stat.utime + stat.stime) * nanoseconds_per_tick, 0)
        }
    };
    Ok(Times {
        name: stat.comm,
        ran: Duration::from_nanos(ran),
        waited: Duration::from_nanos(waited),
        user_ticks: stat.utime,
        kernel_ticks: stat.stime,
        wakeups: status.voluntary_ctxt_switches.unwrap_or_default(),
    })
}

fn busiest(subject: &Subject, before: &BTreeMap<i32, Times>, seconds: f64) -> Option<Thread> {
    let nothing = Times::default();
    let threads = times_of_all(subject).into_iter().map(|(id, after)| {
        let before = before.get(&id).unwrap_or(&nothing);
        let ran = after.ran.saturating_sub(before.ran).as_secs_f64();
        let waited = after.waited.saturating_sub(before.waited).as_secs_f64();
        let user = after.user_ticks.saturating_sub(before.user_ticks) as f64;
        let kernel = after.kernel_ticks.saturating_sub(before.kernel_ticks) as f64;
        Thread {
            id,
            name: after.name,
            is_main: id.cast_unsigned() == subject.pid,
            busy: (ran + waited) / seconds,
            running: ran / seconds,
            in_kernel: (user + kernel > 0.0).then(|| kernel / (user + kernel)),
            wakeups: after.wakeups.saturating_sub(before.wakeups) as f64 / seconds,
        }
    });
    threads.max_by(|a, b| a.busy.total_cmp(&b.busy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_busy_thread_turns_around_is_what_was_always_ready_or_else_often_or_is_shared() {
        /// How busy, how often woken; what was ready in which share of the polls, and what is shared.
        type Facts<'a> = (f64, f64, &'a [(RawFd, f64)], &'a [RawFd]);
        /// What it is seen to wait for, and what it turns around.
        type Seen<'a> = (Option<&'a [RawFd]>, Option<&'a [RawFd]>);
        let cases: [(Facts<'_>, Seen<'_>); 11] = [
            ((0.1, 10.0, &[(7, 1.0)], &[7]), (None, None)),
            ((0.1, 2000.0, &[(7, 1.0)], &[]), (None, Some(&[7]))),
            ((1.0, 0.0, &[], &[]), (None, Some(&[]))),
            ((1.0, 0.0, &[(7, 1.0), (8, 0.9)], &[]), (None, Some(&[7]))),
            ((1.0, 0.0, &[(7, 0.9), (8, 0.4)], &[]), (None, Some(&[7]))),
            (
                (1.0, 0.0, &[(7, 1.0), (8, 0.1)], &[8]),
                (None, Some(&[7, 8])),
            ),
            ((1.0, 0.0, &[(0, 1.0), (7, 1.0)], &[]), (None, Some(&[7]))),
            ((1.0, 0.0, &[(0, 1.0)], &[]), (None, Some(&[0]))),
            ((1.0, 0.0, &[(7, 1.0)], &[7]), (Some(&[8]), Some(&[]))),
            (
                (1.0, 0.0, &[(7, 1.0), (8, 0.9)], &[]),
                (Some(&[8]), Some(&[8])),
            ),
            (
                (1.0, 0.0, &[(7, 1.0), (8, 1.0)], &[]),
                (Some(&[7, 8]), Some(&[7, 8])),
            ),
        ];
        for ((busy, wakeups, ready, shared), (polled, suspects)) in cases {
            let polled = polled.map(|polled| polled.iter().copied().collect());
            let thread = Thread {
                id: 1,
                name: String::new(),
                is_main: true,
                busy,
                running: busy,
                in_kernel: None,
                wakeups,
            };
            let ready = ready.iter().map(|(number, share)| Ready {
                number: *number,
                share: *share,
                ..Ready::default()
            });
            let ready = ready.collect::<Vec<_>>();
            let found = match verdict(&thread, &ready, polled.as_ref(), &|number| {
                shared.contains(&number)
            }) {
                Verdict::Quiet => None,
                Verdict::Busy => Some(Vec::new()),
                Verdict::Spins(numbers) => Some(numbers),
            };
            assert_eq!(
                found.as_deref(),
                suspects,
                "{busy} {wakeups} {shared:?} {polled:?}"
            );
        }
    }
}
