//! Ignores every signal, blocks every signal, and starts a child by legwork and one by std.

use std::path::Path;

use legwork_tests::{order_reports, program, raw};

fn main() {
    for signal in 1..=64 {
        // Ignoring this one is refused with a named error, see `exit.rs`; the others may not or cannot be ignored.
        if ![libc::SIGCHLD, libc::SIGKILL, libc::SIGSTOP, 32, 33].contains(&signal) {
            raw::dispose(signal, raw::Disposition::Ignore);
        }
    }
    raw::block_every_signal();
    order_reports(|file: &Path| {
        raw::naive_posix_spawn(&program("report"), file, raw::Defaults::None)
    });
}
