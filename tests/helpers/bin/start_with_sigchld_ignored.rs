//! Ignores SIGCHLD before and after it starts a child.

use legwork::{
    process::Signal,
    spawn::{Plan, Program, SpawnError, Step},
};
use legwork_tests::raw::{Disposition, dispose};

fn start() -> Result<legwork::process::Process, SpawnError> {
    Plan::new(Program::name("sleep")).arg("1000").spawn()
}

fn main() {
    dispose(libc::SIGCHLD, Disposition::Ignore);
    let error = start().unwrap_err();
    assert_eq!(error.step(), Step::ChildSignal);
    assert!(error.to_string().contains("ignores SIGCHLD"), "{error}");

    dispose(libc::SIGCHLD, Disposition::DefaultWithoutWait);
    let error = start().unwrap_err();
    assert_eq!(error.step(), Step::ChildSignal);
    assert!(error.to_string().contains("SA_NOCLDWAIT"), "{error}");

    dispose(libc::SIGCHLD, Disposition::Default);
    let mut child = start().unwrap();
    dispose(libc::SIGCHLD, Disposition::Ignore);
    child.signal(Signal::KILL).unwrap();
    let error = child.wait().unwrap_err();
    assert!(error.is_reaped_elsewhere());
    assert!(error.to_string().contains("ignores SIGCHLD"), "{error}");
    assert_eq!(child.try_wait(), Err(error));

    // Dropping a child then does not wait forever either.
    dispose(libc::SIGCHLD, Disposition::Default);
    let child = start().unwrap();
    dispose(libc::SIGCHLD, Disposition::Ignore);
    drop(child);
}
