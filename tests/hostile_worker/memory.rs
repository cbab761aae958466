//! Memory and descriptors that are not what they claim to be.

use super::*;

fn memory(length: u64, seals: i32) -> Memory {
    Memory {
        start: vec![],
        bytes: vec![0; 16],
        times: (length / 16) as usize,
        length,
        seals,
        huge: false,
    }
}

fn huge(length: u64) -> Thing {
    Thing::Memory(Memory {
        huge: true,
        ..memory(length, SEALED)
    })
}

/// A file of this length that costs its maker nothing.
fn hollow(length: u64) -> Thing {
    Thing::Memory(Memory {
        length,
        ..memory(0, SEALED)
    })
}

#[test]
fn a_long_frame_says_its_length_and_brings_its_memory() {
    let _alone = alone();
    let good = || vec![sealed(&[0; 16], 1)];
    for length in [0, 7, 9] {
        let mut packet = vec![kind::MESSAGE, SPILLED];
        packet.resize(packet.len() + length, 0);
        seen_at_any_time(Step::Send(packet, good()), "does not say its length");
    }
    let packet = [&[kind::MESSAGE, SPILLED][..], &16u64.to_le_bytes()].concat();
    seen_at_any_time(send(packet), "without its memory");
}

#[test]
fn the_memory_of_a_long_frame_is_what_it_is_said_to_be() {
    let _alone = alone();
    let long = |length, thing| spilled(kind::MESSAGE, length, thing);
    let good = || sealed(&[0; 16], 1);
    for length in [u64::MAX, (64 << 20) + 1, 15, 17] {
        seen_at_any_time(long(length, good()), "claims");
    }
    for seals in [
        0,
        libc::F_SEAL_SHRINK,
        libc::F_SEAL_WRITE,
        libc::F_SEAL_GROW | libc::F_SEAL_SEAL,
        libc::F_SEAL_SHRINK | libc::F_SEAL_FUTURE_WRITE,
    ] {
        seen_at_any_time(long(16, Thing::Memory(memory(16, seals))), "not sealed");
    }
    seen_at_any_time(long(16, Thing::Memory(memory(16, -1))), "not sealed");
    for thing in [Thing::Null, Thing::Pipe, Thing::File(vec![0; 16])] {
        seen_at_any_time(long(16, thing), "cannot be sealed");
    }
    // The app would pay for all of it.
    seen_at_any_time(long(64 << 20, hollow(64 << 20)), "holes");
    seen_somehow(&[ready(), long(2 << 20, huge(2 << 20))]);
}

#[test]
fn only_messages_and_the_output_may_be_long() {
    let _alone = alone();
    for kind in kind::ALL.filter(|kind| ![kind::MESSAGE, kind::DONE].contains(kind)) {
        seen_at_any_time(spilled(kind, 4 << 20, sealed(&[0; 4096], 1024)), "too long");
    }
}

#[test]
fn a_shared_page_that_could_be_taken_away_is_not_mapped() {
    let _alone = alone();
    const SHRINK: i32 = libc::F_SEAL_SHRINK;
    const GROW: i32 = libc::F_SEAL_GROW;
    let page = |length, seals| {
        Thing::Memory(Memory {
            length,
            ..memory(0, seals)
        })
    };
    for (thing, words) in [
        (page(4096, -1), "is not sealed"),
        (page(4096, 0), "is not sealed"),
        (page(4096, SHRINK), "is not sealed"),
        (page(4096, GROW | libc::F_SEAL_WRITE), "is not sealed"),
        (page(0, SHRINK | GROW), "has another size"),
        (page(4095, SHRINK | GROW), "has another size"),
        (page(1 << 40, SHRINK | GROW), "has another size"),
        (page(4096, SEALED), "cannot be mapped"),
        (Thing::Null, "is not memory"),
        (Thing::Pipe, "is not memory"),
        (Thing::File(vec![0; 4096]), "the shared page"),
    ] {
        seen(&[ready_with(thing), done()], words);
    }
    seen_somehow(&[ready_with(huge(2 << 20)), done()]);
    for count in [0, 2, 252] {
        let pages = vec![Thing::Page; count];
        let handshake = Step::Send(packet(kind::READY, &[]), pages);
        seen(&[handshake, done()], "instead of one");
    }
}

#[test]
fn descriptors_that_nobody_asked_for_are_closed() {
    let _alone = alone();
    let bring = [kind::READY, kind::MESSAGE, kind::DONE];
    for kind in kind::ALL.filter(|kind| !bring.contains(kind)) {
        let many = vec![Thing::Null; 253];
        seen_at_any_time(Step::Send(packet(kind, &[]), many), "descriptors");
    }
    let two = || vec![Thing::Null, Thing::Pipe];
    seen(&[ready(), Step::Send(message(), two())], "descriptors");
    seen(
        &[ready(), Step::Send(said(kind::DONE, &words()), two())],
        "descriptors",
    );
    let one = said(kind::MESSAGE, &(4u32, &[0u32][..]));
    seen(&[ready(), Step::Send(one, two())], "descriptors");
    let long = spilled(kind::MESSAGE, 4, sealed(&[0, 2, b'h', b'i'], 1));
    let Step::Send(bytes, mut things) = long else {
        unreachable!()
    };
    things.insert(0, Thing::Pipe);
    seen(&[ready(), Step::Send(bytes, things)], "descriptors");
}

#[test]
fn descriptors_that_are_missing_or_named_twice_are_seen() {
    let _alone = alone();
    let word = |indices: &[u32]| said(kind::MESSAGE, &(4u32, indices));
    let one = || vec![Thing::Null];
    seen(&[ready(), send(word(&[0]))], "names descriptor 0");
    seen(
        &[ready(), Step::Send(word(&[1]), one())],
        "names descriptor 1",
    );
    seen(
        &[ready(), Step::Send(word(&[u32::MAX]), one())],
        "names descriptor",
    );
    seen(&[ready(), Step::Send(word(&[0, 0]), one())], "twice");
}

