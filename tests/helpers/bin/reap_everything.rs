//! Waits for any child, as some libraries do, and so reaps Legwork's.

use legwork::spawn::{Plan, Program};
use rustix::process::{WaitOptions, wait};

fn main() {
    let mut child = Plan::new(Program::name("true")).spawn().unwrap();
    let (pid, _) = wait(WaitOptions::empty()).unwrap().unwrap();
    assert_eq!(pid.as_raw_nonzero().get().cast_unsigned(), child.pid());

    let error = child.wait().unwrap_err();
    assert!(error.is_reaped_elsewhere());
    assert_eq!(error.errno(), libc::ECHILD);
    assert!(
        error
            .to_string()
            .contains("other code in this program waited for it"),
        "{error}"
    );
    assert_eq!(child.try_wait(), Err(error));

    let child = Plan::new(Program::name("true")).spawn().unwrap();
    wait(WaitOptions::empty()).unwrap();
    drop(child);
}
