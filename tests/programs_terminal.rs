//! A program on a terminal of its own.

use std::time::{Duration, Instant};

use legwork::Command;
use legwork_tests::context::run;
use legwork_tests::programs::sh;

/// What a program on a terminal prints.
async fn printed(command: Command) -> String {
    let output = command.terminal(100, 30).output().await.unwrap();
    output.stdout_utf8().unwrap().replace("\r\n", "\n")
}

#[test]
fn a_program_may_close_its_terminal_and_open_it_again() {
    run(|| async {
        let script = "echo one; exec </dev/null >/dev/null 2>&1; sleep 0.5; exec >/dev/tty; \
                      echo two; i=0; while [ $i -lt 5000 ]; do echo a line; i=$((i+1)); done";
        let mut again = sh(script)
            .terminal(80, 24)
            .deadline(Duration::from_secs(30))
            .spawn();
        let mut all = Vec::new();
        let mut output = again.stdout().unwrap();
        while let Some(chunk) = output.chunk().await {
            all.extend(chunk);
        }
        again.await.unwrap();
        let all = String::from_utf8(all).unwrap();
        assert!(
            all.starts_with("one\r\ntwo\r\n"),
            "{}",
            &all[..40.min(all.len())]
        );
        assert_eq!(all.lines().count(), 5002);

        // The end of the program is still that of its terminal.
        let start = Instant::now();
        assert_eq!(printed(sh("echo last")).await, "last\n");
        assert!(start.elapsed() < Duration::from_secs(2));
        // Also when it has closed it long before.
        let closed = sh("echo last; exec </dev/null >/dev/null 2>&1; sleep 0.3");
        assert_eq!(printed(closed).await, "last\n");
    });
}
