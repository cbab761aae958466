//! A program on a terminal of its own: what it finds there, and what is left of it when it is stopped. And programs
//! that ask the terminal in which the app was started.

use std::process::Command as StdCommand;
use std::time::{Duration, Instant};

use legwork::prelude::*;
use legwork::process::Signal;
use legwork::spawn::{Group, Plan, Program};
use legwork::{Command, ErrorKind, Stop};
use legwork_tests::context::{is_alive, is_stopped, run, until};
use legwork_tests::jobs::Misbehave;
use legwork_tests::programs::{command, sh, worker};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

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
            // A name that no test has would be a success as well.
            let shown = String::from_utf8_lossy(&output.stdout);
            assert!(shown.contains("1 passed"), "{app}: {shown}");
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

/// Runs this very test again, on a terminal of its own in which `keys` are typed; false when this is that run.
fn is_started_in_a_terminal(test: &str, keys: &str) -> bool {
    const INNER: &str = "LEGWORK_TEST_IN_A_TERMINAL";
    if std::env::var_os(INNER).is_some() {
        return false;
    }
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let mut inner = Plan::new(Program::path(std::env::current_exe().unwrap()))
        .args(["--exact", test, "--nocapture"])
        .env(INNER, "")
        .terminal(ptsname(&terminal, Vec::new()).unwrap())
        .spawn()
        .unwrap();
    rustix::io::write(&terminal, keys.as_bytes()).unwrap();
    let (mut shown, mut buffer) = (Vec::new(), [0; 4096]);
    // At its end there is an error.
    while let Ok(length @ 1..) = rustix::io::read(&terminal, &mut buffer) {
        shown.extend(&buffer[..length]);
    }
    let status = inner.wait().unwrap().status;
    let shown = String::from_utf8_lossy(&shown);
    // A name that no test has would be a success as well.
    let passed = status.success() && shown.contains("1 passed");
    assert!(passed, "{status}: {shown}");
    true
}

const ASK: &str = "read x </dev/tty && echo got $x";

#[test]
fn a_program_that_asks_the_apps_terminal_does_not_hang() {
    let test = "a_program_that_asks_the_apps_terminal_does_not_hang";
    if is_started_in_a_terminal(test, "typed\n") {
        return;
    }
    let ask = |group| sh(ASK).group(group).deadline(Duration::from_secs(50));
    run(|| async {
        // By default it finds no terminal, and says so.
        let asked = sh(ASK).deadline(Duration::from_secs(50)).output().await;
        let error = asked.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exit, "{error:?}");
        assert!(error.to_string().contains("/dev/tty"), "{error}");
        let job = Misbehave::AskTerminal.builder().worker(&worker());
        let error = job.deadline(Duration::from_secs(50)).spawn().await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed, "{error:?}");

        // In the app's session it is stopped, and nobody would continue it.
        for cancel in [false, true] {
            let start = Instant::now();
            let program = ask(Group::Lead).spawn();
            let pid = program.pid().unwrap();
            if cancel {
                until("it is stopped", || is_stopped(pid)).await;
                program.cancel();
            }
            let error = program.await.unwrap_err();
            println!("after {:?}: {error}", start.elapsed());
            assert!(start.elapsed() < Duration::from_secs(40));
            assert_eq!(error.signal(), Some(Signal::TERM));
            assert!(
                error.to_string().contains("SIGTTIN, because it tried"),
                "{error}"
            );
            let kind = if cancel {
                ErrorKind::Cancelled
            } else {
                ErrorKind::Signal
            };
            assert_eq!(error.kind(), kind);
        }

        // What somebody else has stopped is left alone, and said when its time is up.
        let program = command("sleep").arg("1000").group(Group::Lead);
        let program = program.deadline(Duration::from_secs(2)).spawn();
        legwork_tests::raw::signal(program.pid().unwrap(), libc::SIGSTOP);
        let error = program.await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert!(
            error.to_string().ends_with("; it was suspended by SIGSTOP"),
            "{error}"
        );

        let inherits = sh(ASK).inherit_terminal().output().await.unwrap();
        assert_eq!(inherits.stdout, b"got typed\n");
    });
}
