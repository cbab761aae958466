//! Programs that ask and get answers, what they print last, and apps that stop waiting for them.

use legwork::gio::prelude::*;
use legwork::progress::{LineProgress, Step, borg};
use legwork::{Command, ErrorKind, Stdio, Worker, gio};
use legwork_tests::context::{run, state, until};
use legwork_tests::program;

fn shell(script: &str) -> Command {
    Command::new("sh")
        .args(["-c", script])
        .helper(&Worker::program(program("worker")))
}

#[test]
fn a_question_is_answered_wherever_it_is_cut() {
    run(|| async {
        // "Name? " comes in two pieces, behind more than anybody keeps.
        let script = "head -c 300000 /dev/zero; printf Na; sleep 0.2; printf 'me? '; read name; \
                      echo \"Hello $name.\"; read more || echo \"No more.\"";
        let ask = shell(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut ask = ask.spawn();
        let (mut says, mut hears) = (ask.stdout().unwrap(), ask.stdin().unwrap());
        let before = says.wait_for("Name? ").await.unwrap();
        assert_eq!(before.len(), 64 * 1024);
        hears.write(b"Ada\n").await.unwrap();
        assert_eq!(says.wait_for("Hello ").await.unwrap(), b"");
        drop(hears);
        let mut lines = says.lines();
        assert_eq!(lines.recv().await.unwrap().text, "Ada.");
        assert_eq!(lines.recv().await.unwrap().text, "No more.");
        assert!(lines.recv().await.is_none());
        ask.await.unwrap();
    });
}

#[test]
fn a_question_that_never_comes_is_known_at_the_end() {
    run(|| async {
        let mut ask = shell("echo nothing").stdout(Stdio::piped()).spawn();
        let mut says = ask.stdout().unwrap();
        assert_eq!(says.wait_for("Name? ").await, None);
        assert_eq!(says.chunk().await.unwrap(), b"nothing\n");
        ask.await.unwrap();
    });
}

#[test]
fn a_question_on_a_terminal_is_answered() {
    run(|| async {
        // As ssh and sudo ask: nothing is echoed, and nothing else is a terminal.
        let script = "stty -echo; printf 'Passphrase: '; read secret; echo \"[$secret]\"";
        let mut ask = shell(script).terminal(80, 24).spawn();
        let (mut says, mut hears) = (ask.stdout().unwrap(), ask.stdin().unwrap());
        assert!(says.wait_for("Passphrase: ").await.is_some());
        hears.write(b"open sesame\n").await.unwrap();
        assert!(says.wait_for("[open sesame]").await.is_some());
        ask.await.unwrap();
    });
}

#[test]
fn the_end_of_the_input_is_typed_on_a_terminal() {
    run(|| async {
        for (typed, seen) in [("", "0 0"), ("a line\n", "1 7"), ("no line", "0 7")] {
            let mut count = shell("stty -echo; echo ready; wc -lc")
                .terminal(80, 24)
                .spawn();
            let (mut says, mut hears) = (count.stdout().unwrap(), count.stdin().unwrap());
            assert!(says.wait_for("ready\r\n").await.is_some());
            hears.write(typed.as_bytes()).await.unwrap();
            drop(hears);
            let mut lines = says.lines();
            let line = lines.recv().await.unwrap().text;
            let figures: Vec<_> = line.split_whitespace().collect();
            assert_eq!(figures.join(" "), seen, "{typed:?}");
            count.await.unwrap();
        }
        // In raw mode it is a key as any other, and nobody presses it.
        let script = "stty raw -echo; echo ready; timeout 0.3 cat | wc -c";
        let mut keys = shell(script).terminal(80, 24).spawn();
        let (mut says, hears) = (keys.stdout().unwrap(), keys.stdin().unwrap());
        assert!(says.wait_for("ready").await.is_some());
        drop(hears);
        let line = says.lines();
        let mut line = line;
        let _ = line.recv().await;
        assert_eq!(line.recv().await.unwrap().text.trim(), "0");
        keys.await.unwrap();
    });
}

#[test]
fn a_failure_has_the_tail_of_what_was_written_whatever_was_kept_of_it() {
    run(|| async {
        for limit in [0, 10, 100_000, 250_000] {
            let script = "head -c 200000 /dev/zero | tr '\\0' x; echo; echo the end; exit 3";
            let error = shell(script)
                .output_limit(limit)
                .output()
                .await
                .unwrap_err();
            let tail = error.output_tail();
            assert_eq!(tail.len(), 8192, "{limit}");
            assert!(tail.ends_with("xxx\nthe end\n"), "{limit}");
        }
    });
}

#[test]
fn a_terminal_that_is_resized_is_told_to_the_program() {
    run(|| async {
        let script =
            "trap 'stty size; exit' WINCH; stty size; echo ready; while :; do sleep 0.05; done";
        let mut sized = shell(script).terminal(100, 30).spawn();
        let mut says = sized.stdout().unwrap();
        assert!(says.wait_for("30 100").await.is_some() && says.wait_for("ready").await.is_some());
        sized.control().resize_terminal(120, 40).unwrap();
        assert!(says.wait_for("40 120").await.is_some());
        sized.await.unwrap();

        let none = shell("sleep 1000").stdout(Stdio::piped()).spawn();
        let error = none.control().resize_terminal(80, 24).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(25), "{error}"); // ENOTTY
    });
}

