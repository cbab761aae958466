//! Copies its input to its output, and then prints the capacity of the two pipes to standard error.

use std::io;

use rustix::pipe::fcntl_getpipe_size;
use rustix::stdio::{stdin, stdout};

fn main() {
    io::copy(&mut io::stdin(), &mut io::stdout()).unwrap();
    let (input, output) = (fcntl_getpipe_size(stdin()), fcntl_getpipe_size(stdout()));
    eprint!("{} {}", input.unwrap(), output.unwrap());
}
