//! What the doctor inspects: processes, programs that it starts, and what is neither.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use legwork::spawn::{Plan, Program};
use legwork_tests::{is_alive, until};
use serde_json::Value;

use crate::app::{descriptor, doctor, legwork, text};

#[test]
fn what_is_no_process_to_look_at_is_said_in_a_sentence() {
    let fails = |arguments: &[&str], code, words: &str| {
        let output = doctor(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {output:?}");
        assert!(
            text(&output.stderr).contains(words),
            "{arguments:?} {output:?}"
        );
        assert!(output.stdout.is_empty(), "{output:?}");
    };
    fails(&["one"], 2, "not the number of a process");
    fails(&["1.5"], 2, "not the number of a process");
    fails(&["0"], 2, "numbered from 1 on");
    fails(&["-7"], 2, "numbered from 1 on");
    fails(&["4294967296"], 2, "as high as that");
    fails(&["99999999999999999999999"], 2, "not the number");
    fails(&[], 2, "PID");
    let here = std::process::id().to_string();
    fails(&[&here, "--", "true"], 2, "cannot be used with");
    fails(&["--after", "1", &here], 2, "cannot be used with");
    fails(&["--end", &here], 2, "cannot be used with");
    fails(&["--watch=0", &here], 2, "from 0.1 to 3600");
    fails(&["--watch=soon", &here], 2, "not a number");
    fails(&["--explain", "S14"], 2, "S1 to S13");
    // Above what the kernel hands out.
    fails(&["2147483647"], 125, "there is no process 2147483647");

    let mut child = Command::new("true").spawn().unwrap();
    let pid = child.id().to_string();
    until("it has ended", || !is_alive(child.id()));
    fails(&[&pid], 125, "has not waited for it");
    child.wait().unwrap();
    fails(&[&pid], 125, &format!("there is no process {pid}"));

    let thread = std::thread::spawn(std::thread::park);
    let other = std::fs::read_dir("/proc/self/task").unwrap();
    let other = other
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|number| *number != here)
        .unwrap();
    fails(&[&other], 125, &format!("a thread of process {here}"));
    thread.thread().unpark();
    thread.join().unwrap();

    let script = format!("exec {} doctor $$", env!("CARGO_BIN_EXE_command_legwork"));
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("this command itself"),
        "{output:?}"
    );

    // In a container there may be none.
    if std::fs::read_to_string("/proc/2/comm").is_ok_and(|name| name.trim() == "kthreadd") {
        fails(&["2"], 125, "a kernel thread");
    }
}

#[test]
fn a_process_of_another_user_is_looked_at_as_far_as_that_goes() {
    let mut command;
    let mut _child = None;
    let folder = tempfile::tempdir().unwrap();
    let own = rustix::process::getuid();
    if own.is_root() {
        // A copy where another user can reach it.
        let program = folder.path().join("legwork");
        std::fs::copy(env!("CARGO_BIN_EXE_command_legwork"), &program).unwrap();
        let everybody = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), everybody).unwrap();
        let child = Plan::new(Program::name("sleep")).arg("1000").spawn();
        let child = _child.insert(child.unwrap());
        command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(program)
            .args(["doctor", &child.pid().to_string()]);
    } else {
        command = legwork();
        command.arg(a_process_of_root());
    }
    let output = command.output().unwrap();
    let table = text(&output.stdout);
    for words in [
        "Not seen",
        "its descriptors: it belongs to user 0, and this command runs as user",
        "its environment: it belongs to user 0, and this command runs as user",
    ] {
        assert!(table.contains(words), "{output:?}");
    }
    assert!(table.contains("could not be read"), "{table}");
    assert!(!table.contains("no descriptor that"), "{table}");
    if own.is_root() {
        assert_eq!(output.status.code(), Some(125), "{table}");
    }
}

