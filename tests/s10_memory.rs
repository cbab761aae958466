//! S10: a forked child writes to the pages that it shares with its parent, so they are copied, until it has as much
//! memory of its own.

use std::sync::Mutex;

use legwork::prelude::*;
use legwork::{BufferMut, Worker};
use legwork_tests::context::run;
use legwork_tests::scene::{self, MIB, Memory, gibibyte};
use legwork_tests::scene_jobs::{Sum, sum};

/// Both take a GiB and more: one after the other.
static ROOM: Mutex<()> = Mutex::new(());

#[test]
fn control_the_private_memory_of_a_forked_child_grows_to_that_of_its_parent() {
    let _alone = ROOM.lock();
    let figures = scene::control("control_s10_memory");
    let (before, after): (u64, u64) = (figures.get("private_before"), figures.get("private_after"));
    let parents: u64 = figures.get("parents_own");
    println!(
        "S10 control: the private memory of the forked child of a parent with {} MiB grows from {} to {} MiB",
        parents / MIB,
        before / MIB,
        after / MIB
    );
    assert!(
        after > 1000 * MIB,
        "the control no longer fails: the child has {after} bytes of its own"
    );
}

#[test]
fn a_worker_is_small_however_large_the_app_and_a_buffer_is_mapped_on_both_sides() {
    const LENGTH: usize = 400_000_000;
    let _alone = ROOM.lock();
    let held = gibibyte();
    let app = std::process::id();
    let before = Memory::of(app);
    assert!(
        before.anonymous > 1000 * MIB,
        "the app is small: {before:?}"
    );

    run(async || {
        let mut buffer = BufferMut::new(LENGTH).unwrap();
        buffer.fill(1);
        let buffer = buffer.seal().unwrap();
        let mut job = Sum {
            data: buffer.clone(),
        }
        .builder()
        .worker(&Worker::program(env!("CARGO_BIN_EXE_scene_worker")))
        .spawn();
        // Both have read every byte of it, and hold it.
        let bytes = sum(&buffer);
        assert_eq!(job.message().await, Some(bytes));
        let child = job.pid().unwrap();
        let (own, its) = (Memory::of(app), Memory::of(child));
        let (ours, theirs) = (mapped(app, LENGTH), mapped(child, LENGTH));
        println!(
            "S10 with Legwork: the worker of an app with {} MiB has {:.1} MiB of its own; the 400 MB are mapped in \
             both from one file, and the app has taken {:.1} MiB besides",
            before.anonymous / MIB,
            its.private as f64 / MIB as f64,
            own.anonymous.saturating_sub(before.anonymous) as f64 / MIB as f64,
        );
        assert_eq!(ours, theirs, "not the same file");
        assert!(its.private < 5 * MIB, "{its:?}");
        assert!(its.anonymous < 5 * MIB, "{its:?}");
        assert!(its.resident > LENGTH as u64, "it has not read it: {its:?}");
        assert!(own.anonymous < before.anonymous + 5 * MIB, "{own:?}");
        job.await.unwrap();
    });
    drop(held);
}

/// Device and inode of the files that a process has mapped at this length; exactly one.
fn mapped(pid: u32, length: usize) -> String {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let length = length.next_multiple_of(rustix::param::page_size());
    let mut files = maps.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).unwrap();
        let mut file = fields.skip(2);
        (number(end) - number(start) == length)
            .then(|| format!("{} {}", file.next().unwrap(), file.next().unwrap()))
    });
    let file = files.next().expect("it is mapped");
    assert_eq!(files.next(), None, "it is mapped more than once");
    file
}
