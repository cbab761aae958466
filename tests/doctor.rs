//! `legwork doctor` names what a careless child would inherit, and says clearly what it cannot look at.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use legwork::process::Process;
use legwork::spawn::{Plan, Program};
use legwork_tests::bus::SessionBus;
use legwork_tests::display::Display;
use legwork_tests::{is_alive, until};
use serde_json::Value;

fn legwork() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_legwork"));
    command.arg("doctor").stdin(Stdio::null());
    command
}

fn doctor(arguments: &[&str]) -> Output {
    legwork().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A running `careless_app`, with what it needs around it.
struct App {
    process: Process,
    figures: Vec<(String, u64)>,
    server: TcpListener,
    _accepted: TcpStream,
    _display: Display,
    _bus: SessionBus,
    _folder: tempfile::TempDir,
}

impl App {
    fn start(how: &str) -> Self {
        let (display, bus) = (Display::get(), SessionBus::get());
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let inhibit = folder.path().join("systemd/inhibit");
        std::fs::create_dir_all(&inhibit).unwrap();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, inhibit.join("7.ref"), mode).unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let mut plan = Plan::new(Program::path(env!("CARGO_BIN_EXE_careless_app")))
            .arg(how)
            .arg(server.local_addr().unwrap().to_string())
            .arg(folder.path())
            .env(Display::VARIABLE, display.name())
            .env(SessionBus::VARIABLE, bus.address())
            .stdout(writer);
        if how == "careless" {
            plan = plan
                .env("WAYLAND_SOCKET", "77")
                .env("LISTEN_FDS", "1")
                .env("DBUS_STARTER_ADDRESS", bus.address())
                .env("BORG_PASSPHRASE_FD", "3")
                .env("XDG_ACTIVATION_TOKEN", "secret-token");
        }
        let process = plan.spawn().unwrap();
        let mut figures = Vec::new();
        for line in BufReader::new(reader).lines() {
            let line = line.unwrap();
            if line == "ready" {
                break;
            }
            if let Some((name, value)) = line
                .strip_prefix("figure ")
                .and_then(|line| line.split_once(' '))
            {
                figures.push((name.to_owned(), value.parse().unwrap()));
            }
        }
        // So that its end of the connection has somebody at the other.
        let accepted = server.accept().unwrap().0;
        Self {
            process,
            figures,
            _accepted: accepted,
            server,
            _display: display,
            _bus: bus,
            _folder: folder,
        }
    }

    fn figure(&self, name: &str) -> u64 {
        let found = self.figures.iter().find(|(known, _)| known == name);
        found
            .unwrap_or_else(|| panic!("the app told no {name}: {:?}", self.figures))
            .1
    }

    fn pid(&self) -> String {
        self.process.pid().to_string()
    }

    fn examine(&self, options: &[&str]) -> Output {
        legwork().args(options).arg(self.pid()).output().unwrap()
    }
}

fn descriptor(report: &Value, is: impl Fn(&Value) -> bool) -> &Value {
    let all = report["descriptors"].as_array().unwrap();
    all.iter()
        .find(|one| is(one))
        .unwrap_or_else(|| panic!("{report:#}"))
}

