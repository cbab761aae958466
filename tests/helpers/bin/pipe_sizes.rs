//! Writes what it reads, and then, to standard error, how much the two pipes hold.

use std::io;

use rustix::pipe::fcntl_getpipe_size;
use rustix::stdio::{stdin, stdout};

fn main() {
    io::copy(&mut io::stdin(), &mut io::stdout()).unwrap();
    let (input, output) = (fcntl_getpipe_size(stdin()), fcntl_getpipe_size(stdout()));
    eprint!("{} {}", input.unwrap(), output.unwrap());
}
