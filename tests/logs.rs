//! C13: what a job logs, prints and dies with arrives with its name, in order, bounded, with a count of what was
//! dropped; and the job never waits for it.

use std::io::{PipeReader, Read};
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use legwork::prelude::*;
use legwork::{Descriptor, Error, ErrorKind, JobHandle, Level, LogRecord, Logs, Worker, glib};
use legwork_tests::context::run;
use legwork_tests::log_jobs::{Flood, Speak, drop_of};
use legwork_tests::scene::within;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const PATIENCE: Duration = Duration::from_secs(120);
const KIB: usize = 1024;
/// What waits in the worker at most.
const QUEUE: usize = 4 * KIB * KIB;
/// More than a control socket and a pipe take, whatever the system's settings.
const ON_THE_WAY: usize = KIB * KIB;
/// What waits in a `Logs` at most.
const WAITING: usize = 4096;
const PRINTED: &str = "stdout";
const ERRORS: &str = "stderr";
const LOGGED: &str = "legwork_tests::log_jobs";

fn worker() -> Worker {
    Worker::program(env!("CARGO_BIN_EXE_log_worker"))
}

/// The outcome of a job, and what it has said, read as it comes.
async fn said<J: legwork::Listed>(
    mut job: JobHandle<J>,
) -> (Result<J::Output, Error>, Vec<LogRecord>) {
    let logs = job.logs();
    // Beside the job, which may only end when its handle is awaited.
    let context = glib::MainContext::ref_thread_default();
    let reader = context.spawn_local(all(logs));
    (job.await, reader.await.expect("not aborted"))
}

async fn all(mut logs: Logs) -> Vec<LogRecord> {
    let mut records = Vec::new();
    while let Some(record) = logs.recv().await {
        records.push(record);
    }
    records
}

fn speak(what: Speak) -> (Result<(), Error>, Vec<LogRecord>) {
    run_in_time(async || {
        let job = what.builder().worker(&worker()).forward_logs(false);
        said(job.log_level(Level::Trace).spawn()).await
    })
}

fn run_in_time<F: Future>(work: impl FnOnce() -> F) -> F::Output {
    within(PATIENCE, "a job has spoken", || run(work))
}

fn texts<'a>(records: &'a [LogRecord], target: &str) -> Vec<&'a str> {
    let of_target = records.iter().filter(|record| record.target == target);
    of_target.map(|record| &*record.text).collect()
}

