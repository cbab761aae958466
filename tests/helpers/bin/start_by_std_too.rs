//! Starts a child by legwork and one by std, with its own environment.

use legwork_tests::{order_reports, program};

fn main() {
    order_reports(|file| {
        let child = std::process::Command::new(program("report"))
            .arg(file)
            .spawn();
        child.unwrap().id().cast_signed()
    });
}
