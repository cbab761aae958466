//! Writes large pieces to a program, and measures its own memory meanwhile.

use legwork::Stdio;
use legwork_tests::context::run;
use legwork_tests::programs::command;
use legwork_tests::scene::{peak_memory, tell};

/// The size of one piece, in bytes.
const PIECE: usize = 64 << 20;

fn main() {
    run(|| async {
        // Everything that exists only once, such as the guardian; and the piece itself.
        command("true").output().await.unwrap();
        let piece = vec![1; PIECE];
        let before = peak_memory();
        let count = command("wc").arg("-c").stdin(Stdio::piped());
        let mut count = count.stdout(Stdio::piped()).spawn();
        let mut stdin = count.stdin().unwrap();
        let mut lines = count.stdout().unwrap().lines();
        for _ in 0..3 {
            stdin.write(&piece).await.unwrap();
        }
        drop(stdin);
        let line = lines.recv().await.unwrap();
        assert_eq!(line.text, (3 * PIECE).to_string());
        count.await.unwrap();
        tell("piece", PIECE / 1024);
        tell("grown", peak_memory() - before);
    });
}