#[test]
fn a_buffer_that_cannot_be_trusted_is_not_mapped() {
    let _alone = alone();
    for (length, thing) in [
        (4096, Thing::Memory(memory(4096, 0))),
        (4096, Thing::Memory(memory(4096, libc::F_SEAL_WRITE))),
        (4096, Thing::Memory(memory(4096, -1))),
        (4095, Thing::Memory(memory(4096, SEALED))),
        (u64::MAX, Thing::Memory(memory(4096, SEALED))),
        (1 << 40, hollow(1 << 40)),
        (2 << 20, huge(2 << 20)),
        (4096, Thing::File(vec![0; 4096])),
        (4096, Thing::Null),
        (4096, Thing::Pipe),
        (0, Thing::Memory(memory(4096, SEALED))),
    ] {
        let word = said(kind::MESSAGE, &(3u32, length, Some(0u32)));
        seen_somehow(&[ready(), Step::Send(word, vec![thing])]);
    }
}

#[test]
fn a_value_nested_without_end_does_not_use_up_the_stack() {
    let _alone = alone();
    let level = [2u8, 1];
    seen(
        &[ready(), send(packet(kind::MESSAGE, &level.repeat(30_000)))],
        "nested",
    );
    let deep = sealed(&level.repeat(2048), 4096);
    seen(&[ready(), spilled(kind::MESSAGE, 16 << 20, deep)], "nested");
}

/// Sends `packet` with a descriptor whose close takes a minute, answers perhaps, and stays: its end would cut the minute
/// short.
fn lingers(packet: Vec<u8>, answer: Option<Step>) -> JobHandle<Believe> {
    let lie = Step::Send(packet, vec![Thing::Lingering]);
    let mut steps = vec![ready(), lie];
    steps.extend(answer);
    steps.push(Step::Sleep(600_000));
    let job = hostile(&steps).spawn();
    // The worker has closed its own by then: the app's is the last.
    std::thread::sleep(Duration::from_millis(300));
    job
}

#[test]
fn a_descriptor_whose_close_takes_a_minute_does_not_stop_the_loop() {
    let _alone = alone();
    // A part of a list that cannot be read to its end.
    let broken = packet(kind::MESSAGE, &[1, 2, 4, 1, 0, 99]);
    for lie in [progress(), message(), vec![1], broken] {
        run(|| async {
            let (ticks, task) = Ticks::start();
            let error = lingers(lie, None).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
            glib::timeout_future(Duration::from_millis(50)).await;
            task.abort();
            ticks.assert_smooth();
        });
    }
}

#[test]
fn what_comes_for_nobody_does_not_stop_the_loop_either() {
    let _alone = alone();
    let word = || said(kind::MESSAGE, &(4u32, &[0u32][..]));
    run(|| async {
        let (ticks, task) = Ticks::start();
        // Nobody reads messages.
        assert!(lingers(word(), Some(done())).await.is_ok());
        // Nobody reads them any more.
        let mut job = lingers(word(), Some(done()));
        let messages = job.messages();
        glib::timeout_future(Duration::from_millis(200)).await;
        drop(messages);
        assert!(job.await.is_ok());
        glib::timeout_future(Duration::from_millis(50)).await;
        task.abort();
        ticks.assert_smooth();
    });
}

/// A list of empty texts: 60 MiB in a frame, and a gigabyte in memory.
fn many_texts() -> Step {
    let (start, zeros) = ([1, 0x80, 0x80, 0x80, 0x0e], [0; 30 << 10]);
    let memory = sealed_after(&start, &zeros, 2 << 10);
    spilled(kind::MESSAGE, (5 + (60 << 20)) as u64, memory)
}

#[test]
fn a_message_that_takes_much_more_memory_than_its_frame_is_refused() {
    let _alone = alone();
    let steps = [ready(), many_texts(), done()];
    let refused = |outcome: Result<Word, Error>| {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
        assert!(error.to_string().contains("MiB of memory"), "{error}");
    };
    refused(confront(&steps));
    refused(confront_as(hostile(&steps), |mut job| async move {
        assert!(job.message().await.is_none());
        job.await
    }));
    refused(confront_as(hostile(&steps), |mut job| async move {
        job.on_message(|_| panic!("it cannot be read"));
        job.await
    }));
    // Found on another thread, while the worker lives.
    let steps = [ready(), many_texts(), Step::Sleep(600_000)];
    refused(confront_as(hostile(&steps), |mut job| async move {
        let mut messages = job.messages();
        let reader = std::thread::spawn(move || {
            let one = glib::MainContext::new().block_on(messages.recv());
            assert!(one.is_none());
        });
        let outcome = job.await;
        reader.join().unwrap();
        outcome
    }));
}

#[test]
fn larger_messages_than_may_wait_are_a_fault() {
    let _alone = alone();
    let keep = |mut job: JobHandle<Believe>| async move {
        let messages = job.messages();
        let outcome = job.await;
        drop(messages);
        outcome
    };
    let outcome = confront_as(
        hostile(&[ready(), many_texts(), many_texts(), done()]),
        keep,
    );
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("larger messages"), "{error:?}");
    let hundred = || Step::Send(message(), vec![Thing::Null; 100]);
    let outcome = confront_as(
        hostile(&[ready(), hundred(), hundred(), hundred(), done()]),
        keep,
    );
    let error = outcome.unwrap_err();
    assert!(error.to_string().contains("larger messages"), "{error:?}");
}