#[test]
fn an_app_may_stop_waiting_and_the_program_runs_on() {
    run(|| async {
        let folder = tempfile::tempdir().unwrap();
        let done = folder.path().join("done");
        let go = folder.path().join("go");
        let script = "until test -e \"$0\"; do sleep 0.02; done; touch \"$1\"";
        let wait = gio::Cancellable::new();
        let program = shell(script).args([&go, &done]).wait_cancellable(&wait);
        let program = program.spawn();
        let status = program.status().clone();
        let pid = program.pid().unwrap();
        let cancel = wait.clone();
        std::thread::spawn(move || cancel.cancel());
        let error = program.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert!(error.to_string().contains("runs on"), "{error}");
        assert!(status.running() && state(pid).is_some(), "it was stopped");
        std::fs::write(&go, "").unwrap();
        until("it has done its work", || done.exists()).await;
        until("it is reaped", || !status.running() && state(pid).is_none()).await;

        // The control: what stops the program does not let it finish.
        std::fs::remove_file(&go).unwrap();
        std::fs::remove_file(&done).unwrap();
        let stop = gio::Cancellable::new();
        let program = shell(script).args([&go, &done]).cancellable(&stop);
        let program = program.spawn();
        let pid = program.pid().unwrap();
        stop.cancel();
        assert!(program.await.unwrap_err().is_cancelled());
        assert!(state(pid).is_none(), "it runs on");
    });
}

#[test]
fn who_has_stopped_waiting_may_still_stop_it() {
    run(|| async {
        let wait = gio::Cancellable::new();
        wait.cancel();
        let program = shell("sleep 1000").wait_cancellable(&wait).spawn();
        let (stop, status) = (program.cancellable(), program.status().clone());
        let pid = program.pid().unwrap();
        // Cancelled before it was started: nobody ever waits.
        assert!(program.await.unwrap_err().is_cancelled());
        assert!(state(pid).is_some());
        stop.cancel();
        until("it is gone", || state(pid).is_none()).await;
        assert!(!status.running());
    });
}

struct Numbered;

impl LineProgress for Numbered {
    fn line(&mut self, line: &str) -> Option<Step> {
        Some(Step::new(line.strip_prefix("step ")?.parse().ok()?, 9))
    }

    fn words(&self, line: &str) -> Option<String> {
        line.strip_prefix("error: ").map(str::to_owned)
    }
}

#[test]
fn an_error_has_the_words_that_a_line_has_for_people() {
    run(|| async {
        let script = "echo step 3; echo error: the disk is full; echo 0xDEAD; exit 4";
        let told = shell(script).progress(Numbered).spawn();
        let error = told.await.unwrap_err();
        let words = error.to_string();
        assert!(
            words.ends_with("exited with code 4: the disk is full"),
            "{words}"
        );
        // The control: the last line, whatever it says.
        let plain = shell(script).stdout(Stdio::piped()).spawn();
        let words = plain.await.unwrap_err().to_string();
        assert!(words.ends_with("exited with code 4: 0xDEAD"), "{words}");
    });
}

#[test]
fn an_error_never_quotes_a_line_that_lost_its_beginning() {
    run(|| async {
        // Longer than what is kept for the error, and not for people, as the parser would know of the whole line.
        let script = "printf '{\"%9000s\"}\\n' message >&2; exit 2";
        let told = shell(script).progress(borg()).spawn();
        let words = told.await.unwrap_err().to_string();
        assert!(words.ends_with("exited with code 2"), "{words}");
        // The control: a line that is there as a whole.
        let script = "printf '%9000s\\nno such repository\\n' x >&2; exit 2";
        let told = shell(script).progress(borg()).spawn();
        let words = told.await.unwrap_err().to_string();
        assert!(words.ends_with("no such repository"), "{words}");
    });
}