/// One that is no kernel thread.
fn a_process_of_root() -> String {
    let processes = std::fs::read_dir("/proc").unwrap();
    let processes = processes.map(|entry| entry.unwrap().path());
    let is_of_root = |process: &std::path::PathBuf| {
        let status = std::fs::read_to_string(process.join("status")).unwrap_or_default();
        status.contains("\nUid:\t0\t0\t") && status.contains("VmSize:")
    };
    let process = processes.into_iter().find(is_of_root);
    let process = process.expect("root runs something");
    process.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn a_program_is_started_looked_at_and_ended() {
    let output = doctor(&[
        "--end",
        "--",
        "sh",
        "-c",
        "echo from the program; exec sleep 1000",
    ]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    // The report stands alone.
    let table = text(&output.stdout);
    assert!(
        table.starts_with("Process ") && table.contains("sleep"),
        "{table}"
    );
    assert_eq!(text(&output.stderr), "from the program\n");
    let pid = table.split([' ', ',']).nth(1).unwrap().parse().unwrap();
    assert!(!is_alive(pid));
}

#[test]
fn a_program_that_does_not_stay_is_no_report() {
    let output = doctor(&["--after", "60", "--", "sh", "-c", "exit 3"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(
        text(&output.stderr).contains("ended before it was looked at: exit code 3"),
        "{output:?}"
    );
    assert_eq!(doctor(&["--", "/nonexistent/x"]).status.code(), Some(127));
    assert_eq!(doctor(&["--", "/etc/passwd"]).status.code(), Some(126));
}

#[test]
fn without_an_order_to_end_it_the_program_runs_until_it_is_asked_to_by_a_signal() {
    let mut command = legwork();
    command.args(["--json", "--", "sh", "-c"]);
    command.arg("trap 'exit 0' TERM; exec 9</dev/zero; while :; do sleep 0.01; done");
    let mut child: Child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut report = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    while !report.ends_with("\n}\n") {
        assert!(lines.read_line(&mut report).unwrap() > 0, "{report}");
    }
    let report: Value = serde_json::from_str(&report).unwrap();
    let nine = descriptor(&report, |one| one["number"] == 9);
    assert_eq!(nine["survives"], "exec");
    let pid = u32::try_from(report["pid"].as_u64().unwrap()).unwrap();
    assert!(is_alive(pid));
    let own = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(own, rustix::process::Signal::TERM).unwrap();
    // What was found is its answer, also when the program is gone.
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(!is_alive(pid));
    assert!(!Path::new("/proc").join(pid.to_string()).exists());
}

#[test]
fn a_process_whose_first_thread_has_ended_is_looked_at() {
    let script = "import ctypes, os, threading, time
os.set_inheritable(os.open('/dev/zero', os.O_RDONLY), True)
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).pthread_exit(None)";
    let mut child = Command::new("python3")
        .args(["-c", script])
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    until("the first thread's end", || {
        let text = std::fs::read_to_string(&status).unwrap();
        text.contains("State:\tZ")
    });
    let output = doctor(&[&child.id().to_string(), "--json"]);
    child.kill().unwrap();
    child.wait().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert_eq!(report["pid"], child.id(), "{output:?}");
    let zero = descriptor(&report, |one| one["description"] == "device /dev/zero");
    assert_eq!(zero["survives"], "exec", "{output:?}");
}

#[test]
fn what_was_inherited_from_a_shell_is_no_fault() {
    let look = |script: &str| {
        let mut child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let name = || std::fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap();
        until("the shell has become what it starts", || {
            name() == "sleep\n"
        });
        let output = doctor(&["--json", &child.id().to_string()]);
        child.kill().unwrap();
        child.wait().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), report)
    };
    // As in an app that a script has started in the background, and below nohup.
    let (code, report) = look("trap '' INT QUIT HUP PIPE; exec sleep 600 9</dev/null");
    assert_eq!(code, Some(0), "{report:#}");
    let notes = report["notes"].as_array().unwrap();
    let ignored = notes
        .iter()
        .find(|note| note["kind"] == "ignored-by-custom");
    let said = ignored.unwrap()["text"].as_str().unwrap();
    assert!(said.contains("SIGHUP, SIGINT, SIGQUIT, SIGPIPE"), "{said}");
    let token = "export XDG_ACTIVATION_TOKEN=x GIO_LAUNCHED_DESKTOP_FILE=y; exec sleep 600";
    assert_eq!(look(token).0, Some(0));
    // The controls: nobody starts a program so.
    for script in [
        "trap '' USR1; exec sleep 600",
        "exec sleep 600 9</dev/zero",
        "WAYLAND_SOCKET=9 exec sleep 600",
    ] {
        let (code, report) = look(script);
        assert_eq!(code, Some(1), "{script} {report:#}");
    }

    // A parent that has it by the same number has passed it on.
    let script = "exec 9</dev/zero; sleep 600 & echo $!; wait";
    let (reader, writer) = std::io::pipe().unwrap();
    let shell = Plan::new(Program::name("sh")).args(["-c", script]);
    let shell = shell.stdout(writer).spawn().unwrap();
    let mut pid = String::new();
    BufReader::new(reader).read_line(&mut pid).unwrap();
    let pid = pid.trim();
    until("the shell's child is what it starts", || {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap() == "sleep\n"
    });
    let output = doctor(&[pid]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        said.contains("Inherited from its parent, and not close-on-exec: descriptor 9"),
        "{said}"
    );
    assert_eq!(doctor(&[&shell.pid().to_string()]).status.code(), Some(1));
}

#[test]
fn a_healthy_legwork_app_has_no_fault() {
    let mut app = Command::new(env!("CARGO_BIN_EXE_app_that_dies"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut requests = app.stdin.take().unwrap();
    let mut answers = BufReader::new(app.stdout.take().unwrap());
    for request in ["program", "own job"] {
        writeln!(requests, "{request}").unwrap();
        answers.read_line(&mut String::new()).unwrap();
    }
    let output = doctor(&[&app.id().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    app.kill().unwrap();
    app.wait().unwrap();
}

#[test]
fn a_proc_of_another_pid_namespace_is_noticed() {
    let exe = env!("CARGO_BIN_EXE_command_legwork");
    let script = format!("sleep 600 & sleep 0.5; exec {exe} doctor $!");
    let look = |option: Option<&str>| {
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--pid", "--fork"])
            .args(option)
            .args(["sh", "-c", &script])
            .output()
            .unwrap()
    };
    let control = look(Some("--mount-proc"));
    if text(&control.stderr).contains("unshare") {
        eprintln!("not tried: {}", text(&control.stderr));
        return;
    }
    assert_eq!(control.status.code(), Some(0), "{control:?}");
    assert!(text(&control.stdout).contains(", sleep"), "{control:?}");
    let output = look(None);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    assert!(
        text(&output.stderr).contains("another PID namespace"),
        "{output:?}"
    );
}