#[test]
fn each_source_arrives_whole_and_in_order() {
    const COUNT: u32 = 500;
    let (outcome, records) = speak(Speak::Everywhere(COUNT));
    outcome.unwrap();
    let numbers = |names: [&str; 2]| -> Vec<String> {
        let names = |n| names.map(|name| format!("{name} {n}"));
        (0..COUNT).flat_map(names).collect()
    };
    assert_eq!(texts(&records, LOGGED), numbers(["log", "tracing"]));
    let numbers = |name| {
        (0..COUNT)
            .map(|n| format!("{name} {n}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(&records, PRINTED), numbers("stdout"));
    assert_eq!(texts(&records, ERRORS), numbers("stderr"));
    assert_eq!(records.len(), 4 * COUNT as usize);
    assert!(records.iter().all(|record| record.dropped == 0));
}

#[test]
fn what_is_logged_and_printed_by_turns_arrives_by_turns() {
    // As many as fit in the socket: more would wait in the worker.
    const COUNT: u32 = 100;
    let numbers: Vec<_> = (0..COUNT).map(|number| number.to_string()).collect();
    for by in [ERRORS, PRINTED].repeat(20) {
        let before = SystemTime::now();
        let (outcome, records) = speak(Speak::ByTurns(COUNT, by == ERRORS));
        outcome.unwrap();
        let arrived: Vec<_> = (records.iter().map(|r| (&*r.target, &*r.text))).collect();
        let both = |number| [(LOGGED, number), (by, number)];
        let said: Vec<_> = numbers.iter().flat_map(|number| both(&**number)).collect();
        assert_eq!(arrived, said);
        let times: Vec<_> = records.iter().map(|record| record.time).collect();
        let after = SystemTime::now();
        let late = Duration::from_millis(1);
        assert!(
            times
                .iter()
                .all(|time| *time + late >= before && *time <= after + late)
        );
    }
}

#[test]
fn what_several_threads_log_is_in_order_for_each() {
    let (outcome, records) = speak(Speak::FromThreads(4, 300));
    outcome.unwrap();
    for thread in 0..4 {
        let own = format!("{thread} ");
        let of_thread = records.iter().filter_map(|r| r.text.strip_prefix(&own));
        let numbers: Vec<u32> = of_thread.map(|number| number.parse().unwrap()).collect();
        assert_eq!(numbers, (0..300).collect::<Vec<_>>());
    }
}

#[test]
fn every_record_has_its_level_its_place_and_its_fields() {
    let (outcome, records) = speak(Speak::AtEveryLevel);
    outcome.unwrap();
    let expected = [
        (Level::Error, "error"),
        (Level::Warn, "warn"),
        (Level::Info, "info"),
        (Level::Debug, "debug"),
        (Level::Trace, "trace"),
    ];
    let (of_log, rest): (Vec<_>, Vec<_>) =
        records.iter().enumerate().partition(|(i, _)| i % 2 == 0);
    for (source, name) in [(of_log, "log"), (rest, "tracing")] {
        assert_eq!(source.len(), expected.len(), "{name}");
        for ((_, record), (level, text)) in source.iter().zip(expected) {
            assert_eq!(record.level, level, "{name}");
            assert!(record.text.starts_with(text), "{name}: {}", record.text);
            let (file, line) = record.place.as_ref().expect("a place");
            assert!(file.ends_with("log_jobs.rs") && *line > 0, "{name}: {file}");
        }
    }
    assert_eq!(records[1].text, "error code=7 name=\"x\"");
    assert_eq!(records.len(), 10);
}

#[test]
fn a_level_that_nobody_wants_does_not_travel() {
    let (outcome, records) = run(|| {
        let job = Speak::AtEveryLevel.builder().worker(&worker());
        said(job.forward_logs(false).log_level(Level::Warn).spawn())
    });
    outcome.unwrap();
    assert_eq!(records.len(), 4);
    assert!(records.iter().all(|record| record.level <= Level::Warn));
}

#[test]
fn a_text_is_cut_behind_8_kib_and_never_within_a_character() {
    let edge = 8 * KIB;
    let ascii = |length| "x".repeat(length);
    let umlaut_at = |length: usize| ascii(length) + "ä" + "yyy";
    let lines = [
        (ascii(edge - 1), ascii(edge - 1)),
        (ascii(edge), ascii(edge)),
        (ascii(edge + 1), ascii(edge) + "…"),
        (ascii(edge * 20), ascii(edge) + "…"),
        // The character ends at the edge, and lies across it.
        (umlaut_at(edge - 2), ascii(edge - 2) + "ä…"),
        (umlaut_at(edge - 1), ascii(edge - 1) + "…"),
        (String::new(), String::new()),
    ];
    let (said, expected): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
    let (outcome, records) = speak(Speak::Texts(said));
    outcome.unwrap();
    assert_eq!(texts(&records, LOGGED), expected);
    // A line is cut at any byte, and half a character becomes U+FFFD.
    let printed = texts(&records, PRINTED);
    let across = "x".repeat(edge - 1) + "\u{FFFD}…";
    for (index, line) in expected.iter().enumerate() {
        let line = if index == 5 { &across } else { line };
        assert!(
            printed[index] == line,
            "line {index} ends in {:?}",
            ending(printed[index])
        );
    }
    assert_eq!(printed.len(), expected.len());
}

fn ending(text: &str) -> &str {
    &text[text.floor_char_boundary(text.len().saturating_sub(10))..]
}

#[test]
fn a_target_is_cut_behind_512_bytes() {
    for length in [511, 512, 513, 100_000] {
        let (outcome, records) = speak(Speak::Target("t".repeat(length)));
        outcome.unwrap();
        let cut = "t".repeat(length.min(512)) + if length > 512 { "…" } else { "" };
        assert_eq!(texts(&records, &cut), ["text"], "{length}");
    }
}

#[test]
fn what_is_printed_arrives_though_it_is_no_text_and_has_no_end() {
    let (outcome, records) = speak(Speak::Bytes(
        b"one\n\ntwo\r\n\xff\xfe\0three\nno end".into(),
    ));
    outcome.unwrap();
    let lines = texts(&records, PRINTED);
    assert_eq!(
        lines,
        [
            "one",
            "",
            "two\r",
            "\u{FFFD}\u{FFFD}\u{FFFD}three",
            "no end"
        ]
    );
    assert!(records.iter().all(|record| record.level == Level::Info));
}

#[test]
fn what_a_job_said_before_it_died_arrives_with_what_it_died_of() {
    let numbers: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    let (outcome, records) = speak(Speak::ThenPanic(100));
    let error = outcome.unwrap_err();
    assert_eq!(texts(&records, LOGGED), numbers);
    assert_eq!(error.panic().unwrap().message, "on purpose");
    let printed = texts(&records, ERRORS);
    assert!(printed.contains(&"on purpose"), "{printed:?}");
    assert!(error.output_tail().contains("on purpose"), "{error:?}");

    let (outcome, records) = speak(Speak::ThenAbort(100));
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Signal);
    assert_eq!(texts(&records, LOGGED), numbers);
}

#[test]
fn records_that_nobody_reads_are_dropped_oldest_first_and_counted() {
    const COUNT: usize = 5000;
    let records = run(|| async {
        let job = Speak::FromThreads(1, COUNT as u32);
        let mut job = job.builder().worker(&worker()).forward_logs(false).spawn();
        let logs = job.logs();
        job.await.unwrap();
        all(logs).await
    });
    assert_eq!(records.len(), WAITING);
    assert_eq!(records[0].dropped as usize, COUNT - WAITING);
    assert!(records[1..].iter().all(|record| record.dropped == 0));
    for (number, record) in (COUNT - WAITING..).zip(&records) {
        assert_eq!(record.text, format!("0 {number}"));
    }
}

/// A job that floods the app, and what tells the end of the flood.
fn flood(count: u32, length: usize, print: bool) -> (JobHandle<Flood>, PipeReader) {
    let (done, theirs) = std::io::pipe().unwrap();
    let job = Flood {
        count,
        length,
        print,
        done: Descriptor::from(OwnedFd::from(theirs)),
    };
    let job = job.builder().worker(&worker()).forward_logs(false).spawn();
    (job, done)
}

/// Waits without the main loop until the flood is over. Returns how long the longest call took, `None` when it is not
/// over in time.
fn wait_for(done: &mut PipeReader, time: Duration) -> Option<Duration> {
    let time = Timespec::try_from(time).unwrap();
    let ready = poll(&mut [PollFd::new(&*done, PollFlags::IN)], Some(&time)).unwrap();
    let mut bytes = [0; 8];
    (ready > 0).then(|| {
        done.read_exact(&mut bytes).unwrap();
        Duration::from_nanos(u64::from_ne_bytes(bytes))
    })
}

/// How many bytes a record of a flood takes in the queue.
fn encoded(length: usize) -> usize {
    let file = "tests/helpers/log_jobs.rs";
    let time = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64;
    let counts = (time, [0u64; 2]);
    let record = (
        3u8,
        LOGGED,
        drop_of(7, length),
        Some(file),
        Some(120u32),
        counts,
    );
    postcard::to_stdvec(&record).unwrap().len()
}

#[test]
fn logging_never_waits_for_an_app_whose_loop_does_not_run_and_what_is_too_much_is_counted() {
    // Four times of what fits, with a second count for records that come later.
    const LENGTH: usize = 4 * KIB;
    const COUNT: u32 = (4 * QUEUE / LENGTH) as u32;
    for more in [false, true] {
        let (outcome, records) = run_in_time(async || {
            let (job, mut done) = flood(COUNT, LENGTH, false);
            let longest = wait_for(&mut done, PATIENCE / 2).expect("the job waits for the app");
            println!("C13: {COUNT} records of 4 KiB, none read: the longest call took {longest:?}");
            if more {
                job.sender().send(()).await.unwrap();
            }
            said(job).await
        });
        outcome.unwrap();
        let (kept, last) = records.split_at(records.len() - 1);
        for (number, record) in (0..).zip(kept) {
            assert_eq!(record.text, drop_of(number, LENGTH));
            assert_eq!(record.dropped, 0);
        }
        let words = if more {
            "and on"
        } else {
            "log records were dropped"
        };
        assert!(last[0].text.ends_with(words), "{}", last[0].text);
        assert_eq!(last[0].dropped as usize, COUNT as usize - kept.len());
        // As much as fits was kept, to the record; besides, there is what was on its way.
        let fits = QUEUE / encoded(LENGTH);
        let kept = kept.len();
        println!("C13: {kept} records have been kept, {fits} of them fit into the queue");
        assert!(kept >= fits, "{kept} records, and {fits} fit");
        assert!(
            (kept - fits) * LENGTH < ON_THE_WAY,
            "{kept} records, and {fits} fit"
        );
    }
}

#[test]
fn control_a_write_to_a_pipe_waits_for_an_app_whose_loop_does_not_run() {
    const COUNT: u32 = 300;
    let (outcome, records) = run_in_time(async || {
        let (job, mut done) = flood(COUNT, 4 * KIB, true);
        let over = wait_for(&mut done, Duration::from_millis(500));
        assert_eq!(
            over, None,
            "the control no longer fails: the job has not waited"
        );
        said(job).await
    });
    outcome.unwrap();
    assert_eq!(
        records.len(),
        COUNT as usize,
        "nothing that is printed is dropped"
    );
}

#[test]
fn all_who_wait_for_records_hear_of_the_end() {
    run_in_time(async || {
        let mut job = Speak::AtEveryLevel
            .builder()
            .worker(&worker())
            .forward_logs(false)
            .spawn();
        let both = [job.logs(), job.logs()];
        let context = glib::MainContext::ref_thread_default();
        let readers = both.map(|logs| context.spawn_local(all(logs)));
        job.await.unwrap();
        let mut records = 0;
        for reader in readers {
            records += reader.await.expect("not aborted").len();
        }
        assert!(records > 0);
    });
}
