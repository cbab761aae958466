//! A main loop that spins: how busy its thread is, and which descriptor keeps waking it.
//!
//! A loop that is woken for ever by a descriptor that nobody empties does not show where the time goes in a profiler.
//! Here the descriptor is polled from outside, many times, which takes nothing from it: what is ready whenever one
//! looks, while a thread is busy, is what the loop turns around.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use legwork_inspect::{DescriptorInfo, readiness};
use rustix::param::clock_ticks_per_second;

use super::subject::{Subject, field, stat};

/// Between two looks at the descriptors.
const STEP: Duration = Duration::from_millis(20);
/// So often it is looked at even if a busy machine makes the window longer for that, up to so many times.
const LEAST_LOOKS: u32 = 10;
const LONGER: u32 = 4;
/// What was ready less often is not told.
const SELDOM: f64 = 0.05;

/// What was seen in a window of time.
pub(super) struct Watch {
    pub(super) seconds: f64,
    /// The thread that wanted a processor for the longest time.
    pub(super) busiest: Thread,
    /// What was ready when it was looked at, the most often first.
    pub(super) ready: Vec<Ready>,
}

/// What a thread did. Shares are of one processor.
pub(super) struct Thread {
    pub(super) id: u32,
    pub(super) name: String,
    pub(super) is_main: bool,
    /// The share of the time in which it ran or waited for a processor: what it would have used on an idle machine.
    pub(super) busy: f64,
    /// The share of the time in which it ran.
    pub(super) running: f64,
    /// How much of what it ran it was in the kernel.
    pub(super) in_kernel: Option<f64>,
    /// How often a second it slept and was woken.
    pub(super) wakeups: f64,
}

/// A descriptor that was ready.
pub(super) struct Ready {
    pub(super) number: RawFd,
    /// In how many of the looks, 0 to 1.
    pub(super) share: f64,
    pub(super) hung_up: bool,
    /// What waited there at the last look: bytes, or the count of an eventfd.
    pub(super) waiting: Option<u64>,
}

impl Watch {
    pub(super) fn keep(
        subject: &Subject,
        open: &[DescriptorInfo],
        window: Duration,
        nap: &dyn Fn(Duration) -> bool,
    ) -> io::Result<Self> {
        let before = times_of_all(subject)?;
        let start = Instant::now();
        let mut looks = 0_u32;
        let mut seen: BTreeMap<RawFd, (u32, Ready)> = BTreeMap::new();
        loop {
            looks += 1;
            for info in open {
                let Some(found) = readiness(subject.pid, info).filter(|found| found.wakes()) else {
                    continue;
                };
                let ready = Ready {
                    number: info.number,
                    share: 0.0,
                    hung_up: found.hung_up,
                    waiting: found.waiting,
                };
                let times = seen.get(&info.number).map_or(0, |(times, _)| *times);
                seen.insert(info.number, (times + 1, ready));
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
        let after = times_of_all(subject)?;
        let mut ready = seen
            .into_values()
            .map(|(times, ready)| Ready {
                share: f64::from(times) / f64::from(looks),
                ..ready
            })
            .filter(|ready| ready.share >= SELDOM)
            .collect::<Vec<_>>();
        ready.sort_by(|a, b| b.share.total_cmp(&a.share));
        Ok(Self {
            seconds,
            busiest: busiest(subject, &before, &after, seconds)?,
            ready,
        })
    }
}

#[derive(Clone, Copy, Default)]
struct Times {
    ran: Duration,
    /// For a processor.
    waited: Duration,
    user_ticks: u64,
    kernel_ticks: u64,
    wakeups: u64,
}

/// The main thread is the first.
fn times_of_all(subject: &Subject) -> io::Result<Vec<(u32, Times)>> {
    let mut all = Vec::new();
    for thread in subject.threads() {
        match times(subject, thread) {
            Ok(times) => all.push((thread, times)),
            // A thread may end at any time; the main thread stays.
            Err(error) if thread == subject.pid => return Err(error),
            Err(_) => {}
        }
    }
    Ok(all)
}

fn times(subject: &Subject, thread: u32) -> io::Result<Times> {
    let folder = subject.file("task").join(thread.to_string());
    let status = fs::read_to_string(folder.join("status"))?;
    let wakeups = field(&status, "voluntary_ctxt_switches").and_then(|text| text.parse().ok());
    let fields = stat(&folder.join("stat")).unwrap_or_default();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok());
    let (user_ticks, kernel_ticks) = (ticks(11).unwrap_or(0), ticks(12).unwrap_or(0));
    // "Nanoseconds that it ran, that it waited for a processor, and how often it ran."
    let schedule = fs::read_to_string(folder.join("schedstat")).unwrap_or_default();
    let mut numbers = schedule.split_ascii_whitespace().map(str::parse);
    let (ran, waited) = match (numbers.next(), numbers.next()) {
        (Some(Ok(ran)), Some(Ok(waited))) => {
            (Duration::from_nanos(ran), Duration::from_nanos(waited))
        }
        // A kernel built without CONFIG_SCHED_INFO.
        _ => {
            let seconds = (user_ticks + kernel_ticks) as f64 / clock_ticks_per_second() as f64;
            (Duration::from_secs_f64(seconds), Duration::ZERO)
        }
    };
    Ok(Times {
        ran,
        waited,
        user_ticks,
        kernel_ticks,
        wakeups: wakeups.unwrap_or_default(),
    })
}

fn busiest(
    subject: &Subject,
    before: &[(u32, Times)],
    after: &[(u32, Times)],
    seconds: f64,
) -> io::Result<Thread> {
    let mut busiest: Option<Thread> = None;
    for (id, after) in after {
        let before = before.iter().find(|(known, _)| known == id);
        let before = before.map_or_else(Times::default, |(_, times)| *times);
        let ran = after.ran.saturating_sub(before.ran).as_secs_f64();
        let waited = after.waited.saturating_sub(before.waited).as_secs_f64();
        let user = after.user_ticks.saturating_sub(before.user_ticks) as f64;
        let kernel = after.kernel_ticks.saturating_sub(before.kernel_ticks) as f64;
        let thread = Thread {
            id: *id,
            name: String::new(),
            is_main: *id == subject.pid,
            busy: (ran + waited) / seconds,
            running: ran / seconds,
            in_kernel: (user + kernel > 0.0).then(|| kernel / (user + kernel)),
            wakeups: after.wakeups.saturating_sub(before.wakeups) as f64 / seconds,
        };
        if busiest
            .as_ref()
            .is_none_or(|other| thread.busy > other.busy)
        {
            busiest = Some(thread);
        }
    }
    let mut busiest = busiest.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let folder = subject.file("task").join(busiest.id.to_string());
    busiest.name = fs::read_to_string(folder.join("comm"))?
        .trim_end()
        .to_owned();
    Ok(busiest)
}
