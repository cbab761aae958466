//! Packets that are not valid.

use super::*;

#[test]
fn a_worker_that_speaks_by_hand_and_truly_is_believed() {
    let _alone = alone();
    let steps = [
        send(records(3, &["logged"])),
        ready(),
        send(progress()),
        send(panic_report()),
        send(packet(kind::CRASH, &[0; 18])),
        send(packet(kind::CRASH_FRAMES, b"0: main\n")),
        send(message()),
        spilled(kind::MESSAGE, 4, sealed(&[0, 2, b'h', b'i'], 1)),
        Step::Send(
            said(kind::MESSAGE, &(3u32, 4u64, Some(0u32))),
            vec![sealed(b"data", 1)],
        ),
        Step::Send(
            said(kind::MESSAGE, &(4u32, &[1u32, 0][..])),
            vec![Thing::Null, Thing::Pipe],
        ),
        done(),
    ];
    let outcome = confront_as(hostile(&steps), |mut job| async move {
        assert!(matches!(job.message().await, Some(Word::Text(text)) if text == "words"));
        assert!(matches!(job.message().await, Some(Word::Text(text)) if text == "hi"));
        assert!(matches!(job.message().await, Some(Word::Memory(data)) if &data[..] == b"data"));
        assert!(matches!(job.message().await, Some(Word::Descriptors(two)) if two.len() == 2));
        assert!(job.message().await.is_none());
        assert_eq!(job.status().text(), "text");
        job.await
    });
    assert!(matches!(outcome, Ok(Word::Text(text)) if text == "words"));
    let error = confront(&[ready(), failed()]).unwrap_err();
    assert_eq!(error.to_string(), "Believe: error");
    let error = confront(&[ready(), send(packet(kind::PANICKED, &[]))]).unwrap_err();
    assert!(error.is_panic());
    let error = confront(&[send(said(kind::REFUSED, &2u32))]).unwrap_err();
    assert!(
        error.to_string().contains("does not know this job"),
        "{error}"
    );
}

#[test]
fn unknown_kinds_and_the_apps_own_are_refused() {
    let _alone = alone();
    for kind in [0, 7, 64, 76, 128, 255].into_iter().chain(1..=6) {
        seen_at_any_time(send(packet(kind, b"x")), "kind");
    }
}

#[test]
fn unknown_flags_are_refused() {
    let _alone = alone();
    for flags in [4, 6, 0x80, 0xff] {
        seen_at_any_time(send(vec![kind::MESSAGE, flags, 1, 0, 0, 0]), "flags");
    }
}

#[test]
fn packets_of_a_wrong_length_are_refused() {
    let _alone = alone();
    let stay = || Step::Sleep(600_000);
    seen(&[send(vec![]), stay()], "empty");
    seen(&[ready(), send(vec![]), stay()], "empty");
    // Of one that is gone it cannot be told from the end, and changes nothing.
    let error = confront(&[ready(), send(vec![]), Step::Exit(3)]).unwrap_err();
    let kinds = [ErrorKind::Exit, ErrorKind::Protocol];
    assert!(kinds.contains(&error.kind()), "{error:?}");

    let bare = Step::Send(vec![], vec![Thing::Null]);
    seen(&[bare.clone(), stay()], "shorter than its header");
    seen(&[ready(), bare, stay()], "shorter than its header");
    seen_at_any_time(send(vec![kind::MESSAGE]), "shorter than its header");
    let half_a_number = vec![kind::MESSAGE, NUMBERED, 1, 0, 0];
    seen_at_any_time(send(half_a_number), "shorter than its header");
    for length in [65_539, 65_540, 100_000] {
        seen_at_any_time(Step::SendZeros(kind::MESSAGE, length), "too long");
    }
}

