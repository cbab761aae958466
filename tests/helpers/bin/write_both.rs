//! Writes the number of blocks in its second argument to standard output and as many to standard error, alternating,
//! numbered and marked with its first argument, so that a reader notices what is missing.

use std::os::fd::BorrowedFd;

use legwork_tests::counted::block;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = || {
        arguments
            .next()
            .expect("two numbers")
            .parse::<u64>()
            .expect("a number")
    };
    let (seed, blocks) = (number(), number());
    for at in 0..blocks {
        write_all(rustix::stdio::stdout(), &block(seed, 0, at));
        write_all(rustix::stdio::stderr(), &block(seed, 1, at));
    }
}

fn write_all(pipe: BorrowedFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let written =
            rustix::io::retry_on_intr(|| rustix::io::write(pipe, bytes)).expect("it is read");
        bytes = &bytes[written..];
    }
}
