//! Writes what it finds at its start to the file that its first argument names.

// Without the setup of Rust's standard library, which ignores SIGPIPE and opens what is missing of 0, 1 and 2.
#![no_main]
#![allow(unsafe_code)]

use std::{ffi::c_int, path::PathBuf};

use legwork_tests::report::Report;

// SAFETY: the C library's startup code calls it once, and there is no other `main`.
#[unsafe(no_mangle)]
extern "C" fn main() -> c_int {
    let report = Report::of_self();
    let file = std::env::args_os().nth(1).map(PathBuf::from);
    match (report, file) {
        (Ok(report), Some(file)) => c_int::from(report.write(&file).is_err()),
        _ => 2,
    }
}
