//! External programs: streams, collected output, outcomes, and stopping.

use std::time::Duration;

use legwork::process::{ExitStatus, Signal};
use legwork::{Command, ErrorKind, Limit, Secret, State, Stdio, Stop, Worker};
use legwork_tests::context::{is_alive, run, until};
use legwork_tests::programs::{command, sh, worker};

#[test]
fn output_is_collected_from_both_while_the_input_is_written() {
    run(|| async {
        let input: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
        let output = sh("tee /dev/stderr")
            .stdin(Stdio::bytes(input.clone()))
            .output()
            .await
            .unwrap();
        assert!(output.stdout == input);
        assert!(output.stderr == input);
        assert!(!output.incomplete && !output.truncated);
    });
}

#[test]
fn a_limit_keeps_the_beginning_and_drains_the_rest() {
    run(|| async {
        let output = sh("head -c 1000000 /dev/zero; echo end >&2")
            .output_limit(1000)
            .output()
            .await
            .unwrap();
        assert_eq!(output.stdout.len(), 1000);
        assert_eq!(output.stderr_utf8().unwrap(), "end\n");
        assert!(output.truncated);
    });
}

#[test]
fn lines_arrive_as_they_are_written_and_the_program_may_be_talked_to() {
    run(|| async {
        let mut cat = Command::new("cat")
            .helper(&worker())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut stdin = cat.stdin().unwrap();
        let mut lines = cat.stdout().unwrap().lines();
        assert!(cat.stdout().is_none());
        for text in ["one", "two", "ä\u{1F600}"] {
            stdin.write(format!("{text}\n").as_bytes()).await.unwrap();
            assert_eq!(lines.recv().await.unwrap().text, text);
        }
        stdin.write(b"no utf-8: \xff, no end").await.unwrap();
        drop(stdin);
        let last = lines.recv().await.unwrap();
        assert_eq!(last.text, "no utf-8: \u{FFFD}, no end");
        assert!(last.replaced);
        assert_eq!(lines.recv().await, None);
        assert_eq!(cat.await.unwrap().status, ExitStatus::Code(0));
    });
}

#[test]
fn standard_error_that_nobody_reads_is_drained_and_its_end_explains_the_failure() {
    run(|| async {
        let mut program = sh(
            "head -c 1000000 /dev/zero | tr '\\0' 'x' >&2; echo >&2; echo 'disk full' >&2; exit 3",
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
        let mut stdout = program.stdout().unwrap();
        while stdout.chunk().await.is_some() {}
        let error = program.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exit);
        assert_eq!(error.exit_code(), Some(3));
        assert!(error.to_string().contains("disk full"), "{error}");
    });
}

#[test]
fn warnings_are_a_success_when_the_command_says_so() {
    run(|| async {
        let output = sh("exit 1").success_codes([0, 1]).output().await.unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(sh("exit 2").success_codes([0, 1]).output().await.is_err());
    });
}

#[test]
fn a_slow_reader_makes_the_program_wait_and_loses_nothing() {
    run(|| async {
        let mut program = sh("head -c 5000000 /dev/zero")
            .stdout(Stdio::piped())
            .spawn();
        let mut stdout = program.stdout().unwrap();
        legwork::glib::timeout_future(Duration::from_millis(200)).await;
        assert!(program.pid().is_some(), "it did not wait");
        let mut total = 0;
        while let Some(chunk) = stdout.chunk().await {
            total += chunk.len();
        }
        assert_eq!(total, 5_000_000);
        program.await.unwrap();
    });
}

#[test]
fn the_end_does_not_wait_for_a_grandchild_that_holds_the_pipe() {
    run(|| async {
        let mut program = sh("echo said; sleep 30 & echo $!")
            .stdout(Stdio::piped())
            .drain(Duration::from_millis(50))
            .spawn();
        let mut lines = program.stdout().unwrap().lines();
        assert_eq!(lines.recv().await.unwrap().text, "said");
        let grandchild: u32 = lines.recv().await.unwrap().text.parse().unwrap();
        assert!(program.exited().await.unwrap().success());
        let output = program.await.unwrap();
        assert!(output.incomplete);
        assert!(is_alive(grandchild));
        let _ = std::process::Command::new("kill")
            .arg(grandchild.to_string())
            .status();
    });
}

