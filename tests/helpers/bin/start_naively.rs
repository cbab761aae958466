//! Starts a child by legwork, and one in the simplest way, with `sigfillset`.

use legwork_tests::{order_reports, program, raw};

fn main() {
    order_reports(|file| {
        raw::naive_posix_spawn(&program("report"), file, raw::Defaults::Sigfillset)
    });
}
