//! Ignores SIGCHLD before and after it starts a child. With the argument `forgotten` the kernel does not remember how a
//! process ended that was reaped, as before Linux 6.15.

use legwork::{
    process::Signal,
    spawn::{Plan, Program, SpawnError, Step},
};
use legwork_tests::kernel_remembers_exits;
use legwork_tests::raw::{Disposition, deny, dispose};

fn start() -> Result<legwork::process::Process, SpawnError> {
    Plan::new(Program::name("sleep")).arg("1000").spawn()
}

fn main() {
    let is_forgotten = std::env::args().nth(1).is_some();
    if is_forgotten {
        deny(libc::SYS_ioctl as u32);
    }
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
    if is_forgotten || !kernel_remembers_exits() {
        let error = child.wait().unwrap_err();
        assert!(error.is_reaped_elsewhere());
        assert!(error.to_string().contains("ignores SIGCHLD"), "{error}");
        assert_eq!(child.try_wait(), Err(error));
    } else {
        assert_eq!(child.wait().unwrap().status.signal(), Some(Signal::KILL));
        // Also when it is asked for while the kernel is reaping it.
        (0..1000).for_each(|_| is_known_at_once());
    }

    // Dropping a child then does not wait forever either.
    dispose(libc::SIGCHLD, Disposition::Default);
    let child = start().unwrap();
    dispose(libc::SIGCHLD, Disposition::Ignore);
    drop(child);
}

fn is_known_at_once() {
    dispose(libc::SIGCHLD, Disposition::Default);
    let mut child = start().unwrap();
    dispose(libc::SIGCHLD, Disposition::Ignore);
    child.signal(Signal::KILL).unwrap();
    let exit = loop {
        match child.try_wait().unwrap() {
            None => std::hint::spin_loop(),
            Some(exit) => break exit,
        }
    };
    assert_eq!(exit.status.signal(), Some(Signal::KILL));
}
