//! A child has 0, 1, 2 and the descriptors of its map, and no others.
//!
//! The child is the helper program `report`, which writes down its own table. Every descriptor that is passed is memory
//! with a name of its own, so that the table shows which is which.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, AsRawFd, OwnedFd, RawFd},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use legwork::spawn::{MAX_TARGET, Plan, Standard, Step};
use legwork_tests::{
    program, raw,
    report::{Report, link, report, report_by_std, report_plan},
    sacrifice,
};
use rustix::{
    event::{EventfdFlags, eventfd},
    fs::{MemfdFlags, memfd_create},
    io::fcntl_dupfd_cloexec,
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    pipe::{PipeFlags, pipe_with},
};

type Table = BTreeMap<RawFd, PathBuf>;

fn memory(name: &str) -> OwnedFd {
    memfd_create(name, MemfdFlags::CLOEXEC).unwrap()
}

/// Named memory under some number from `least` on. Other tests of this program run beside this one, so no test
/// says which number it wants, only where.
fn memory_from(name: &str, least: RawFd) -> OwnedFd {
    fcntl_dupfd_cloexec(memory(name), least).unwrap()
}

/// 0, 1 and 2 as `/dev/null`, and the given ones.
fn expected(map: impl IntoIterator<Item = (RawFd, PathBuf)>) -> Table {
    let mut table: Table = (0..=2).map(|n| (n, PathBuf::from("/dev/null"))).collect();
    table.extend(map);
    table
}

/// Starts a child with a map of named memory, and requires that it finds just that.
fn assert_arrives(map: Vec<(RawFd, OwnedFd)>) {
    let table = expected(map.iter().map(|(target, source)| (*target, link(source))));
    let numbers: Vec<_> = map
        .iter()
        .map(|(to, from)| (*to, from.as_raw_fd()))
        .collect();
    let report = report(|plan| {
        map.into_iter()
            .fold(plan, |plan, (target, source)| plan.fd(target, source))
    });
    let report = report.unwrap_or_else(|error| panic!("{error}: {numbers:?}"));
    assert_eq!(report.descriptors, table, "target and source: {numbers:?}");
}

fn refusal(complete: impl FnOnce(Plan) -> Plan) -> String {
    let error = report(complete).unwrap_err();
    assert_eq!(error.step(), Step::DescriptorMap);
    error.to_string()
}

#[test]
fn a_child_without_a_map_has_dev_null_three_times() {
    let report = report(|plan| plan).unwrap();
    assert_eq!(report.descriptors, expected([]));
}

#[test]
fn no_descriptor_of_the_map_is_closed_by_the_next_exec() {
    let report = report(|plan| plan.fd(4, memory("kept"))).unwrap();
    for (number, flags) in report.descriptor_flags {
        let flags = i32::from_str_radix(&flags, 8).unwrap();
        assert_eq!(flags & libc::O_CLOEXEC, 0, "descriptor {number}");
    }
}

#[test]
fn a_source_on_its_own_target_stays_open() {
    let source = memory_from("same", 300);
    assert_arrives(vec![(source.as_raw_fd(), source)]);
}

/// Each source's target is the number of the source `step` places further on.
fn rotated(sources: Vec<OwnedFd>, step: usize) -> Vec<(RawFd, OwnedFd)> {
    let mut targets: Vec<_> = sources.iter().map(AsRawFd::as_raw_fd).collect();
    targets.rotate_left(step);
    targets.into_iter().zip(sources).collect()
}

fn named(names: &[&str]) -> Vec<OwnedFd> {
    names.iter().map(|name| memory_from(name, 300)).collect()
}

#[test]
fn sources_on_each_others_targets_are_swapped() {
    assert_arrives(rotated(named(&["a", "b"]), 1));
}

#[test]
fn rings_of_sources_and_targets_are_turned() {
    assert_arrives(rotated(named(&["a", "b", "c", "d", "e"]), 2));
    // Three rings of two at once, and one source at home.
    let mut map = rotated(named(&["a", "b", "c", "d", "e", "f"]), 3);
    let home = memory_from("home", 300);
    map.push((home.as_raw_fd(), home));
    assert_arrives(map);
}

#[test]
fn a_chain_of_sources_on_targets_moves_along() {
    let mut map = rotated(named(&["a", "b", "c", "d"]), 1);
    // Opens the ring: the last one goes to a number that nobody has.
    map[3].0 = 290;
    assert_arrives(map);
}

#[test]
fn one_source_goes_to_many_numbers_and_stays_open_in_the_app() {
    let shared = Arc::new(memory_from("shared", 300));
    let own = shared.as_raw_fd();
    let table = expected([2, 5, own, own + 1].map(|target| (target, link(&*shared))));
    let report = report(|plan| {
        [own + 1, 2, own, 5]
            .into_iter()
            .fold(plan, |plan, target| plan.share(target, Arc::clone(&shared)))
    });
    assert_eq!(report.unwrap().descriptors, table);
    assert!(rustix::io::fcntl_getfd(&*shared).is_ok());
}

#[test]
fn a_source_that_others_read_too_is_not_overwritten_early() {
    // A ring of two, and both are wanted elsewhere as well.
    let (a, b) = (
        Arc::new(memory_from("a", 300)),
        Arc::new(memory_from("b", 300)),
    );
    let map = [
        (a.as_raw_fd(), &b),
        (b.as_raw_fd(), &a),
        (0, &a),
        (280, &b),
        (281, &a),
    ];
    let table = expected(map.map(|(target, source)| (target, link(&**source))));
    let report = report(|plan| {
        map.into_iter().fold(plan, |plan, (target, source)| {
            plan.share(target, Arc::clone(source))
        })
    });
    assert_eq!(report.unwrap().descriptors, table);
}

