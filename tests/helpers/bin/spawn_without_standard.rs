//! Closes its 0, 1 and 2, so that the next files that it opens get these numbers, and passes them to a child in every
//! way.

use std::{
    collections::BTreeMap,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    path::PathBuf,
    sync::Arc,
};

use legwork::spawn::{Standard, Step};
use legwork_tests::{
    raw,
    report::{link, report},
};
use rustix::fs::{MemfdFlags, memfd_create};

/// For each of three sources the target, if any.
const MAPS: &[[Option<RawFd>; 3]] = &[
    [None, None, None],
    [Some(0), Some(1), Some(2)],
    [Some(1), Some(2), Some(0)],
    [Some(2), Some(1), Some(0)],
    [Some(1), Some(0), None],
    [Some(3), Some(4), Some(5)],
    [Some(2), Some(9), Some(1)],
    [None, Some(0), Some(7)],
    [Some(5), None, Some(0)],
];

fn main() {
    // The destination of failure messages; 0, 1 and 2 will not exist.
    let complaints = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 50).unwrap();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = rustix::io::write(&complaints, format!("{panic}\n").as_bytes());
    }));
    for closed in [&[0][..], &[1], &[2], &[0, 2], &[1, 2], &[0, 1, 2]] {
        for map in MAPS {
            hand_over(closed, map);
        }
    }
    inherit_what_is_closed();
    share_what_somebody_closed();
}

fn hand_over(closed: &[RawFd], map: &[Option<RawFd>; 3]) {
    for number in 0..=2 {
        raw::close(number);
    }
    // All of them are closed; those that are to stay open are opened first.
    let fillers = fill(|number| !closed.contains(&number));
    let sources: Vec<OwnedFd> = ["a", "b", "c"]
        .map(|name| memfd_create(name, MemfdFlags::CLOEXEC).unwrap())
        .into();
    assert!(
        sources[0].as_raw_fd() <= 2,
        "the first source lies on 0, 1 or 2"
    );

    let mut table: BTreeMap<RawFd, PathBuf> =
        (0..=2).map(|n| (n, PathBuf::from("/dev/null"))).collect();
    for (source, target) in sources.iter().zip(map) {
        table.extend(target.map(|target| (target, link(source))));
    }
    let found = report(|plan| {
        sources
            .into_iter()
            .zip(map)
            .fold(plan, |plan, (source, target)| match target {
                Some(target) => plan.fd(*target, source),
                None => plan,
            })
    })
    .unwrap();
    assert_eq!(found.descriptors, table, "closed {closed:?}, map {map:?}");
    for filler in fillers {
        drop(filler);
    }
}

/// Opens a file on each of 0, 1 and 2 that is to be open.
fn fill(open: impl Fn(RawFd) -> bool) -> Vec<OwnedFd> {
    let all: Vec<OwnedFd> = (0..=2)
        .map(|_| memfd_create("filler", MemfdFlags::CLOEXEC).unwrap())
        .collect();
    all.into_iter()
        .filter(|filler| open(filler.as_raw_fd()))
        .collect()
}

fn inherit_what_is_closed() {
    for number in 0..=2 {
        raw::close(number);
    }
    let error = report(|plan| plan.inherit(Standard::Output)).unwrap_err();
    assert_eq!(error.step(), Step::DescriptorMap);
    assert_eq!(error.errno(), Some(libc::EBADF));
    assert_eq!(
        error.to_string(),
        "descriptor 1 of the child is to be the app's 1, which is not open"
    );
}

/// Types rule out a closed source; code that closes numbers it does not own is not ruled out.
fn share_what_somebody_closed() {
    let source = Arc::new(memfd_create("gone", MemfdFlags::CLOEXEC).unwrap());
    let number = source.as_raw_fd();
    raw::close(number);
    // Never dropped, because there is nothing left to close.
    std::mem::forget(Arc::clone(&source));
    let error = report(|plan| plan.share(5, source)).unwrap_err();
    assert_eq!(error.step(), Step::DescriptorMap);
    assert_eq!(
        error.to_string(),
        format!("descriptor 5 of the child is to be the app's {number}, which is not open")
    );
}
