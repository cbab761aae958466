//! Lowers its limit of open files below what it has open, and passes descriptors at the limit and above it.

use std::{
    collections::BTreeMap,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    path::PathBuf,
    sync::Arc,
};

use legwork::spawn::{MAX_TARGET, SpawnError, Step};
use legwork_tests::report::{link, report};
use rustix::{
    event::{EventfdFlags, eventfd},
    fs::{MemfdFlags, memfd_create},
    io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

const LIMIT: RawFd = 32;

fn main() {
    let above = fcntl_dupfd_cloexec(memory("above"), 200).unwrap();
    // Open above the limit and not close-on-exec: glibc does not accept such a number as the start of closefrom.
    let bystander = fcntl_dupfd_cloexec(eventfd(0, EventfdFlags::empty()).unwrap(), 100).unwrap();
    fcntl_setfd(&bystander, FdFlags::empty()).unwrap();
    for limit in [MAX_TARGET + 1, MAX_TARGET + 2] {
        set_limit(limit);
        arrives(vec![(MAX_TARGET, memory("highest")), (3, memory("lowest"))]);
    }

    set_limit(LIMIT);
    arrives(vec![(LIMIT - 1, memory("edge"))]);
    arrives(vec![(LIMIT - 2, memory("second to last"))]);
    arrives(vec![(LIMIT - 1, memory("a")), (LIMIT - 2, memory("b"))]);
    swapped_at_the_edge();
    arrives(vec![(LIMIT - 1, above)]);
    refused(
        vec![(LIMIT, memory("beyond"))],
        "descriptor 32 of the child is not below 32, the soft limit of open files (RLIMIT_NOFILE)",
    );
    every_number_is_taken();
    drop(bystander);
}

fn set_limit(limit: RawFd) {
    let limit = Rlimit {
        current: Some(limit.cast_unsigned().into()),
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    setrlimit(Resource::Nofile, limit).unwrap();
}

fn memory(name: &str) -> OwnedFd {
    memfd_create(name, MemfdFlags::CLOEXEC).unwrap()
}

fn swapped_at_the_edge() {
    let last = fcntl_dupfd_cloexec(memory("last"), LIMIT - 1).unwrap();
    let other = memory("other");
    arrives(vec![(other.as_raw_fd(), last), (LIMIT - 1, other)]);
}

/// A map that leaves no free number to break a cycle, or to close the rest from, is refused.
fn every_number_is_taken() {
    let source = Arc::new(memory("everywhere"));
    let start = |numbers: std::ops::Range<RawFd>| {
        report(|plan| numbers.fold(plan, |plan, number| plan.share(number, Arc::clone(&source))))
    };
    // The child needs a few descriptors itself, to load its libraries.
    let found = start(8..LIMIT).unwrap().beyond_standard();
    let table: BTreeMap<_, _> = (8..LIMIT).map(|number| (number, link(&*source))).collect();
    assert_eq!(found, table);
    let sentence = expect_refusal(start(0..LIMIT));
    assert!(
        sentence.contains("must be free to close the descriptors above"),
        "{sentence}"
    );
}

fn arrives(map: Vec<(RawFd, OwnedFd)>) {
    let mut table: BTreeMap<_, _> = (0..=2).map(|n| (n, PathBuf::from("/dev/null"))).collect();
    table.extend(map.iter().map(|(target, source)| (*target, link(source))));
    assert_eq!(start(map).unwrap().descriptors, table);
}

fn refused(map: Vec<(RawFd, OwnedFd)>, sentence: &str) {
    assert_eq!(expect_refusal(start(map)), sentence);
}

fn start(map: Vec<(RawFd, OwnedFd)>) -> Result<legwork_tests::report::Report, SpawnError> {
    report(|plan| {
        map.into_iter()
            .fold(plan, |plan, (target, source)| plan.fd(target, source))
    })
}

fn expect_refusal(result: Result<legwork_tests::report::Report, SpawnError>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.step(), Step::DescriptorMap, "{error}");
    error.to_string()
}
