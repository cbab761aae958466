//! S5: a logger's lock is copied while it is held, and a forked child hangs at its first log call.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use legwork::glib::{self, LogWriterOutput, gstr};
use legwork::prelude::*;
use legwork::{JobHandle, Level, LogRecord, Worker};
use legwork_tests::context::run;
use legwork_tests::scene;
use legwork_tests::scene_jobs::{LogMuch, record};

const JOBS: u32 = 8;
const RECORDS: u32 = 1250;

#[test]
fn control_a_forked_child_hangs_at_the_first_thing_that_it_logs() {
    let figures = scene::control("control_s05_logging");
    println!(
        "S5 control: after {} s the forked child has not logged one record",
        figures.get::<u64>("waited_seconds")
    );
    assert!(
        !figures.get::<bool>("has_logged"),
        "the control no longer fails: the child has logged"
    );
}

/// Whose records they are, or were printed: the fields that tell it, and what they say.
type Log = BTreeMap<(String, String), Vec<String>>;

#[test]
fn ten_thousand_records_of_eight_jobs_arrive_in_order_named_and_unmixed() {
    let log = Arc::new(Mutex::new(Log::new()));
    let seen = log.clone();
    glib::log_set_writer_func(move |_, fields| {
        let field = |name: &str| {
            fields
                .iter()
                .find(|field| field.key() == name)
                .and_then(|field| field.value_str())
                .unwrap_or_default()
                .to_owned()
        };
        let from = (field("GLIB_DOMAIN"), field("LEGWORK_TARGET"));
        seen.lock()
            .unwrap()
            .entry(from)
            .or_default()
            .push(field("MESSAGE"));
        LogWriterOutput::Handled
    });

    // The app logs too, from a thread of its own, until the jobs are done.
    let over = Arc::new(AtomicBool::new(false));
    let of_app = std::thread::spawn({
        let over = over.clone();
        move || {
            let mut number = 0;
            while !over.load(Relaxed) {
                log_as_app(&record(JOBS, number));
                number += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            number
        }
    });

    let streams = scene::within(Duration::from_secs(120), "the jobs have logged", || {
        run(async || {
            let worker = Worker::program(env!("CARGO_BIN_EXE_scene_worker"));
            let mut jobs: Vec<JobHandle<LogMuch>> = (0..JOBS)
                .map(|who| {
                    let job = LogMuch {
                        who,
                        records: RECORDS,
                    };
                    job.builder().worker(&worker).label(name(who)).spawn()
                })
                .collect();
            let logs: Vec<_> = jobs.iter_mut().map(JobHandle::logs).collect();
            for job in jobs {
                assert_eq!(job.await.unwrap(), RECORDS);
            }
            let mut streams = Vec::new();
            for mut log in logs {
                let mut records = Vec::new();
                while let Some(record) = log.recv().await {
                    records.push(record);
                }
                streams.push(records);
            }
            streams
        })
    });
    over.store(true, Relaxed);
    let of_app = of_app.join().unwrap();

    let log = log.lock().unwrap();
    let mut arrived = 0;
    for (who, stream) in (0..).zip(&streams) {
        let logged: Vec<_> = (0..RECORDS).map(|number| record(who, number)).collect();
        let printed: Vec<_> = (0..RECORDS).step_by(10).map(|n| record(who, n)).collect();
        // In the app's log, under the name of the job.
        let from = |target: &str| &log[&(name(who), target.to_owned())];
        assert_eq!(from("legwork_tests::scene_jobs"), &logged, "{}", name(who));
        assert_eq!(from("stdout"), &printed, "{}", name(who));
        // And in the job's own stream.
        assert_eq!(texts(stream, "legwork_tests::scene_jobs"), logged);
        assert_eq!(texts(stream, "stdout"), printed);
        assert!(
            stream
                .iter()
                .all(|record| record.dropped == 0 && record.level == Level::Info)
        );
        arrived += logged.len();
    }
    let own: Vec<_> = (0..of_app).map(|number| record(JOBS, number)).collect();
    assert_eq!(log[&("app".to_owned(), String::new())], own);
    assert_eq!(log.len(), 2 * JOBS as usize + 1, "{:?}", log.keys());
    println!(
        "S5 with Legwork: {arrived} records of {JOBS} jobs have arrived in order, with {of_app} of the app between them"
    );
}

fn name(who: u32) -> String {
    format!("job {who}")
}

fn texts(stream: &[LogRecord], target: &str) -> Vec<String> {
    let of_target = stream.iter().filter(|record| record.target == target);
    of_target.map(|record| record.text.clone()).collect()
}

fn log_as_app(text: &str) {
    glib::log_structured_array(
        glib::LogLevel::Info,
        &[
            glib::LogField::new(gstr!("GLIB_DOMAIN"), b"app"),
            glib::LogField::new(gstr!("MESSAGE"), text.as_bytes()),
        ],
    );
}
