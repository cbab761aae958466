//! Starts many children while a second thread watches everything that must not change.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

use legwork::spawn::{Group, Plan, Program};
use legwork_tests::{program, raw, report::Report};
use rustix::{
    fs::OFlags,
    io::FdFlags,
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
};

fn main() {
    raw::dispose(libc::SIGUSR1, raw::Disposition::Ignore);
    let handed: Vec<Arc<OwnedFd>> = non_blocking_sockets();
    // The C library handles a signal of its own from the first thread on.
    thread::spawn(|| ()).join().unwrap();
    let before = Report::of_self().unwrap();
    let baseline = before.descriptors.keys().copied().collect::<Vec<_>>();

    let stop = AtomicBool::new(false);
    let looks = AtomicU32::new(0);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                watch(&handed, &before, &baseline);
                looks.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut spawned = 0;
        while (spawned < 100 || looks.load(Ordering::Relaxed) < 100) && !watcher.is_finished() {
            start(&handed);
            spawned += 1;
        }
        stop.store(true, Ordering::Relaxed);
        watcher.join().unwrap();
    });

    assert_eq!(Report::of_self().unwrap(), before);
}

fn non_blocking_sockets() -> Vec<Arc<OwnedFd>> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (a, b) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
    [a, b].map(Arc::new).into()
}

fn start(handed: &[Arc<OwnedFd>]) {
    // Swapped descriptors, and every other option of a plan.
    let numbers = [handed[1].as_raw_fd(), handed[0].as_raw_fd()];
    let mut child = Plan::new(Program::path(program("report")))
        .arg("/dev/null")
        .share(numbers[0], Arc::clone(&handed[0]))
        .share(numbers[1], Arc::clone(&handed[1]))
        .current_dir("/")
        .env("A", "b")
        .group(Group::Session)
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
}

fn watch(handed: &[Arc<OwnedFd>], before: &Report, baseline: &[RawFd]) {
    for fd in handed {
        assert_eq!(rustix::io::fcntl_getfd(fd).unwrap(), FdFlags::CLOEXEC);
        let flags = rustix::fs::fcntl_getfl(fd).unwrap();
        assert!(flags.contains(OFlags::NONBLOCK));
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let lines: BTreeMap<&str, &str> = status.lines().filter_map(|l| l.split_once(":\t")).collect();
    assert_eq!(u64::from_str_radix(lines["SigIgn"], 16), Ok(before.ignored));
    assert_eq!(u64::from_str_radix(lines["SigCgt"], 16), Ok(before.caught));
    assert_eq!(std::env::current_dir().unwrap(), before.directory);
    assert_eq!(
        fs::read_to_string("/proc/self/limits").unwrap(),
        before.limits
    );
    // What the library opens is close-on-exec from the start.
    for descriptor in legwork_inspect::list(std::process::id()).unwrap() {
        let new = !baseline.contains(&descriptor.number);
        assert!(!new || descriptor.close_on_exec, "{descriptor:?}");
    }
}
