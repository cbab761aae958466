//! The command `legwork run`, as shells and scripts use it.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use legwork_tests::context::is_alive;
use serde_json::{Value, json};

fn legwork() -> Command {
    // Without a controlling terminal, wherever the tests are run: what it does with one is another file's.
    let mut command = Command::new("setsid");
    command
        .args([env!("CARGO_BIN_EXE_command_legwork"), "run"])
        .stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    legwork().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What `--json` has printed, every line of which is JSON.
fn events(stdout: &[u8]) -> Vec<Value> {
    let lines = text(stdout).lines();
    let event = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line:?}"));
    lines.map(event).collect()
}

/// The text that the program has written there.
fn written(events: &[Value], stream: &str) -> String {
    let output = events.iter().filter(|event| event["stream"] == stream);
    output
        .map(|event| event["text"].as_str().unwrap())
        .collect()
}

#[test]
fn it_ends_as_the_program_did() {
    for (script, code, signal) in [
        ("exit 0", 0, None),
        ("exit 7", 7, None),
        ("kill -TERM $$", 143, Some(15)),
        ("kill -9 $$", 137, Some(9)),
    ] {
        let output = run(&["--", "sh", "-c", script]);
        assert_eq!(output.status.signal(), signal, "{script}");
        // As a shell shows it.
        let shown = output.status.code().or(signal.map(|signal| 128 + signal));
        assert_eq!(shown, Some(code), "{script}");
    }
}

#[test]
fn what_the_caller_ignores_stays_ignored_for_the_program() {
    let ignored = |trap: &str, wrapper: &[&str]| {
        let script = format!("{trap}; exec \"$@\" grep SigIgn /proc/self/status");
        let output = Command::new("sh")
            .args(["-c", &script, "sh"])
            .args(wrapper)
            .output();
        let shown = text(&output.unwrap().stdout).trim().to_owned();
        let bits = shown.strip_prefix("SigIgn:\t").unwrap();
        // But 32 and 33, which are the C library's.
        u64::from_str_radix(bits, 16).unwrap() & !(3 << 31)
    };
    let legwork = [env!("CARGO_BIN_EXE_command_legwork"), "run", "--"];
    for trap in [
        ":",
        "trap '' HUP",
        "trap '' PIPE INT",
        "trap '' HUP QUIT TSTP USR2",
    ] {
        let plain = ignored(trap, &["env"]);
        // What runs the tests may ignore signals as well.
        assert_eq!(ignored(trap, &legwork), plain, "{trap}");
    }
}

#[test]
fn a_caller_that_ignores_sigchld_gets_the_end_all_the_same() {
    let exe = env!("CARGO_BIN_EXE_command_legwork");
    let script = format!(
        "import signal, os; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv('{exe}', ['legwork', 'run', '--', 'sh', '-c', 'exit 5'])"
    );
    let output = Command::new("python3").args(["-c", &script]).output();
    assert_eq!(output.unwrap().status.code(), Some(5));
}