#[test]
fn every_carelessness_is_named_in_json() {
    let app = App::start("careless");
    let output = app.examine(&["--json"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report = json(&output);
    assert_eq!(
        (&report["schema"], &report["found"]),
        (&1.into(), &true.into())
    );
    assert_eq!(report["name"], "careless_app");

    let by_number = |name| descriptor(&report, |one| one["number"] == app.figure(name));
    let by_service = |name| descriptor(&report, |one| one["service"] == name);
    let scene = |one: &Value| one["harm"]["scene"].clone();
    let wakeup = by_number("wakeup");
    assert_eq!(
        (&wakeup["kind"], scene(wakeup)),
        (&"eventfd".into(), "S1".into())
    );
    let bus = by_service("session bus");
    assert_eq!(
        (&bus["survives"], scene(bus)),
        (&"fork".into(), "S2".into())
    );
    assert_eq!(by_service("X11 display"), by_number("display"));
    let server = by_number("server");
    let address = app.server.local_addr().unwrap().to_string();
    assert!(
        server["description"].as_str().unwrap().contains(&address),
        "{server}"
    );
    assert_eq!(
        (&server["kind"], scene(server)),
        (&"tcp-socket".into(), "S3".into())
    );
    assert_eq!(by_number("memory")["description"], r#"memory "pixels""#);
    assert_eq!(by_number("inhibitor")["kind"], "inhibitor");
    let log = by_number("log");
    assert_eq!(
        (&log["survives"], &log["found"]),
        (&"exec".into(), &true.into())
    );
    assert_eq!(scene(log), "S5");

    // The other ends: here, for the server; with the X server and the bus, whatever they are called.
    let here = |holder: &Value| holder["pid"] == std::process::id() && holder["end"] == "other";
    assert!(
        server["holders"].as_array().unwrap().iter().any(here),
        "{server}"
    );
    for connection in [bus, by_number("display")] {
        let holders = connection["holders"].as_array().unwrap();
        assert!(
            holders.iter().any(|holder| holder["end"] == "other"),
            "{connection}"
        );
    }

    let variables = report["variables"].as_array().unwrap();
    let variable = |name| {
        let found = variables.iter().find(|variable| variable["name"] == name);
        found.unwrap_or_else(|| panic!("{report:#}"))
    };
    assert_eq!(variable("WAYLAND_SOCKET")["descriptors"][0]["number"], 77);
    assert_eq!(
        variable("WAYLAND_SOCKET")["descriptors"][0]["description"],
        Value::Null
    );
    assert_eq!(variable("LISTEN_FDS")["descriptors"][0]["number"], 3);
    assert_ne!(
        variable("BORG_PASSPHRASE_FD")["descriptors"][0]["description"],
        Value::Null
    );
    variable("DBUS_STARTER_ADDRESS");
    assert_eq!(variable("XDG_ACTIVATION_TOKEN")["value"], Value::Null);

    let signals = &report["signals"];
    let blocked = signals["blocked"].as_array().unwrap();
    let main: Vec<_> = blocked
        .iter()
        .filter(|one| one["by_main_thread"] == true)
        .collect();
    assert_eq!(main.len(), 1, "{signals}");
    assert_eq!(main[0]["signal"], "SIGUSR1");
    assert_eq!(signals["ignored"], serde_json::json!(["SIGUSR2"]));
    assert_eq!(
        report["children"]["zombies"],
        serde_json::json!([app.figure("zombie")])
    );
    assert_eq!(wakeup["leaked_to"], serde_json::json!([app.figure("heir")]));
    assert_eq!(report["unreadable"], serde_json::json!([]));
}

#[test]
fn every_carelessness_is_named_in_the_table() {
    let app = App::start("careless");
    let output = app.examine(&[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let table = text(&output.stdout);
    assert!(!table.contains('\x1b'), "a pipe has no colours: {table}");
    let has_row = |number: u64, words: &[&str]| {
        let start = format!("{number} ");
        let row = table
            .lines()
            .find(|line| line.trim_start().starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("no row of {number}: {table}"));
        assert!(
            words.iter().all(|words| row.contains(words)),
            "{words:?} in {row}"
        );
    };
    has_row(app.figure("wakeup"), &["eventfd", "fork", "S1 "]);
    has_row(app.figure("display"), &["(X11 display)", "S3 "]);
    let address = app.server.local_addr().unwrap().to_string();
    has_row(
        app.figure("server"),
        &["TCP connection to", &address, "S3 "],
    );
    has_row(app.figure("memory"), &[r#"memory "pixels""#]);
    has_row(app.figure("inhibitor"), &["inhibitor", "awake"]);
    has_row(app.figure("log"), &["app.log", "fork, exec", "S5 "]);
    for words in [
        "(session bus)",
        "WAYLAND_SOCKET=77; 77 is not open",
        "LISTEN_FDS=1; 3 is",
        "DBUS_STARTER_ADDRESS",
        "XDG_ACTIVATION_TOKEN.",
        "Blocked in the main thread: SIGUSR1.",
        "Ignored: SIGUSR2.",
        "nobody has waited for them",
        "(S4)",
        &format!("also held by sleep ({}, its 3)", app.figure("heir")),
    ] {
        assert!(table.contains(words), "no {words:?} in {table}");
    }
    assert!(!table.contains("secret-token"), "{table}");
}

#[test]
fn control_a_careful_app_gives_nothing_to_complain_of() {
    let app = App::start("careful");
    let output = app.examine(&["--json", "--watch=0.5"]);
    let report = json(&output);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(report["found"], false);
    assert_eq!(report["watch"]["verdict"], "quiet", "{report:#}");
    // The connections are there all the same: a fork that closes nothing takes them along, and that counts on request.
    assert!(text(&app.examine(&[]).stdout).contains("(session bus)"));
    assert_eq!(app.examine(&["--fork"]).status.code(), Some(1));
}

#[test]
fn a_program_with_nothing_but_the_three_has_no_harm_at_all() {
    let child = Plan::new(Program::name("sleep"))
        .arg("1000")
        .spawn()
        .unwrap();
    let output = doctor(&["--fork", &child.pid().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let table = text(&output.stdout);
    assert!(
        table.contains("No descriptor that a careless child"),
        "{table}"
    );
    assert!(
        !table.contains("Signals") && !table.contains("Not seen"),
        "{table}"
    );
}

#[test]
fn a_loop_that_spins_is_named_with_its_descriptor_and_who_else_holds_it() {
    let app = App::start("careless");
    let output = app.examine(&["--json", "--watch=1"]);
    assert_eq!(output.status.code(), Some(1));
    let report = json(&output);
    let watch = &report["watch"];
    assert_eq!(watch["verdict"], "spins", "{watch:#}");
    assert_eq!(
        watch["spins_around"],
        serde_json::json!([app.figure("wakeup")]),
        "{watch:#}"
    );
    assert_eq!(watch["thread"]["is_main"], true);
    assert!(watch["thread"]["busy"].as_f64().unwrap() > 0.5, "{watch:#}");
    assert_eq!(
        watch["ready"][0]["waiting"], 1,
        "nothing was taken: {watch:#}"
    );

    let table = app.examine(&["--watch=1"]);
    let table = text(&table.stdout);
    let wakeup = format!("Descriptor {}, eventfd", app.figure("wakeup"));
    let line = table.lines().find(|line| line.contains(&wakeup));
    let line = line.unwrap_or_else(|| panic!("{table}"));
    assert!(
        line.contains(&format!("also held by sleep ({}", app.figure("heir"))),
        "{line}"
    );
}

#[test]
fn a_terminal_has_colours_and_an_edge_unless_they_are_not_wanted() {
    let app = App::start("careless");
    let on_a_terminal = |no_color: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_legwork"))
            .args([
                "run",
                "--pty",
                "--env",
                "TERM=xterm",
                "--env",
                no_color,
                "--",
            ])
            .args([env!("CARGO_BIN_EXE_legwork"), "doctor", &app.pid()])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(on_a_terminal("NO_COLOR=").contains("\x1b[1;31m"));
    let plain = on_a_terminal("NO_COLOR=1");
    assert!(!plain.contains('\x1b'), "{plain}");
    for line in plain.lines() {
        assert!(line.trim_end().chars().count() <= 80, "{line:?}");
    }
}

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

    let script = format!("exec {} doctor $$", env!("CARGO_BIN_EXE_legwork"));
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("this command itself"),
        "{output:?}"
    );

    // In a container there may be none.
    if std::fs::read_to_string("/proc/2/comm").is_ok_and(|name| name.trim() == "kthreadd") {
        fails(&["2"], 125, "a thread of the kernel");
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
        std::fs::copy(env!("CARGO_BIN_EXE_legwork"), &program).unwrap();
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
    assert!(!table.contains("No descriptor that"), "{table}");
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
    let output = doctor(&["--", "sh", "-c", "exit 3"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(
        text(&output.stderr).contains("ended before it was looked at: exit code 3"),
        "{output:?}"
    );
    assert_eq!(doctor(&["--", "no-such-program"]).status.code(), Some(127));
    assert_eq!(doctor(&["--", "/etc/passwd"]).status.code(), Some(126));
}

#[test]
fn without_an_order_to_end_it_the_program_runs_until_it_is_asked_to_by_a_signal() {
    let mut command = legwork();
    command.args(["--after", "0.1", "--json", "--", "sh", "-c"]);
    command.arg("trap 'exit 0' TERM; exec 9<&0; while :; do sleep 0.01; done");
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
