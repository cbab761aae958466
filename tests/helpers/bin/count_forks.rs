//! Starts twenty children in as many ways and counts its forks; then forks, to check that it counts.

use std::{os::fd::OwnedFd, path::Path};

use legwork::spawn::{Group, Plan, Program, Standard};
use legwork_tests::raw;
use rustix::fs::{MemfdFlags, memfd_create};

fn main() {
    raw::atfork::watch();
    for group in [Group::Inherit, Group::Lead, Group::Session] {
        for program in [Program::name("true"), Program::path("/bin/true")] {
            run(Plan::new(program).group(group));
        }
    }
    for directory in ["/", "/tmp", "."] {
        run(Plan::new(Path::new("/bin/true")).current_dir(directory));
    }
    for target in [0, 1, 2, 3, 500] {
        run(Plan::new(Path::new("/bin/true")).fd(target, memory()));
    }
    for which in [Standard::Input, Standard::Output, Standard::Error] {
        run(Plan::new(Path::new("/bin/true")).inherit(which).env_clear());
    }
    run(Plan::new(Path::new("/bin/true")).env("A", "b"));
    // One that is dropped while it runs, and one that does not start.
    drop(
        Plan::new(Program::name("sleep"))
            .arg("1000")
            .spawn()
            .unwrap(),
    );
    Plan::new(Program::path("/proc/self/status"))
        .spawn()
        .unwrap_err();
    Plan::new(Program::Descriptor(garbage()))
        .spawn()
        .unwrap_err();
    assert_eq!(raw::atfork::called(), 0);

    if std::env::args().len() == 1 {
        assert_eq!(raw::in_a_forked_copy(|| 0), 0);
        assert_eq!(raw::atfork::called(), 1, "the count counts nothing");
    }
}

fn run(plan: Plan) {
    assert!(plan.spawn().unwrap().wait().unwrap().success());
}

fn memory() -> OwnedFd {
    memfd_create("handed over", MemfdFlags::CLOEXEC).unwrap()
}

/// Executable, but in no known format: the start fails in the new process.
fn garbage() -> OwnedFd {
    let memory = memory();
    rustix::io::write(&memory, b"garbage").unwrap();
    memory
}