#[test]
fn garbage_is_no_payload_of_any_kind() {
    let _alone = alone();
    for garbage in [
        vec![],
        vec![0xff; 64],
        vec![0x80; 9],
        vec![7],
        vec![1, 0, 0, 0, 0, 0, 0, 9],
    ] {
        for kind in kind::ALL {
            let right = match kind {
                kind::READY | kind::PANICKED => garbage.is_empty(),
                // Any bytes are text.
                kind::CRASH_FRAMES => true,
                _ => false,
            };
            let lie = match ready() {
                Step::Send(_, page) if kind == kind::READY => {
                    Step::Send(packet(kind, &garbage), page)
                }
                _ => send(packet(kind, &garbage)),
            };
            match kind {
                _ if right => {}
                kind::READY | kind::REFUSED => seen_somehow(&[lie]),
                _ => seen_somehow(&[ready(), lie]),
            }
        }
    }
}

#[test]
fn packets_about_another_job_are_refused() {
    let _alone = alone();
    for kind in [
        kind::MESSAGE,
        kind::PROGRESS,
        kind::DONE,
        kind::FAILED,
        kind::PANICKED,
    ] {
        for job in [0, 2, u32::MAX] {
            let lie = send(packet_about(job, kind, &[]));
            seen(
                &[ready(), lie],
                &format!("about job {job}, which is not running"),
            );
        }
        let bare = send(vec![kind, 0]);
        seen(&[ready(), bare], "about job 0, which is not running");
    }
    let numbered = Step::Send(packet_about(1, kind::READY, &[]), vec![Thing::Page]);
    seen_somehow(&[numbered]);
}

#[test]
fn a_job_that_cannot_run_in_a_worker_that_can_serve_is_a_failed_start() {
    let _alone = alone();
    let refused = packet_about(1, kind::REFUSED, &[2]);
    let error = confront(&[ready(), send(refused)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Start);
    assert!(!error.has_run());
}

#[test]
fn bytes_behind_the_end_are_refused() {
    let _alone = alone();
    let longer = |mut packet: Vec<u8>| {
        packet.push(0);
        send(packet)
    };
    let page = vec![Thing::Page];
    let handshake = Step::Send(packet(kind::READY, &[0]), page);
    seen(&[handshake], "after its end");
    seen(&[longer(said(kind::REFUSED, &2u32))], "after its end");
    for packet in [
        packet(kind::PANICKED, &[]),
        progress(),
        records(3, &["text"]),
        panic_report(),
        said(kind::FAILED, &(vec!["e"], false)),
    ] {
        seen(&[ready(), longer(packet)], "after its end");
    }
    seen(
        &[ready(), longer(packet(kind::CRASH, &[0; 18]))],
        "cannot be read",
    );
    seen(&[ready(), longer(message())], "bytes follow the value");
    seen(
        &[ready(), longer(said(kind::DONE, &words()))],
        "bytes follow the value",
    );
}

#[test]
fn packets_that_are_nearly_good_end_in_an_outcome() {
    const ROUNDS: u64 = 25;
    const AT_ONCE: u64 = 16;
    let _alone = alone();
    let before = open_descriptors();
    let mut outcomes = std::collections::BTreeMap::<String, u32>::new();
    for round in 0..ROUNDS {
        run(|| async {
            let jobs: Vec<_> = (0..AT_ONCE)
                .map(|n| hostile(&[Step::Fuzz(round * AT_ONCE + n + 1, 40)]).spawn())
                .collect();
            for job in jobs {
                let outcome = glib::future_with_timeout(PATIENCE, job.into_future()).await;
                let name = match outcome.expect("the lie has an end") {
                    Ok(_) => "output".to_owned(),
                    Err(error) => format!("{:?}", error.kind()),
                };
                *outcomes.entry(name).or_default() += 1;
            }
        });
    }
    println!("{outcomes:?}");
    // Most are seen as what they are; some are true by chance.
    assert!(outcomes["Protocol"] > 200, "{outcomes:?}");
    until("what came is closed", || open_descriptors() <= before);
    assert_eq!(run(|| healthy(3).into_future()).unwrap(), 3);
}
