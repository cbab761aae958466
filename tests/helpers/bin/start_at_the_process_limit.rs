//! Starts a child as another user, who may have no more processes.

use legwork::spawn::{Plan, Program, Step};
use legwork_tests::raw;
use rustix::process::{Resource, Rlimit, getuid, setrlimit};

fn main() {
    // Root is exempt from this limit.
    if getuid().is_root() {
        raw::become_user(54_321);
    }
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Nproc, none).unwrap();
    let error = Plan::new(Program::name("true")).spawn().unwrap_err();
    assert_eq!(error.step(), Step::Process, "{error}");
    assert_eq!(error.errno(), Some(libc::EAGAIN));
    assert!(error.to_string().contains("limit of processes"), "{error}");
}
