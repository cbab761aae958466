//! An empty Rust program: what a process costs before anything is done in it.
fn main() {}
