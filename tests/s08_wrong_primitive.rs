//! S8: an event that was created for one way of starting a child is used in a child that was started in another way,
//! and the child dies without any output.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use legwork::prelude::*;
use legwork::{Buffer, ErrorKind, Worker};
use legwork_tests::context::run;
use legwork_tests::raw::make_event;
use legwork_tests::scene;
use legwork_tests::scene_jobs::{Handed, UseAddress, UseHandles};
use rustix::event::{EventfdFlags, eventfd};
use rustix::pipe::{PipeFlags, pipe_with};

#[test]
fn control_an_event_for_forked_children_ends_another_child_without_a_word() {
    let figures = scene::control("control_s08_wrong_primitive");
    let (signal, words): (i32, usize) = (figures.get("signal"), figures.get("words"));
    println!(
        "S8 control: the child was ended by signal {signal}, and has said {words} bytes about it"
    );
    assert!(figures.get::<bool>("works_in_a_copy"));
    assert_eq!(signal, 11, "the control no longer fails");
    assert_eq!(
        words, 0,
        "the control no longer fails: the child has said why"
    );
}

/// The lean program, and one that links GLib and has an app in it.
fn workers() -> [Worker; 2] {
    [
        env!("CARGO_BIN_EXE_scene_worker"),
        env!("CARGO_BIN_EXE_scene_app"),
    ]
    .map(Worker::program)
}

#[test]
fn handles_cross_by_their_type_and_work_in_any_child() {
    run(async || {
        for worker in workers() {
            let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
            let (read, write) = pipe_with(PipeFlags::CLOEXEC).unwrap();
            let mut job = UseHandles {
                event: event.try_clone().unwrap().into(),
                pipe: read.into(),
                data: Buffer::copy_from_slice(b"from the buffer, ").unwrap(),
            }
            .builder()
            .worker(&worker)
            .spawn();

            rustix::io::write(&event, &7u64.to_ne_bytes()).unwrap();
            let Some(Handed::Event(count)) = job.message().await else {
                panic!("the event has not come");
            };
            assert_eq!(count, 7);

            File::from(write).write_all(b"from the pipe").unwrap();
            let Some(Handed::Data(data, answer)) = job.message().await else {
                panic!("the data has not come");
            };
            assert_eq!(&data[..], b"from the buffer, from the pipe");

            File::from(OwnedFd::from(answer))
                .write_all(b"go on")
                .unwrap();
            job.cancel();
            let error = job.await.unwrap_err();
            assert!(error.is_cancelled(), "{error:?}");
            assert_eq!(error.signal(), None, "it has seen the flag by itself");
        }
        println!(
            "S8 with Legwork: an eventfd, two pipes, two buffers and a cancel flag work in 2 of 2 programs"
        );
    });
}

#[test]
fn a_job_that_crashes_says_by_which_signal_and_where() {
    run(async || {
        for worker in workers() {
            let address = make_event();
            let job = UseAddress { address }.builder().worker(&worker).spawn();
            let error = job.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Signal, "{error:?}");
            assert_eq!(error.signal().unwrap().name(), "SIGSEGV");
            let backtrace = error.backtrace().unwrap_or_default();
            let place = backtrace.lines().find(|line| line.contains("set_event_at"));
            println!(
                "S8 with Legwork: {error} in {}",
                place.unwrap_or_default().trim()
            );
            assert!(
                place.is_some() && backtrace.contains("raw.rs"),
                "{backtrace}"
            );
        }
    });
}
