//! The job in a real child. A test program cannot be its own worker, so the worker program is named.

use legwork::prelude::*;
use legwork::{Worker, glib};
use sums::Checksum;

#[test]
fn the_sums_arrive_and_then_their_number() {
    let worker = Worker::program(env!("CARGO_BIN_EXE_sums-worker"));
    let folder = env!("CARGO_MANIFEST_DIR").into();
    let (lines, files) = glib::MainContext::new().block_on(async {
        let mut job = Checksum { folder }.builder().worker(&worker).spawn();
        let mut lines = Vec::new();
        while let Some(line) = job.message().await {
            lines.push(line);
        }
        (lines, job.await)
    });
    assert_eq!(files.unwrap(), lines.len());
    assert!(lines[0].ends_with("/Cargo.toml"), "{lines:?}");
}
