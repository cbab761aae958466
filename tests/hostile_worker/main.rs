//! C11: a child may be hostile. Whatever it sends, its own job fails, and nothing else does.
//!
//! The program `hostile` sends what the test describes. Each case runs beside a healthy job on the same context, while
//! a timer ticks like that of a window that draws; afterwards the app has no more descriptors than before.

mod floods;
mod memory;
mod order;
mod packets;

use std::{
    cell::Cell,
    rc::Rc,
    sync::{Mutex, MutexGuard, Once, PoisonError},
    time::{Duration, Instant},
};

use legwork::{Error, ErrorKind, JobBuilder, JobHandle, Worker, glib, prelude::*};
use legwork_tests::{
    context::{is_alive, run},
    hostile::{
        Believe, Memory, NUMBERED, SEALED, SPILLED, Step, Thing, Word, kind, open_descriptors,
        packet, packet_about, ready, ready_with, said, script, sealed, sealed_after, send, spilled,
    },
    jobs::Count,
    until,
};

/// Descriptors are counted: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static WARM: Once = Once::new();
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The guardian stays; it is not the worker's doing.
    WARM.call_once(|| assert_eq!(run(|| healthy(1).into_future()).unwrap(), 1));
    guard
}

fn healthy(to: u64) -> JobHandle<Count> {
    let worker = Worker::program(env!("CARGO_BIN_EXE_worker"));
    Count { to }.builder().worker(&worker).spawn()
}

fn hostile(steps: &[Step]) -> JobBuilder<Believe> {
    let (name, value) = script(steps);
    Believe
        .builder()
        .worker(&Worker::program(env!("CARGO_BIN_EXE_hostile")))
        .handshake_deadline(Duration::from_secs(30))
        .env(name, value)
}

/// The longest that the main loop may stand still: far more than it should, as tests are not optimized.
const STILL: Duration = Duration::from_secs(5);
/// How much more memory the app may take (256 MiB).
const MEMORY: u64 = 256 << 20;
/// How long a test waits for an end.
const PATIENCE: Duration = Duration::from_secs(60);

fn memory_in_use() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let resident: u64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    resident * rustix::param::page_size() as u64
}

/// How long this thread could have run and had no processor; see Documentation/scheduler/sched-stats.rst of Linux.
fn kept_waiting() -> Duration {
    let line = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = line.split(' ').nth(1).and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

/// Ticks like the frames of a window, and sees the longest time between two, without that in which other programs had the
/// processors, and the most memory in use.
#[derive(Default)]
struct Ticks {
    longest: Cell<Duration>,
    memory: Cell<u64>,
}

impl Ticks {
    fn start() -> (Rc<Ticks>, glib::JoinHandle<()>) {
        let ticks = Rc::<Ticks>::default();
        let counting = ticks.clone();
        let task = glib::MainContext::ref_thread_default().spawn_local(async move {
            let mut last = (Instant::now(), kept_waiting());
            loop {
                glib::timeout_future(Duration::from_millis(16)).await;
                let still = (last.0.elapsed()).saturating_sub(kept_waiting() - last.1);
                counting.longest.set(counting.longest.get().max(still));
                let memory = counting.memory.get().max(memory_in_use());
                counting.memory.set(memory);
                last = (Instant::now(), kept_waiting());
            }
        });
        (ticks, task)
    }

    fn assert_smooth(&self) {
        let longest = self.longest.get();
        assert!(longest < STILL, "the loop stood still for {longest:?}");
    }
}

/// Has the lie told, with `talk` as the app that believes in it, beside a healthy job.
fn confront_as<F: Future<Output = Result<Word, Error>>>(
    job: JobBuilder<Believe>,
    talk: impl FnOnce(JobHandle<Believe>) -> F,
) -> Result<Word, Error> {
    let (descriptors, memory) = (open_descriptors(), memory_in_use());
    let (outcome, pid) = run(|| async {
        let (ticks, task) = Ticks::start();
        let beside = healthy(30);
        let handle = job.spawn();
        let status = handle.status().clone();
        let pid = handle.pid();
        let outcome = glib::future_with_timeout(PATIENCE, talk(handle)).await;
        let outcome = outcome.expect("the lie has an end");
        assert!(!status.running());
        assert_eq!(beside.await.expect("the healthy job is not disturbed"), 30);
        assert_eq!(healthy(3).await.expect("nor one that comes after"), 3);
        task.abort();
        ticks.assert_smooth();
        let memory = ticks.memory.get().saturating_sub(memory);
        println!("{:?} still, {} KiB more", ticks.longest.get(), memory >> 10);
        assert!(memory < MEMORY, "the app took {memory} bytes more");
        (outcome, pid)
    });
    if let Some(pid) = pid {
        until("the liar is gone", || !is_alive(pid));
    }
    until("what came is closed", || open_descriptors() <= descriptors);
    outcome
}

fn confront(steps: &[Step]) -> Result<Word, Error> {
    confront_as(hostile(steps), |job| job.into_future())
}

/// The lie is seen: a protocol error that says these words.
#[track_caller]
fn seen(steps: &[Step], words: &str) {
    let outcome = confront(steps);
    let protocol = |error: &Error| error.kind() == ErrorKind::Protocol;
    match &outcome {
        Err(error) if protocol(error) && error.to_string().contains(words) => {}
        _ => panic!("{steps:?}: {outcome:?}, and not {words:?}"),
    }
}

/// The same lie, told as the first word and as the second.
#[track_caller]
fn seen_at_any_time(lie: Step, words: &str) {
    seen(std::slice::from_ref(&lie), words);
    seen(&[ready(), lie], words);
}

/// The lie is seen, in whichever words.
#[track_caller]
fn seen_somehow(steps: &[Step]) {
    let error = confront(steps).expect_err("it is not believed");
    assert_eq!(error.kind(), ErrorKind::Protocol, "{steps:?}: {error:?}");
}

fn words() -> Word {
    Word::Text("words".to_owned())
}

fn done() -> Step {
    send(said(kind::DONE, &words()))
}

fn message() -> Vec<u8> {
    said(kind::MESSAGE, &words())
}

fn failed() -> Step {
    send(said(kind::FAILED, &(vec!["error", "cause"], false)))
}

fn progress() -> Vec<u8> {
    said(kind::PROGRESS, &(1u64, 2u64, Some("text")))
}

/// Log records of these texts.
fn records(level: u8, texts: &[&str]) -> Vec<u8> {
    let records: Vec<_> = texts
        .iter()
        .map(|text| {
            // Its time, and what was printed before, are not true either.
            let counts = (u64::MAX, [u64::MAX; 2]);
            (level, "target", text, Some("file.rs"), Some(7u32), counts)
        })
        .collect();
    said(kind::LOG, &(0u64, records))
}

fn panic_report() -> Vec<u8> {
    said(
        kind::PANIC,
        &("message", Some("place"), Some("thread"), "backtrace"),
    )
}
