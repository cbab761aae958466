//! Starts `true` by an open descriptor, and tells its own number and how that ended.

use std::fs::File;

use legwork::spawn::{Plan, Program};

fn main() {
    let file = File::open("/bin/true").unwrap();
    let own = std::process::id();
    match Plan::new(Program::Descriptor(file.into())).spawn() {
        Ok(mut child) => println!("{own}: {}", child.wait().unwrap().status),
        Err(error) => println!("{own}: {error}"),
    }
}