#[test]
fn a_program_that_cannot_be_started_has_the_codes_of_a_shell() {
    let output = run(&["--", "no-such-program"]);
    assert_eq!(output.status.code(), Some(127));
    assert!(text(&output.stderr).contains("no-such-program"));
    assert_eq!(run(&["--", "/nonexistent/x"]).status.code(), Some(127));
    assert_eq!(run(&["--", "/etc/passwd"]).status.code(), Some(126));
    assert_eq!(run(&["--", "/usr"]).status.code(), Some(126));
    let output = run(&["--cwd", "/nonexistent", "--", "true"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(text(&output.stderr).contains("/nonexistent"));
}

#[test]
fn what_cannot_be_carried_out_is_125_with_a_sentence_and_nothing_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    for (options, words) in [
        (
            &["--fd", "3=/nonexistent"][..],
            "--fd 3=/nonexistent: No such file",
        ),
        (
            &["--fd", "1=/dev/null"],
            "descriptor 1 of the child is given twice",
        ),
        (&["--fd=-1=/dev/null"], "-1"),
        (
            &["--fd", "5=/dev/null", "--fd", "5=/dev/null"],
            "descriptor 5 of the child is given twice",
        ),
        (
            &["--fd", "2000=/dev/null"],
            "descriptor 2000 of the child is above 1023",
        ),
        (&["--fd", "x"], "'x' for '--fd <SPEC>': neither N=PATH"),
        (&["--fd", "5:99"], "--fd 5:99: Bad file descriptor"),
        (&["--env", "=x"], "has an empty name"),
        (
            &["--env", "A"],
            "'A' for '--env <NAME=VALUE>': it has no `=`",
        ),
        (
            &["--cwd", "/etc/passwd"],
            "\"/etc/passwd\" is not a directory",
        ),
        (&["--stdin", "/nonexistent"], "/nonexistent: No such file"),
        (
            &["--stdout", "/nonexistent/x"],
            "/nonexistent/x: No such file",
        ),
        (&["--timeout", "1e30"], "--timeout"),
        (&["--timeout", "nan"], "--timeout"),
        (&["--grace", "soon"], "--grace"),
        (&["--umask", "999"], "not an octal number"),
        (
            &["--limit", "nofile=99999999999999999999"],
            "is not a number",
        ),
        (&["--no-such-option"], "--no-such-option"),
    ] {
        let output = legwork()
            .args(options)
            .args(["--", "touch"])
            .arg(&mark)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(125), "{output:?}");
        assert!(text(&output.stderr).contains(words), "{output:?}");
        assert!(output.stdout.is_empty() && !mark.exists(), "{options:?}");
    }
    assert_eq!(run(&[]).status.code(), Some(125));
    assert_eq!(run(&["--", ""]).status.code(), Some(126));
    // The control, and help, which is no failure.
    let output = legwork().args(["--", "touch"]).arg(&mark).output().unwrap();
    assert!(output.status.success() && mark.exists());
    assert_eq!(run(&["--help"]).status.code(), Some(0));
}

#[test]
fn an_option_goes_by_the_names_that_people_know_it_by_elsewhere() {
    let options = ["--env-clear", "--setenv", "A=1", "--arg0", "me"];
    let options = [&options[..], &["--chdir", "/usr", "--deadline", "0.5"]].concat();
    let script = "echo $0, $PWD, $A, ${HOME-none}; exec sleep 1000";
    let output = run(&[&options[..], &["--", "/bin/sh", "-c", script]].concat());
    assert_eq!(output.status.code(), Some(124), "{output:?}");
    assert_eq!(text(&output.stdout), "me, /usr, 1, none\n");
    let output = run(&[
        "--env-remove",
        "HOME",
        "--",
        "sh",
        "-c",
        "echo ${HOME-none}",
    ]);
    assert_eq!(text(&output.stdout), "none\n");
}

#[test]
fn an_unknown_option_is_not_answered_by_a_tip_to_run_it() {
    // What the tip says, done.
    let output = run(&["--", "--until", "5"]);
    assert_eq!(output.status.code(), Some(127), "{output:?}");
    let output = run(&["--until", "5", "--", "true"]);
    assert_eq!(output.status.code(), Some(125));
    let words = text(&output.stderr);
    assert!(words.contains("'--until'"), "{words}");
    assert!(words.contains("--help"), "{words}");
    assert!(!words.contains("-- --until"), "{words}");
}

#[test]
fn environment_name_folder_and_descriptors_are_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "from the file\n").unwrap();
    let output = legwork()
        .env("GONE", "x")
        .args([
            "--env", "A=1=2", "--unset", "GONE", "--cwd", "/usr", "--argv0", "me",
        ])
        .arg("--fd")
        .arg(format!("5={}", file.display()))
        .args(["--fd", "6:1", "--", "sh", "-c"])
        .arg("echo $0 $A ${GONE-gone}; pwd; cat <&5; echo by six >&6")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(
        text(&output.stdout),
        "me 1=2 gone\n/usr\nfrom the file\nby six\n"
    );
    let output = run(&["--clear-env", "--env", "ONLY=this", "--", "/usr/bin/env"]);
    assert_eq!(text(&output.stdout), "ONLY=this\n");
}

#[test]
fn standard_descriptors_lead_where_they_are_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("in"), "input").unwrap();
    let output = run(&[
        "--stdin",
        &path("in"),
        "--stdout",
        &path("out"),
        "--stderr",
        "null",
        "--",
        "sh",
        "-c",
        "cat; echo lost >&2",
    ]);
    assert!(output.status.success());
    assert_eq!(std::fs::read_to_string(path("out")).unwrap(), "input");
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
}

