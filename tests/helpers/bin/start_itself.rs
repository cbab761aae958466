//! Removes its own file, and starts itself.

use legwork::spawn::{Plan, Program};

fn main() {
    if std::env::args().nth(1).as_deref() == Some("again") {
        return;
    }
    std::fs::remove_file(std::env::current_exe().unwrap()).unwrap();
    let exit = Plan::new(Program::Current)
        .arg("again")
        .spawn()
        .unwrap()
        .wait()
        .unwrap();
    assert!(exit.success(), "{}", exit.status);
}
