//! Forks while it holds the handle of a child, and drops the copy. With the argument `unadvised`, the kernel's memory
//! advice has no effect meanwhile.

use legwork::{
    process::Signal,
    spawn::{Plan, Program},
};
use legwork_tests::raw;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("unadvised") {
        raw::heed_no_advice();
    }
    let mut child = Some(
        Plan::new(Program::name("sleep"))
            .arg("1000")
            .spawn()
            .unwrap(),
    );
    let told = raw::in_a_forked_copy(|| {
        let mut copy = child.take().unwrap();
        let waited = copy.try_wait().unwrap_err();
        assert!(!waited.is_reaped_elsewhere());
        assert!(waited.to_string().contains("forked copy"), "{waited}");
        drop(copy);
        0
    });
    assert_eq!(told, 0, "what the copy saw");

    let mut child = child.unwrap();
    assert_eq!(child.try_wait(), Ok(None), "the copy's drop has killed it");
    child.signal(Signal::KILL).unwrap();
    assert_eq!(child.wait().unwrap().status.signal(), Some(Signal::KILL));
}
