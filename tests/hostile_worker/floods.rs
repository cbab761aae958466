//! Too much of everything.

use super::*;

#[test]
fn more_messages_than_its_capacity_are_a_fault_unless_somebody_takes_them() {
    let _alone = alone();
    let steps = |count| [ready(), Step::Flood(count, message()), done()];
    let unread = confront_as(hostile(&steps(65)), |mut job| async move {
        let messages = job.messages();
        let outcome = job.await;
        drop(messages);
        outcome
    });
    let error = unread.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    assert!(error.to_string().contains("capacity allows"), "{error}");

    let seen = Rc::new(Cell::new(0));
    let count = seen.clone();
    let read = confront_as(hostile(&steps(10_000)), |mut job| async move {
        job.on_message(move |_| count.set(count.get() + 1));
        job.await
    });
    assert!(read.is_ok(), "{read:?}");
    assert_eq!(seen.get(), 10_000);
}

#[test]
fn more_messages_than_its_capacity_are_a_fault_in_a_nested_main_loop_too() {
    let _alone = alone();
    let steps = [ready(), Step::Flood(100_000, message()), done()];
    let outcome = confront_as(hostile(&steps), |mut job| async move {
        job.on_message(move |_| {
            // A modal dialog, say.
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(300) {
                glib::MainContext::ref_thread_default().iteration(true);
            }
        });
        job.await
    });
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("capacity allows"), "{error:?}");
}

#[test]
fn nonsense_in_the_shared_page_changes_nothing() {
    let _alone = alone();
    let steps = [
        ready(),
        Step::Scribble(1000),
        Step::Flood(1000, message()),
        Step::Scribble(1000),
        done(),
    ];
    let seen = Rc::new(Cell::new(0));
    let count = seen.clone();
    let outcome = confront_as(hostile(&steps), |mut job| async move {
        job.on_message(move |_| count.set(count.get() + 1));
        job.await
    });
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(seen.get(), 1000);
}

/// So many that there is no end of it: it is stopped by its deadline.
const ENDLESS: u32 = 1_000_000_000;

fn flood(lie: Step) {
    let job = hostile(&[ready(), lie.clone()])
        .deadline(Duration::from_millis(400))
        .grace(Duration::from_millis(50));
    let outcome = confront_as(job, |mut job| async move {
        // Somebody who asked for the records and does not read them.
        let logs = job.logs();
        let outcome = job.await;
        drop(logs);
        outcome
    });
    let kind = outcome.as_ref().err().map(Error::kind);
    assert_eq!(kind, Some(ErrorKind::Timeout), "{lie:?}: {outcome:?}");
}

#[test]
fn a_flood_of_frames_does_not_stop_the_loop() {
    let _alone = alone();
    let batch = |dropped: u64, records: u32| {
        let counts = (0u64, [0u64; 2]);
        let record = (3u8, "target", "text", None::<&str>, None::<u32>, counts);
        said(kind::LOG, &(dropped, vec![record; records as usize]))
    };
    let long = "m".repeat(20_000);
    for packet in [
        batch(0, 100),
        batch(u64::MAX, 2),
        batch(u64::MAX, 0),
        records(0, &[""; 60]),
        records(2, &[&"\u{1}".repeat(8000)]),
        records(1, &[&"x".repeat(60_000)]),
        said(kind::PROGRESS, &(1u64, 2u64, Some("t".repeat(1000)))),
        said(kind::PROGRESS, &(u64::MAX, 1u64, Some("\0".repeat(60_000)))),
        message(),
        said(kind::PANIC, &(&long, None::<&str>, None::<&str>, &long)),
        packet(kind::CRASH, &[0; 18]),
        packet(kind::CRASH_FRAMES, &[b'x'; 60_000]),
    ] {
        flood(Step::Flood(ENDLESS, packet));
    }
}

#[test]
fn a_batch_of_more_records_than_agreed_is_refused() {
    let _alone = alone();
    seen(&[ready(), send(records(3, &[""; 129]))], "records");
    let most = confront(&[ready(), send(records(3, &[""; 128])), done()]);
    assert!(most.is_ok(), "{most:?}");
}

#[test]
fn a_flood_of_prints_does_not_stop_the_loop() {
    let _alone = alone();
    for line in [
        &b"\n"[..],
        b"a\n",
        b"\0\n",
        b"no end",
        b"\xff\xfe",
        &[b'x'; 9000],
    ] {
        flood(Step::Print(ENDLESS, line.to_vec()));
    }
}

#[test]
fn a_flood_that_outlives_the_worker_does_not_delay_its_end() {
    let _alone = alone();
    for packet in [records(3, &["text"; 100]), message()] {
        let steps = [
            ready(),
            Step::FloodFromChild(packet),
            Step::Sleep(100),
            Step::Exit(3),
        ];
        let error = confront(&steps).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exit, "{error:?}");
    }
}

#[test]
fn a_pipe_full_of_lines_at_the_end_does_not_stop_the_loop() {
    let _alone = alone();
    for line in [&b"\n"[..], b"x\n"] {
        let outcome = confront(&[ready(), Step::Print(30_000, line.to_vec()), done()]);
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}