#[test]
fn a_program_is_stopped_in_the_steps_that_the_command_names() {
    run(|| async {
        let mut program = sh("trap 'echo int' INT; trap '' TERM; echo ready; \
             while read line; do echo \"read $line\"; done; while :; do sleep 0.01; done")
        .stdout(Stdio::piped())
        .stop(
            Stop::stdin("q\n")
                .grace(Duration::from_millis(100))
                .then(Stop::close_stdin().grace(Duration::from_millis(100)))
                .then(Stop::signal(Signal::INT).grace(Duration::from_millis(100)))
                .then(Stop::signal(Signal::TERM).grace(Duration::from_millis(100))),
        )
        .spawn();
        let mut lines = program.stdout().unwrap().lines();
        assert_eq!(lines.recv().await.unwrap().text, "ready");
        let status = program.status().clone();
        program.cancel();
        assert_eq!(status.state(), State::Stopping);
        assert_eq!(lines.recv().await.unwrap().text, "read q");
        assert_eq!(lines.recv().await.unwrap().text, "int");
        let error = program.await.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(error.signal(), Some(Signal::KILL));
        assert_eq!(status.state(), State::Cancelled);
    });
}

#[test]
fn stop_reaches_the_whole_group() {
    run(|| async {
        let mut program = sh("trap '' TERM; for i in 1 2 3 4 5; do sh -c 'trap \"\" TERM; echo $$; sleep 60' & done; wait")
            .stdout(Stdio::piped())
            .stop(Stop::default().grace(Duration::from_millis(100)))
            .spawn();
        let mut lines = program.stdout().unwrap().lines();
        let mut pids = vec![program.pid().unwrap()];
        for _ in 0..5 {
            pids.push(lines.recv().await.unwrap().text.parse().unwrap());
        }
        program.cancel();
        assert!(program.await.unwrap_err().is_cancelled());
        until("all of them are gone", || {
            !pids.iter().any(|pid| is_alive(*pid))
        })
        .await;
    });
}

#[test]
fn deadlines_and_stalls_are_timeouts() {
    run(|| async {
        let soon = Duration::from_millis(50);
        let error = sh("sleep 60").deadline(soon).output().await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        let error = sh("echo one; sleep 60")
            .stall_deadline(soon)
            .output()
            .await
            .unwrap_err();
        assert!(
            error.is_timeout() && error.to_string().contains("wrote nothing"),
            "{error}"
        );
        let error = sh("sleep 60")
            .deadline(Duration::ZERO)
            .output()
            .await
            .unwrap_err();
        assert!(error.is_timeout());
        sh("true").deadline(Duration::MAX).output().await.unwrap();
    });
}

#[test]
fn a_program_that_goes_on_writing_is_not_stalled() {
    run(|| async {
        let output = sh("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.1; done")
            .stall_deadline(Duration::from_millis(700))
            .output()
            .await
            .unwrap();
        assert_eq!(output.stdout.len(), 16);
    });
}

#[test]
fn a_secret_is_in_neither_arguments_nor_environment() {
    run(|| async {
        let output = sh("eval \"cat <&$PASS_FD\"; echo; tr '\\0' ' ' </proc/$$/cmdline; tr '\\0' ' ' </proc/$$/environ")
            .secret(Secret::Env("PASS_FD".into()), "hunter2")
            .output()
            .await
            .unwrap();
        let text = output.stdout_utf8().unwrap();
        assert!(text.starts_with("hunter2\n"), "{text}");
        assert_eq!(text.matches("hunter2").count(), 1);
        assert!(text.contains("PASS_FD=3"));
    });
}

#[test]
fn progress_is_read_from_the_lines() {
    run(|| async {
        let program = sh("for i in 1 2 3 4; do echo \"$i/4\"; done")
            .progress(|line: &str| {
                let (done, total) = line.split_once('/')?;
                Some(legwork::progress::Step::new(
                    done.parse().ok()?,
                    total.parse().ok()?,
                ))
            })
            .spawn();
        let status = program.status().clone();
        program.await.unwrap();
        assert_eq!((status.done(), status.total()), (4, 4));
    });
}