#[test]
fn gaps_between_sparse_targets_are_closed_whatever_the_app_has_there() {
    // These stay open in the app, on both sides of the targets and without close-on-exec.
    let _bystanders: Vec<_> = (0..40).map(|_| eventfd(0, EventfdFlags::empty())).collect();
    assert_arrives(vec![
        (3, memory("three")),
        (90, memory("ninety")),
        (700, memory("seven hundred")),
    ]);
}

#[test]
fn standard_descriptors_can_be_given_and_inherited() {
    let error = link(rustix::stdio::stderr());
    let (input, output) = (memory("input"), memory("output"));
    let table = BTreeMap::from([(0, link(&input)), (1, link(&output)), (2, error)]);
    let report = report(|plan| plan.stdin(input).stdout(output).inherit(Standard::Error));
    assert_eq!(report.unwrap().descriptors, table);
}

#[test]
fn a_number_below_zero_is_refused_by_name() {
    let sentence = refusal(|plan| plan.fd(-1, memory("a")));
    assert_eq!(sentence, "descriptor -1 of the child is negative");
}

#[test]
fn a_number_above_the_bound_is_refused_by_name() {
    let sentence = refusal(|plan| plan.fd(MAX_TARGET + 1, memory("a")));
    assert!(
        sentence.starts_with("descriptor 1024 of the child is above 1023"),
        "{sentence}"
    );
    let sentence = refusal(|plan| plan.fd(RawFd::MAX, memory("a")));
    assert!(
        sentence.starts_with("descriptor 2147483647 of the child"),
        "{sentence}"
    );
}

#[test]
fn a_number_given_twice_is_refused_by_name() {
    let sentence = refusal(|plan| {
        plan.fd(7, memory("a"))
            .fd(8, memory("b"))
            .fd(7, memory("c"))
    });
    assert_eq!(sentence, "descriptor 7 of the child is given twice");
    let sentence = refusal(|plan| plan.stdin(memory("a")).inherit(Standard::Input));
    assert_eq!(sentence, "descriptor 0 of the child is given twice");
}

#[test]
fn the_apps_own_copy_of_what_it_hands_over_is_closed() {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    report(|plan| plan.fd(5, theirs)).unwrap();
    // End of file: neither the child nor the app holds the writing end.
    assert_eq!(rustix::io::read(&ours, &mut [0; 1]), Ok(0));

    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    report(|plan| plan.fd(5, theirs).arg("a\0b")).unwrap_err();
    assert_eq!(rustix::io::read(&ours, &mut [0; 1]), Ok(0));
}

#[test]
fn an_app_that_has_closed_0_1_and_2_can_hand_over_what_came_to_lie_there() {
    sacrifice("spawn_without_standard");
}

#[test]
fn an_app_without_a_spare_descriptor_can_hand_over_swapped_ones() {
    sacrifice("spawn_without_spare");
}

#[test]
fn the_last_number_below_the_soft_limit_works_and_the_next_is_refused() {
    sacrifice("spawn_at_the_limit");
}

/// Opens and closes what libraries open without close-on-exec, until told to stop.
fn careless(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let counter = eventfd(0, EventfdFlags::empty()).unwrap();
        let kind = (
            AddressFamily::UNIX,
            SocketType::STREAM,
            SocketFlags::empty(),
        );
        let sockets = socketpair(kind.0, kind.1, kind.2, None).unwrap();
        let pipe = pipe_with(PipeFlags::empty()).unwrap();
        let memory = memfd_create("careless", MemfdFlags::empty()).unwrap();
        thread::yield_now();
        drop((counter, sockets, pipe, memory));
    }
}

#[test]
fn sixteen_threads_spawn_while_others_open_descriptors_without_close_on_exec() {
    let stop = AtomicBool::new(false);
    let leaked_by_std = thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| careless(&stop));
        }
        let spawners: Vec<_> = (0..16)
            .map(|thread| {
                scope.spawn(move || {
                    for round in 0..25 {
                        let name = format!("{thread} {round}");
                        assert_arrives(vec![
                            (3 + round, memory(&name)),
                            (1, memory("output")),
                            (400, memory_from("high", 500)),
                        ]);
                    }
                })
            })
            .collect();
        let control = scope.spawn(|| {
            (0..100)
                .map(|_| report_by_std(|command| command).beyond_standard().len())
                .max()
        });
        let outcomes: Vec<_> = spawners.into_iter().map(|spawner| spawner.join()).collect();
        let leaked = control.join();
        stop.store(true, Ordering::Relaxed);
        outcomes.into_iter().for_each(|outcome| outcome.unwrap());
        leaked.unwrap()
    });
    assert!(
        leaked_by_std > Some(0),
        "the control leaks nothing: this test sees nothing"
    );
}

#[test]
fn control_a_spawn_that_closes_nothing_leaks_and_the_report_shows_it() {
    let careless = eventfd(0, EventfdFlags::empty()).unwrap();
    let (_, file) = report_plan();
    let child = raw::naive_posix_spawn(&program("report"), &file, raw::Defaults::None);
    let child = rustix::process::Pid::from_raw(child);
    rustix::process::waitpid(child, rustix::process::WaitOptions::empty()).unwrap();
    let found = Report::read(&file).unwrap().descriptors;
    assert_eq!(
        found.get(&careless.as_fd().as_raw_fd()),
        Some(&link(&careless))
    );
}
