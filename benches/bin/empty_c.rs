//! An empty program as a C compiler would build it: only `main`, without the setup of Rust's standard library.
#![no_main]
#![allow(unsafe_code)]

// SAFETY: the C library calls `main` once, and this is the only function of that name in the program.
#[unsafe(no_mangle)]
extern "C" fn main() -> i32 {
    0
}
