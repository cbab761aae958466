//! A program on a terminal of its own: what it finds there, and what is left of it when it is stopped.

use std::process::Command as StdCommand;
use std::time::{Duration, Instant};

use legwork::{Command, Stop};
use legwork_tests::context::{is_alive, run, until};
use legwork_tests::programs::{command, sh};

/// What a program on a terminal prints.
async fn printed(command: Command) -> String {
    let output = command.terminal(100, 30).output().await.unwrap();
    output.stdout_utf8().unwrap().replace("\r\n", "\n")
}

const SHOW: &str = "echo \"${TERM-none} ${COLUMNS-none} ${LINES-none}\"; tput cols";

#[test]
fn a_terminal_has_a_type_and_no_size_but_its_own() {
    // As an app has it that a desktop has started; and one from a terminal that exports its size.
    const INNER: &str = "LEGWORK_TEST_OF_THE_APP";
    if std::env::var_os(INNER).is_none() {
        for app in ["none", "empty", "linux"] {
            let mut inner = StdCommand::new(std::env::current_exe().unwrap());
            inner.args(["--exact", "a_terminal_has_a_type_and_no_size_but_its_own"]);
            inner.env("COLUMNS", "200").env("LINES", "60");
            match app {
                "none" => inner.env_remove("TERM"),
                "empty" => inner.env("TERM", ""),
                given => inner.env("TERM", given),
            };
            let output = inner.env(INNER, app).output().unwrap();
            assert!(output.status.success(), "{app}: {output:?}");
        }
        return;
    }
    run(|| async {
        let term = match std::env::var_os(INNER).unwrap().to_str() {
            Some("linux") => "linux",
            _ => "xterm-256color",
        };
        assert_eq!(printed(sh(SHOW)).await, format!("{term} none none\n100\n"));
        let cleared = sh(SHOW).env_clear();
        assert_eq!(printed(cleared).await, "xterm-256color none none\n100\n");
        // What the command says is left as it is.
        let given = sh(SHOW).env("TERM", "dumb").env("COLUMNS", "90");
        assert_eq!(printed(given).await, "dumb 90 none\n90\n");
        let removed = sh("echo ${TERM-none}").env_remove("TERM");
        assert_eq!(printed(removed).await, "none\n");
        // The control: what has no terminal has the app's variables.
        let plain = sh("echo $COLUMNS $LINES").output().await.unwrap();
        assert_eq!(plain.stdout, b"200 60\n");
    });
}

/// A job in the background of a shell that a person would use.
async fn background_job(stop: Option<Stop>) -> (legwork::CommandHandle, u32) {
    let shell = command("bash").args(["--norc", "-i"]).terminal(80, 24);
    let mut shell = match stop {
        Some(stop) => shell.stop(stop).spawn(),
        None => shell.spawn(),
    };
    let mut says = shell.stdout().unwrap();
    let mut types = shell.stdin().unwrap();
    types
        .write(b"sleep 1000 & echo \"pid=$!=\"\n")
        .await
        .unwrap();
    says.wait_for("pid=").await.unwrap();
    let pid = loop {
        // The first may be the echo.
        let text = says.wait_for("=").await.unwrap();
        if let Ok(pid) = String::from_utf8(text).unwrap().parse() {
            break pid;
        }
    };
    std::mem::forget(types);
    (shell, pid)
}

#[test]
fn a_terminal_is_hung_up_first_when_its_program_is_stopped() {
    run(|| async {
        let start = Instant::now();
        let (shell, pid) = background_job(None).await;
        assert!(is_alive(pid));
        let asked = Instant::now();
        shell.cancel();
        assert!(shell.await.unwrap_err().is_cancelled());
        println!("{:?}, then {:?}", asked - start, asked.elapsed());
        assert!(asked.elapsed() < Duration::from_secs(2));
        until("the job has ended", || !is_alive(pid)).await;

        // The control: an interactive shell ignores SIGTERM, and SIGKILL leaves its jobs alone.
        let stop = Stop::default().grace(Duration::from_millis(100));
        let (shell, pid) = background_job(Some(stop)).await;
        shell.cancel();
        assert!(shell.await.unwrap_err().is_cancelled());
        assert!(is_alive(pid), "the control has ended by itself");
        let kill = StdCommand::new("kill").arg(pid.to_string()).status();
        assert!(kill.unwrap().success());
    });
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
