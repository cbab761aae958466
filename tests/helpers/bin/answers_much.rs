//! Sends a large piece to a program that answers with the same amount, and measures its own memory meanwhile.

use legwork::Stdio;
use legwork_tests::context::run;
use legwork_tests::programs::command;
use legwork_tests::scene::{peak_memory, tell};

/// In bytes.
const PIECE: usize = 64 << 20;

fn main() {
    run(|| async {
        // Everything that exists only once, such as the guardian; and the piece itself.
        command("true").output().await.unwrap();
        let piece = vec![1; PIECE];
        let before = peak_memory();
        let cat = command("cat").stdin(Stdio::bytes(piece));
        let answer = cat.output().await.unwrap().stdout;
        assert_eq!(answer.len(), PIECE);
        assert!(answer.iter().all(|byte| *byte == 1));
        tell("piece", PIECE / 1024);
        tell("grown", peak_memory() - before);
    });
}
