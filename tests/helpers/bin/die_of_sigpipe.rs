//! With SIGPIPE at its default, as in a C program, writes to programs that do not read. At the end it dies of SIGPIPE
//! itself, to show that nothing prevented it.

use std::io::ErrorKind;

use legwork::Stdio;
use legwork_tests::context::run;
use legwork_tests::programs::{command, sh};
use legwork_tests::raw::{Disposition, dispose};
use legwork_tests::report::Report;

fn main() {
    dispose(libc::SIGPIPE, Disposition::Default);
    let before = signals();
    run(|| async {
        let much = vec![b'x'; 1_000_000];
        let deaf = command("true").stdin(Stdio::bytes(much.clone()));
        deaf.output().await.unwrap();
        let mut deaf = sh("exec <&-; echo deaf; exec sleep 60")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut stdin = deaf.stdin().unwrap();
        assert_eq!(
            deaf.stdout().unwrap().chunk().await.unwrap(),
            b"deaf\n",
            "what it says when it has closed its input"
        );
        for _ in 0..3 {
            let error = stdin.write(&much).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        }
        // It writes to a terminal as well.
        let mut cat = command("cat").terminal(80, 24).spawn();
        let mut lines = cat.stdout().unwrap().lines();
        cat.stdin().unwrap().write(b"typed\n").await.unwrap();
        for _ in ["the echo", "what it says"] {
            assert_eq!(lines.recv().await.unwrap().text, "typed");
        }
    });
    assert_eq!(signals(), before);
    println!("alive");
    // The control.
    let (read, write) = std::io::pipe().unwrap();
    drop(read);
    let _ = std::io::Write::write(&mut &write, b"x");
}

/// Returns which signals are blocked, ignored and caught, except for 32 and 33. These are the C library's own: it catches
/// 33 from the first thread on, and a thread reaps children that are slow to die.
fn signals() -> [u64; 3] {
    const OWN: u64 = 0b11 << 31;
    let report = Report::of_self().unwrap();
    [report.blocked, report.ignored, report.caught].map(|set| set & !OWN)
}
