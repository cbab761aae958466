//! Executes a program as if on an older kernel: `on_an_older_kernel PROGRAM [ARGUMENTS]`.

use std::os::unix::process::CommandExt;

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().expect("a program");
    legwork_tests::raw::be_an_older_kernel();
    let error = std::process::Command::new(&program).args(arguments).exec();
    panic!("{}: {error}", program.display());
}
