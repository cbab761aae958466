//! Opens as many descriptors as it may, leaves space for just a pidfd, and starts children; then without even that.

use std::{
    collections::BTreeMap,
    os::fd::{AsRawFd, OwnedFd},
    path::PathBuf,
};

use legwork::{
    process::Process,
    spawn::{Group, Plan, SpawnError, Step},
};
use legwork_tests::report::{Report, link, report_plan};
use rustix::{
    fs::{MemfdFlags, memfd_create},
    process::{Resource, Rlimit, WaitOptions, getrlimit, setrlimit, wait},
};

fn main() {
    let hard = getrlimit(Resource::Nofile).maximum;
    let low = Rlimit {
        current: Some(64),
        maximum: hard,
    };
    setrlimit(Resource::Nofile, low).unwrap();

    swapped_with_room_for_the_pidfd_only();
    working_directory_with_room_for_the_pidfd_only();
    no_room_at_all();
}

/// Files are created beforehand, because creating one needs a descriptor.
struct Prepared {
    plan: Plan,
    file: tempfile::TempPath,
    sources: Vec<OwnedFd>,
    ballast: Vec<OwnedFd>,
}

fn prepare(room: usize) -> Prepared {
    let (plan, file) = report_plan();
    let sources = ["a", "b", "c"]
        .map(|name| memfd_create(name, MemfdFlags::CLOEXEC).unwrap())
        .into();
    let mut ballast = Vec::new();
    while let Ok(more) = memfd_create("ballast", MemfdFlags::empty()) {
        ballast.push(more);
    }
    ballast.truncate(ballast.len() - room);
    Prepared {
        plan,
        file,
        sources,
        ballast,
    }
}

fn finish(started: Result<Process, SpawnError>, ballast: Vec<OwnedFd>) {
    let mut child = started.unwrap();
    assert!(child.wait().unwrap().success());
    drop(ballast);
}

fn swapped_with_room_for_the_pidfd_only() {
    let Prepared {
        plan,
        file,
        sources,
        ballast,
    } = prepare(1);
    let mut targets: Vec<_> = sources.iter().map(AsRawFd::as_raw_fd).collect();
    targets.rotate_left(1);
    let mut table: BTreeMap<_, _> = (0..=2).map(|n| (n, PathBuf::from("/dev/null"))).collect();
    for (target, source) in targets.iter().zip(&sources) {
        table.insert(*target, link(source));
    }
    let plan = targets
        .into_iter()
        .zip(sources)
        .fold(plan, |plan, (target, source)| plan.fd(target, source));
    finish(plan.spawn(), ballast);
    assert_eq!(Report::read(&file).unwrap().descriptors, table);
}

fn working_directory_with_room_for_the_pidfd_only() {
    let prepared = prepare(1);
    // Opening it would need one more descriptor than the pidfd's.
    let plan = prepared
        .plan
        .current_dir("/proc/self")
        .group(Group::Session);
    finish(plan.spawn(), prepared.ballast);
    let report = Report::read(&prepared.file).unwrap();
    assert_eq!(
        report.directory,
        PathBuf::from(format!("/proc/{}", report.pid))
    );
}

fn no_room_at_all() {
    let prepared = prepare(0);
    let error = prepared.plan.spawn().unwrap_err();
    assert_eq!(error.step(), Step::Pidfd, "{error}");
    assert_eq!(error.errno(), Some(libc::EMFILE));
    assert!(error.to_string().contains("no descriptor left"), "{error}");
    drop(prepared.ballast);
    assert!(
        Report::read(&prepared.file).is_err(),
        "no child has run, not even for a moment"
    );
    assert_eq!(
        wait(WaitOptions::NOHANG).unwrap_err(),
        rustix::io::Errno::CHILD,
        "no zombie is left"
    );
}
