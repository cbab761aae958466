//! S10's control. A program that holds 1 GiB forks, and the copy writes a byte to each of the pages that it shares with
//! the original, as a language does that counts references, or a garbage collector that marks.

use std::io::{Read, Write};

use legwork_tests::raw::ForkedCopy;
use legwork_tests::scene::{Memory, gibibyte, tell};

fn main() {
    let mut held = gibibyte();
    let (mut has_touched, touched) = std::io::pipe().unwrap();
    let copy = ForkedCopy::new(|| {
        (&touched).write_all(b"f").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(500));
        held.iter_mut()
            .step_by(4096)
            .for_each(|byte| *byte = byte.wrapping_add(1));
        (&touched).write_all(b"t").unwrap();
        loop {
            std::thread::park();
        }
    });
    has_touched.read_exact(&mut [0]).unwrap();
    tell("private_before", Memory::of(copy.pid()).private);
    has_touched.read_exact(&mut [0]).unwrap();
    tell("private_after", Memory::of(copy.pid()).private);
    tell("parents_own", Memory::of(std::process::id()).anonymous);
}
