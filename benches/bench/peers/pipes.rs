//! A program between two pipes, written to and read by one `poll` loop.

use std::io;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionbio, read, write};
use rustix::pipe::{PipeFlags, pipe_with};

use super::native::Program;

/// How much is read at a time: the capacity of a pipe.
const PIECE: usize = 64 * 1024;

/// Starts `program`, writes `input` to it, and keeps all of its output.
pub(crate) fn communicate(program: &Program, input: &[u8]) -> io::Result<Vec<u8>> {
    let (their_input, to) = pipe_with(PipeFlags::CLOEXEC)?;
    let (from, their_output) = pipe_with(PipeFlags::CLOEXEC)?;
    let child = program.spawn_between(&their_input, &their_output)?;
    drop((their_input, their_output));
    ioctl_fionbio(&to, true)?;
    ioctl_fionbio(&from, true)?;
    let mut to = Some(to);
    let mut left = input;
    let mut output = Vec::new();
    loop {
        let mut fds = vec![PollFd::new(&from, PollFlags::IN)];
        if let Some(to) = &to {
            fds.push(PollFd::new(to, PollFlags::OUT));
        }
        poll(&mut fds, None)?;
        if let Some(open) = &to {
            match write(open, left) {
                Ok(length) => left = &left[length..],
                Err(Errno::AGAIN) => (),
                Err(errno) => return Err(errno.into()),
            }
            if left.is_empty() {
                to = None;
            }
        }
        output.reserve(PIECE);
        match read(&from, rustix::buffer::spare_capacity(&mut output)) {
            Ok(0) => break,
            Ok(_) | Err(Errno::AGAIN) => (),
            Err(errno) => return Err(errno.into()),
        }
    }
    child.wait()?;
    Ok(output)
}