#[test]
fn limits_nice_and_umask_are_the_programs() {
    let output = run(&[
        "--limit",
        "nofile=90:100",
        "--limit",
        "core=0",
        "--nice",
        "2",
        "--umask",
        "027",
        "--",
        "sh",
        "-c",
        "ulimit -Sn; ulimit -Hn; ulimit -c; nice; umask",
    ]);
    // The tests may run at a nice value of their own.
    let nice = rustix::process::nice(0).unwrap() + 2;
    let words = format!("90\n100\n0\n{nice}\n0027\n");
    assert_eq!(text(&output.stdout), words);
    for (limit, words) in [
        ("nofile", "no `=`"),
        ("colour=1", "there is no limit `colour`, only as, core"),
        ("core=many", "`many` is not a number"),
        ("nofile=9:8", "--limit nofile=9:8"),
    ] {
        let output = run(&["--limit", limit, "--", "true"]);
        assert_eq!(output.status.code(), Some(125), "{limit}");
        assert!(text(&output.stderr).contains(words), "{output:?}");
    }
}

#[test]
fn a_timeout_ends_the_group_and_is_124() {
    let start = Instant::now();
    let output = run(&[
        "--timeout",
        "0.1",
        "--grace",
        "0.1",
        "--json",
        "--",
        "sh",
        "-c",
        "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; sleep 60'; sleep 60",
    ]);
    assert_eq!(output.status.code(), Some(124));
    assert!(start.elapsed() < Duration::from_secs(30));
    let events = events(&output.stdout);
    let inner: u32 = written(&events, "stdout").trim().parse().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while is_alive(inner) {
        assert!(Instant::now() < deadline, "the group lives on");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(events.contains(&json!({ "event": "timeout" })));
    let last = events.last().unwrap();
    assert_eq!(last["event"], "ended");
    assert_eq!(last["timed_out"], true);
    assert_eq!(last["signal"], "SIGKILL");
}

#[test]
fn a_signal_is_handed_on_and_its_own_death_ends_the_program() {
    let start = |script: &str| {
        let mut child = legwork()
            .args(["--", "sh", "-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines =
            std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
        let pid: u32 = lines.next().unwrap().unwrap().parse().unwrap();
        (child, lines, pid)
    };
    let kill = |signal: &str, pid: u32| {
        Command::new("kill")
            .args([signal, &pid.to_string()])
            .status()
            .unwrap();
    };
    let (mut child, mut lines, _) =
        start("trap 'echo got; exit 9' TERM; echo $$; while :; do sleep 0.01; done");
    kill("-TERM", child.id());
    assert_eq!(lines.next().unwrap().unwrap(), "got");
    assert_eq!(child.wait().unwrap().code(), Some(9));

    let (mut child, _lines, pid) = start("echo $$; sleep 60; true");
    // Long enough for the guardian to be there; a stopped program is the hardest to end.
    std::thread::sleep(Duration::from_millis(300));
    kill("-STOP", pid);
    kill("-KILL", child.id());
    child.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while is_alive(pid) {
        assert!(
            Instant::now() < deadline,
            "the program outlives the command"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_stopped_program_hears_a_signal_that_is_handed_on() {
    for option in [&[][..], &["--session"]] {
        let mut child = legwork()
            .args(option)
            .args(["--", "sh", "-c", "echo $$; kill -STOP $$; sleep 60"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        Command::new("kill")
            .args(["-TERM", &child.id().to_string()])
            .status()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                child.kill().unwrap();
                panic!("it has not heard it");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(child.wait().unwrap().signal(), Some(15));
    }
}

#[test]
fn a_terminal_of_its_own_is_one() {
    let output = run(&["--pty", "--", "sh", "-c", "test -t 0 && test -t 1 && tty"]);
    assert!(text(&output.stdout).starts_with("/dev/pts/"), "{output:?}");
    assert_eq!(output.status.code(), Some(0));
}

/// A program on a terminal of its own, ended by force if it does not end.
fn on_a_terminal(input: &str, options: &str) -> Output {
    let exe = env!("CARGO_BIN_EXE_command_legwork");
    let script =
        format!("{input} | timeout -k 1 20 {exe} run --pty {options}; exit ${{PIPESTATUS[1]}}");
    Command::new("bash").args(["-c", &script]).output().unwrap()
}

#[test]
fn long_input_to_a_terminal_is_answered_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let output = on_a_terminal("seq 20000", &format!("-- tee {}", file.display()));
    assert_eq!(output.status.code(), Some(0));
    let sequence: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), sequence);
    // What is typed is shown as well, except for echoes that the kernel drops on a busy machine.
    let lines = text(&output.stdout).lines().count();
    assert!(lines > 20_000, "{lines}");
}

#[test]
fn a_flood_both_ways_that_nobody_reads_does_not_outlast_a_timeout_or_a_signal() {
    for (options, signal, code) in [
        (
            &["--pty", "--timeout", "0.5", "--grace", "0.2"][..],
            None,
            Some(124),
        ),
        (&["--pty"], Some("-TERM"), None),
        (
            &["--json", "--timeout", "0.5", "--grace", "0.2"],
            None,
            Some(124),
        ),
        (&["--json"], Some("-TERM"), None),
        (&["--json", "--pty"], Some("-TERM"), None),
    ] {
        let mut input = Command::new("yes").stdout(Stdio::piped()).spawn().unwrap();
        let mut child = legwork()
            .args(options)
            .args(["--", "cat"])
            .stdin(input.stdout.take().unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(500));
        if let Some(signal) = signal {
            let pid = child.id().to_string();
            Command::new("kill").args([signal, &pid]).status().unwrap();
            std::thread::sleep(Duration::from_millis(100));
            // Again, to say that nobody waits for what it has shown.
            Command::new("kill").args([signal, &pid]).status().unwrap();
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                child.kill().unwrap();
                input.kill().unwrap();
                panic!("it does not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(child.wait().unwrap().code(), code);
        input.kill().unwrap();
        input.wait().unwrap();
    }
}

#[test]
fn input_that_ends_in_the_middle_of_a_line_ends_on_a_terminal() {
    for input in ["printf abc", "printf 'abc\\n'", "true"] {
        let output = on_a_terminal(input, "-- cat");
        assert_eq!(output.status.code(), Some(0), "{input}");
    }
}

#[test]
fn a_program_whose_output_nobody_reads_ends() {
    let exe = env!("CARGO_BIN_EXE_command_legwork");
    for (options, first) in [("--pty", "y"), ("--json", "started")] {
        let start = Instant::now();
        let script = format!("timeout -k 1 20 {exe} run {options} -- yes | head -1");
        let output = Command::new("bash")
            .args(["-c", &script])
            .stdin(Stdio::null())
            .output();
        assert!(text(&output.unwrap().stdout).contains(first), "{options}");
        assert!(start.elapsed() < Duration::from_secs(10), "{options}");
    }
}

#[test]
fn what_is_shown_right_before_the_end_is_not_lost() {
    for _ in 0..20 {
        let output = on_a_terminal("true", "-- seq 5000");
        assert_eq!(text(&output.stdout).lines().last(), Some("5000"));
    }
}

#[test]
fn json_tells_the_start_and_the_end() {
    let output = run(&["--json", "--stdout", "null", "--", "sh", "-c", "exit 3"]);
    let told = events(&output.stdout);
    assert_eq!(told[0]["event"], "started");
    assert_eq!(
        (&told[1]["event"], &told[1]["code"]),
        (&"ended".into(), &3.into())
    );
    let output = run(&["--json", "--", "/nonexistent"]);
    let event = &events(&output.stdout)[0];
    assert_eq!(event["event"], "failed");
    assert_eq!(event["errno"], 2);
}

#[test]
fn with_json_what_the_program_writes_comes_as_events() {
    let script = "echo out; echo err >&2; printf 'no end'; exit 3";
    let output = run(&["--json", "--", "sh", "-c", script]);
    let told = events(&output.stdout);
    assert_eq!(written(&told, "stdout"), "out\nno end");
    assert_eq!(written(&told, "stderr"), "err\n");
    assert!(output.stderr.is_empty(), "{output:?}");
    assert_eq!(told.last().unwrap()["event"], "ended");
    assert_eq!(output.status.code(), Some(3));

    // A character that comes in two parts is one, and what is no text is bytes.
    let script = r"printf '\303'; sleep 0.3; printf '\251\0'; sleep 0.3; printf 'a\377b'; sleep 0.3; printf '\303'";
    let output = run(&["--json", "--", "sh", "-c", script]);
    let told = events(&output.stdout);
    let told = told.iter().filter(|event| event["event"] == "output");
    let told: Vec<_> = told
        .map(|event| (&event["text"], &event["bytes"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("\u{e9}\0"), &Value::Null),
            (&Value::Null, &json!([97, 255, 98])),
            (&Value::Null, &json!([195])),
        ]
    );

    let output = run(&["--json", "--pty", "--", "sh", "-c", "tty; echo err >&2"]);
    let shown = written(&events(&output.stdout), "terminal");
    assert!(
        shown.starts_with("/dev/pts/") && shown.ends_with("err\r\n"),
        "{shown:?}"
    );
}

#[test]
fn with_json_a_signal_that_is_passed_on_is_an_event() {
    let script = "trap 'exit 5' TERM; kill -TERM $PPID; while :; do sleep 0.01; done";
    let output = run(&["--json", "--timeout", "60", "--", "sh", "-c", script]);
    assert_eq!(output.status.code(), Some(5));
    let told = events(&output.stdout);
    assert!(
        told.contains(&json!({ "event": "signal", "signal": "SIGTERM" })),
        "{told:?}"
    );
}

#[test]
fn with_json_what_is_sent_elsewhere_goes_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let output = legwork()
        .args(["--json", "--stderr", "inherit", "--stdout"])
        .arg(&file)
        .args(["--", "sh", "-c", "echo out; echo err >&2"])
        .output()
        .unwrap();
    let told = events(&output.stdout);
    assert!(
        told.iter().all(|event| event["event"] != "output"),
        "{told:?}"
    );
    assert_eq!(text(&output.stderr), "err\n");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "out\n");
}

#[test]
fn with_json_much_output_arrives_whole_and_in_order() {
    for _ in 0..20 {
        let script = "seq 20000 & seq 20000 >&2; wait";
        let output = run(&["--json", "--", "sh", "-c", script]);
        let told = events(&output.stdout);
        let sequence: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
        for stream in ["stdout", "stderr"] {
            assert!(written(&told, stream) == sequence, "{stream}");
        }
        assert_eq!(told.last().unwrap()["event"], "ended");
    }
}

#[test]
fn with_json_the_last_output_arrives_although_the_reader_was_slow() {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = legwork()
        .args(["--json", "--timeout", "3", "--grace", "20"])
        .args(["--", "sh", "-c", script])
        .stdout(writer.try_clone().unwrap())
        .spawn()
        .unwrap();
    let (mut told, mut buffer) = (Vec::new(), [0; 4096]);
    while !text(&told).contains("ready") {
        let length = reader.read(&mut buffer).unwrap();
        told.extend_from_slice(&buffer[..length]);
    }
    let program = events(&told)[0]["pid"].as_u64().unwrap() as u32;
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[b'\n'; 4096]).is_ok() {}
    let deadline = Instant::now() + Duration::from_secs(10);
    while is_alive(program) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(100));
    drop(writer);
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    let told = events(text(&rest).trim_start().as_bytes());
    assert_eq!(written(&told, "stdout"), "bye\n", "{told:?}");
    assert_eq!(told.last().unwrap()["event"], "ended");
    assert_eq!(child.wait().unwrap().code(), Some(124));
}

#[test]
fn json_that_cannot_be_printed_is_told_and_leaves_the_program_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let script = format!("sleep 0.3; echo done > {}; exit 3", mark.display());
    let (reader, closed) = std::io::pipe().unwrap();
    drop(reader);
    let full = std::fs::File::create("/dev/full").unwrap();
    for stdout in [Stdio::from(closed), Stdio::from(full)] {
        let output = legwork()
            .args(["--json", "--stdout", "null", "--", "sh", "-c", &script])
            .stdout(stdout)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(3));
        let told = text(&output.stderr);
        assert!(told.contains("cannot be printed any more"), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        assert_eq!(std::fs::read(&mark).unwrap(), b"done\n");
        std::fs::remove_file(&mark).unwrap();
    }
}

#[test]
fn the_command_links_no_glib() {
    let output = Command::new("ldd")
        .arg(env!("CARGO_BIN_EXE_command_legwork"))
        .output()
        .unwrap();
    let libraries = text(&output.stdout);
    assert!(libraries.contains("libc.so"), "{libraries}");
    assert!(!libraries.contains("glib"), "{libraries}");
}
