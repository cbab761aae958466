//! An empty Rust program: what a process costs before it does anything.
fn main() {}
