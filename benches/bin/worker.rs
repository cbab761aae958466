//! The lean worker: what a program costs that contains only the jobs.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use legwork_benches::clock;

/// The capacity of a pipe.
const PIECE: usize = 64 * 1024;

fn main() {
    // The same program is started without Legwork, to compare the starts, and as an external program.
    let done = match std::env::args().nth(1).as_deref() {
        Some("exit") => Ok(()),
        Some("busy") => busy(),
        Some("copy") => copy(),
        Some("pour") => pour(),
        _ => legwork_benches::JOBS.run_worker(),
    };
    if let Err(error) = done {
        panic!("{error}");
    }
}

/// Computes for 5 ms.
fn busy() -> io::Result<()> {
    let end = clock::now() + 5_000_000;
    while clock::now() < end {
        std::hint::spin_loop();
    }
    Ok(())
}

/// Copies its input to its output.
fn copy() -> io::Result<()> {
    let (mut input, mut output) = (File::from(stdin()), File::from(stdout()));
    let mut piece = vec![0; PIECE];
    loop {
        match input.read(&mut piece)? {
            0 => return Ok(()),
            length => output.write_all(&piece[..length])?,
        }
    }
}

/// Writes 256 MiB.
fn pour() -> io::Result<()> {
    let mut output = File::from(stdout());
    let piece = vec![7; PIECE];
    (0..(256 << 20) / PIECE).try_for_each(|_| output.write_all(&piece))
}

/// Bypasses the buffers of the standard library.
fn stdin() -> OwnedFd {
    io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .expect("it is open")
}

fn stdout() -> OwnedFd {
    io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .expect("it is open")
}