#[test]
fn merged_output_keeps_its_order() {
    run(|| async {
        let output = sh("echo 1; echo 2 >&2; echo 3")
            .stderr(Stdio::merged())
            .output()
            .await
            .unwrap();
        assert_eq!(output.stdout_utf8().unwrap(), "1\n2\n3\n");
        assert!(output.stderr.is_empty());
    });
}

#[test]
fn pipes_become_gio_streams() {
    use legwork::gio::prelude::*;
    run(|| async {
        let mut cat = Command::new("cat")
            .helper(&worker())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let stdin = cat.stdin().unwrap().into_gio().unwrap();
        let stdout = cat.stdout().unwrap().into_gio().unwrap();
        let (_, written, _) = stdin
            .write_all_future(b"through GIO".to_vec(), Default::default())
            .await
            .unwrap();
        assert_eq!(written, 11);
        stdin.close_future(Default::default()).await.unwrap();
        let bytes = stdout
            .read_bytes_future(100, Default::default())
            .await
            .unwrap();
        assert_eq!(&*bytes, b"through GIO");
        cat.await.unwrap();
    });
}

#[test]
fn a_program_that_is_missing_is_an_outcome_with_a_name() {
    run(|| async {
        let handle = Command::new("no-such-program").spawn();
        assert_eq!(handle.status().state(), State::Failed);
        let error = handle.await.unwrap_err();
        assert!(error.is_start());
        assert_eq!(
            error.to_string(),
            "no-such-program: the program \"no-such-program\" was not found"
        );
        let path = std::env::var("PATH").unwrap();
        assert!(format!("{error:?}").contains(&format!("\nsearched in: {path}\n")));
        assert!(!error.has_run());

        for missing in ["no-such-program", "/no/such/program", "/dev/null/program"] {
            for command in [command(missing), command(missing).umask(0)] {
                let error = command.spawn().await.unwrap_err();
                assert!(error.is_not_found(), "{error}");
            }
        }
        // The controls: it is there, and cannot be executed, or fails.
        for there in ["/etc/passwd", "false"] {
            let error = command(there).spawn().await.unwrap_err();
            assert!(!error.is_not_found(), "{error}");
        }
        let directory = command("true").current_dir("/no/such").spawn().await;
        assert!(!directory.unwrap_err().is_not_found());
    });
}

#[test]
fn a_dropped_handle_stops_and_a_detached_one_does_not() {
    run(|| async {
        let program = sh("exec sleep 60").spawn();
        let pid = program.pid().unwrap();
        drop(program);
        until("it is gone", || !is_alive(pid)).await;

        let program = sh("exec sleep 60").spawn();
        let (pid, cancellable) = (program.pid().unwrap(), program.cancellable());
        program.detach();
        legwork::glib::timeout_future(Duration::from_millis(100)).await;
        assert!(is_alive(pid));
        legwork::gio::prelude::CancellableExt::cancel(&cancellable);
        until("it is gone", || {
            legwork_tests::context::state(pid).is_none()
        })
        .await;
    });
}

#[test]
fn a_helper_changes_what_posix_spawn_cannot() {
    run(|| async {
        let output = sh("umask; ulimit -n; ulimit -c; nice; echo $0 $1")
            .arg("name")
            .arg("argument")
            .umask(0o027)
            .limit(Limit::OpenFiles, Some(100), Some(200))
            .limit(Limit::Core, Some(0), Some(0))
            .nice(3)
            .output()
            .await
            .unwrap();
        // The tests may run at a nice value of their own.
        let nice = rustix::process::nice(0).unwrap() + 3;
        assert_eq!(
            output.stdout_utf8().unwrap(),
            format!("0027\n100\n0\n{nice}\nname argument\n")
        );

        let output = Command::new("grep")
            .args(["-E", "NoNewPrivs|SigBlk|SigIgn", "/proc/self/status"])
            .helper(&worker())
            .no_new_privileges()
            .output()
            .await
            .unwrap();
        let want = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nNoNewPrivs:\t1\n";
        assert_eq!(output.stdout_utf8().unwrap(), want);
    });
}

#[test]
fn a_helper_hands_on_descriptor_3_and_the_working_directory() {
    run(|| async {
        let by_fd = || {
            let (read, write) = std::io::pipe().unwrap();
            std::io::Write::write_all(&mut &write, b"by descriptor 3").unwrap();
            read
        };
        let output = sh("pwd; cat <&3")
            .fd(3, by_fd())
            .current_dir("/usr")
            .umask(0)
            .output()
            .await
            .unwrap();
        assert_eq!(output.stdout_utf8().unwrap(), "/usr\nby descriptor 3");

        // With the one by which `ls` itself reads the folder.
        let list = |command: Command| command.args(["/proc/self/fd"]).helper(&worker()).umask(0);
        let output = list(Command::new("ls")).output().await.unwrap();
        assert_eq!(output.stdout_utf8().unwrap(), "0\n1\n2\n3\n");
        let output = list(Command::new("ls").fd(3, by_fd()))
            .output()
            .await
            .unwrap();
        assert_eq!(output.stdout_utf8().unwrap(), "0\n1\n2\n3\n4\n");
    });
}

#[test]
fn what_the_helper_cannot_do_is_a_named_step() {
    run(|| async {
        // Twice a limit beyond the hard one: without privileges, or above what the kernel bears.
        let error = sh("true")
            .limit(Limit::OpenFiles, Some(1 << 40), Some(1 << 40))
            .output()
            .await
            .unwrap_err();
        assert!(error.is_start(), "{error:?}");
        assert!(
            error
                .to_string()
                .contains("setting the limit RLIMIT_NOFILE"),
            "{error}"
        );

        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
        std::process::Command::new("chmod")
            .arg("+x")
            .arg(&script)
            .status()
            .unwrap();
        let error = Command::new(&script)
            .helper(&worker())
            .umask(0)
            .output()
            .await
            .unwrap_err();
        assert!(error.is_start(), "{error:?}");
        assert!(error.to_string().contains("interpreter"), "{error}");

        // This test program is no worker.
        let error = Command::new("true").umask(0).output().await.unwrap_err();
        assert!(error.to_string().contains("run_if_worker"), "{error}");
        let error = Command::new("true")
            .helper(&Worker::program("/bin/true"))
            .umask(0)
            .output()
            .await
            .unwrap_err();
        assert!(error.is_start(), "{error:?}");
    });
}

#[test]
fn a_terminal_is_the_programs_own() {
    run(|| async {
        let mut program = sh(
            "tty; test -t 0 && test -t 1 && test -t 2 && echo all; stty size; \
             ps -o tty= -p $$; read line; echo \"got $line\"",
        )
        .terminal(100, 30)
        .spawn();
        let mut lines = program.stdout().unwrap().lines();
        let tty = lines.recv().await.unwrap().text;
        assert!(tty.starts_with("/dev/pts/"), "{tty}");
        assert_eq!(lines.recv().await.unwrap().text, "all");
        assert_eq!(lines.recv().await.unwrap().text, "30 100");
        let controls = lines.recv().await.unwrap().text;
        assert_eq!(format!("/dev/{}", controls.trim()), tty);
        let mut stdin = program.stdin().unwrap();
        stdin.write(b"typed\n").await.unwrap();
        assert_eq!(lines.recv().await.unwrap().text, "typed"); // the echo of the terminal
        assert_eq!(lines.recv().await.unwrap().text, "got typed");
        assert_eq!(lines.recv().await, None);
        drop(stdin);
        program.await.unwrap();

        let both = sh("true").terminal(80, 24).stdin(Stdio::null());
        let error = both.output().await.unwrap_err();
        assert!(error.to_string().contains("terminal"), "{error}");
    });
}

#[test]
fn a_thread_that_does_not_run_its_context_starts_nothing_and_is_told_so() {
    let context = legwork::glib::MainContext::default();
    let _owner = context.acquire().unwrap();
    let refused = std::thread::spawn(|| sh("true").spawn().status().error());
    let error = refused.join().unwrap().unwrap();
    assert!(error.contains("another thread runs"), "{error}");
}

#[test]
fn a_write_that_waits_for_room_ends_with_its_program_whoever_still_holds_the_pipe() {
    run(|| async {
        let mut program = sh("exec 3<&0; sleep 30 <&3 3<&- & exec 3<&-; sleep 0.3")
            .stdin(Stdio::piped())
            .spawn();
        let mut stdin = program.stdin().unwrap();
        let written = stdin.write(&vec![0; 1 << 20]).await;
        assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
        program.cancel();
    });
}
