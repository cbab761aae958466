//! `legwork doctor` names what a careless child would inherit, and says clearly what it cannot inspect.

mod app;
mod subjects;

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use app::{App, Helper, descriptor, doctor, json, legwork, text};
use legwork::spawn::{Plan, Program};
use legwork_tests::until;
use serde_json::{Value, json};

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
fn every_field_of_the_json_is_in_its_documentation() {
    fn fields(value: &Value, all: &mut Vec<String>) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| fields(value, all)),
            Value::Object(object) => {
                for (name, value) in object {
                    all.push(name.clone());
                    fields(value, all);
                }
            }
            _ => {}
        }
    }
    let app = App::start("careless");
    let mut all = Vec::new();
    fields(&json(&app.examine(&["--json", "--watch=0.1"])), &mut all);
    assert!(all.len() > 100);
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/doctor.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, schema) = page.split_once("## JSON").unwrap();
    for name in all {
        let is_there = [format!("`{name}`"), format!("`{name}[]`")];
        assert!(is_there.iter().any(|name| schema.contains(name)), "{name}");
    }
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
    let (input, output) = (std::io::pipe().unwrap(), std::io::pipe().unwrap());
    let child = Plan::new(Program::name("cat"))
        .stdin(input.0)
        .stdout(output.1)
        .spawn()
        .unwrap();
    // When it answers, its loader has closed what it had open.
    (&input.1).write_all(b"!").unwrap();
    (&output.0).read_exact(&mut [0]).unwrap();
    let output = doctor(&["--fork", &child.pid().to_string()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let table = text(&output.stdout);
    assert!(
        table.contains("no descriptor that a careless child"),
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
    // A busy loop writes to its own wakeup, too, which on a busy machine may be ready at every look by chance.
    let around = watch["spins_around"].as_array().unwrap();
    assert!(around.contains(&app.figure("wakeup").into()), "{watch:#}");
    assert!(around.len() <= 2, "{watch:#}");
    assert_eq!(watch["thread"]["is_main"], true);
    assert!(watch["thread"]["busy"].as_f64().unwrap() > 0.5, "{watch:#}");
    let ready = watch["ready"].as_array().unwrap();
    let wakeup = ready
        .iter()
        .find(|ready| ready["number"] == app.figure("wakeup"));
    assert_eq!(
        wakeup.unwrap()["waiting"],
        1,
        "nothing was taken: {watch:#}"
    );

    let table = app.examine(&["--watch=1"]);
    let table = text(&table.stdout);
    assert!(!table.contains("GOES WITH"), "it is not brief: {table}");
    let wakeup = format!("Descriptor {}, eventfd", app.figure("wakeup"));
    let line = table.lines().find(|line| line.contains(&wakeup));
    let line = line.unwrap_or_else(|| panic!("{table}"));
    assert!(
        line.contains(&format!("also held by sleep ({}", app.figure("heir"))),
        "{line}"
    );
}

#[test]
fn a_loop_that_a_forked_copy_keeps_busy_is_named_with_the_copy() {
    let plan = Plan::new(Program::path(env!("CARGO_BIN_EXE_woken_by_a_copy")));
    let helper = Helper::start(plan);
    // The copy wakes the loop as often as it has a processor, which on a busy machine can be seldom.
    let mut report = Value::Null;
    until("the doctor sees it spin", || {
        let output = helper.examine(&["--json", "--watch=1"]);
        assert_eq!(output.status.code(), Some(1));
        report = json(&output);
        report["watch"]["verdict"] == "spins"
    });
    let wakeup = descriptor(&report, |one| one["kind"] == "eventfd");
    let copy = helper.figure("copy");
    assert_eq!(wakeup["leaked_to"], serde_json::json!([copy]));
    let watch = &report["watch"];
    assert_eq!(watch["spins_around"], serde_json::json!([wakeup["number"]]));
    let notes = report["notes"].as_array().unwrap();
    let names_it = |note: &Value| {
        let text = note["text"].as_str().unwrap();
        note["scene"] == "S1" && text.contains(&format!("({copy}, its "))
    };
    assert!(notes.iter().any(names_it), "{notes:#?}");
}

#[test]
fn the_answer_comes_first_and_last_with_what_to_do() {
    let forks = "import multiprocessing as m, threading, time, sys
if __name__ == '__main__':
    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    m.set_start_method(sys.argv[1])
    child = m.Process(target=time.sleep, args=(600,))
    child.start()
    print('figure child', child.pid)
    print('ready', flush=True)
    time.sleep(600)";
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("pool.py");
    std::fs::write(&script, forks).unwrap();
    let start = |method| {
        let plan = Plan::new(Program::name("python3")).arg(&script);
        Helper::start(plan.arg(method))
    };
    let answer = |process: &Helper| {
        let output = process.examine(&[]);
        let table = text(&output.stdout);
        let mut paragraphs = table.trim().split("\n\n").skip(1);
        let first = paragraphs.next().unwrap().to_owned();
        assert_eq!(paragraphs.last(), Some(&*first), "{table}");
        (output.status.code(), first)
    };
    let forked = start("fork");
    let child = forked.figure("child");
    let (code, first) = answer(&forked);
    let words = format!("Forks of this process that have never executed a program: {child}. ");
    assert_eq!(code, Some(1), "{first}");
    assert!(first.starts_with(&words), "{first}");
    assert!(
        first.contains("What to do: Start children that execute"),
        "{first}"
    );
    assert!(first.contains("set_start_method(\"spawn\")"), "{first}");
    // The child, too, is told what it is.
    let report = json(&doctor(&["--json", &child.to_string()]));
    let words = format!("It is a fork of process {}", forked.pid());
    assert!(
        report["answer"].as_str().unwrap().starts_with(&words),
        "{report:#}"
    );

    // The cure, tried.
    let spawned = start("spawn");
    let (_, first) = answer(&spawned);
    assert!(!first.contains("Forks of this process"), "{first}");
}

#[test]
fn every_scene_is_explained_by_the_program_itself() {
    for scene in 1..=13 {
        let output = doctor(&["--explain", &format!("S{scene}")]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let told = text(&output.stdout);
        let (title, body) = told.split_once('\n').unwrap();
        assert!(title.starts_with(&format!("S{scene} ")), "{told}");
        assert!(title.len() > 10 && body.len() > 200, "{told}");
        for markup in ["](", "*Legwork", "**", "Test:", "Tests:", "|"] {
            assert!(!told.contains(markup), "{markup} in {told}");
        }
    }
    // A reader may have gone.
    let full = std::fs::File::create("/dev/full").unwrap();
    let unread = legwork().args(["--explain", "S1"]).stdout(full).status();
    assert_eq!(unread.unwrap().code(), Some(0));
}

#[test]
fn a_loop_is_not_said_to_spin_around_what_it_does_not_wait_for() {
    let start = |how| {
        let program = Program::path(env!("CARGO_BIN_EXE_busy_beside_a_closed_pipe"));
        Helper::start(Plan::new(program).arg(how))
    };
    // One that never sleeps cannot be seen to wait, and that is said.
    let idle = start("idle");
    let report = json(&idle.examine(&["--json", "--watch=1"]));
    let watch = &report["watch"];
    assert_eq!(watch["waits_for"], Value::Null, "{watch:#}");
    assert_eq!(watch["spins_around"], json!([idle.figure("closed")]));
    let notes = report["notes"].as_array().unwrap();
    let note = |kind: &str| notes.iter().find(|note| note["kind"] == kind).unwrap();
    let said = note("spins")["text"].as_str().unwrap();
    assert!(
        said.contains("it is not known what it waits for. If it waits for one of"),
        "{said}"
    );
    assert_eq!(note("suspect")["scene"], Value::Null);
    let answer = report["answer"].as_str().unwrap();
    assert!(
        answer.starts_with("A thread never sleeps, and may spin around"),
        "{answer}"
    );
    assert!(answer.contains("strace -p"), "{answer}");

    // One that sleeps now and then is seen not to wait for it.
    let often = start("often");
    let mut report = Value::Null;
    until("the loop is busy", || {
        report = json(&often.examine(&["--json", "--watch=1"]));
        report["watch"]["verdict"] != "quiet"
    });
    let watch = &report["watch"];
    let waits_for = watch["waits_for"].as_array().unwrap();
    assert!(
        waits_for.contains(&often.figure("timer").into()),
        "{watch:#}"
    );
    assert!(
        !waits_for.contains(&often.figure("closed").into()),
        "{watch:#}"
    );
    let around = watch["spins_around"].as_array().unwrap();
    assert!(
        !around.contains(&often.figure("closed").into()),
        "{watch:#}"
    );
}

#[test]
fn a_legwork_app_is_not_accused_of_its_guardian() {
    // The command stands in for an app: it runs a program, and has a guardian.
    let mut app = Command::new("setsid")
        .args([env!("CARGO_BIN_EXE_command_legwork"), "run", "--", "sleep"])
        .arg("600")
        .spawn()
        .unwrap();
    let command = |pid: u32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let guardian = || {
        let children = format!("/proc/{0}/task/{0}/children", app.id());
        let children = std::fs::read_to_string(children).unwrap();
        let mut children = children.split_whitespace().map(|pid| pid.parse().unwrap());
        children.find(|pid| text(&command(*pid)).contains("guardian"))
    };
    until("the guardian is there", || guardian().is_some());
    let guardian: u32 = guardian().unwrap();
    for pid in [app.id(), guardian] {
        let mut report = Value::Null;
        until("the guardian has its descriptors", || {
            report = json(&doctor(&["--json", &pid.to_string()]));
            let all = report["descriptors"].as_array().unwrap();
            let shared = all.iter().filter(|one| one["kind"] == "eventfd");
            shared
                .flat_map(|one| one["holders"].as_array())
                .flatten()
                .count()
                > 0
        });
        let bell = descriptor(&report, |one| one["kind"] == "eventfd");
        assert_eq!(bell["harm"], Value::Null, "{bell:#}");
        assert_eq!(bell["leaked_to"], json!([]), "{bell:#}");
        let notes = report["notes"].as_array().unwrap();
        let kinds = notes.iter().map(|note| note["kind"].as_str().unwrap());
        let kinds = kinds.collect::<Vec<_>>();
        assert!(!kinds.contains(&"held-by-children"), "{kinds:?}");
        assert_eq!(kinds.contains(&"is-guardian"), pid == guardian);
        assert_eq!(kinds.contains(&"blocked-by-main-thread"), pid != guardian);
    }
    app.kill().unwrap();
    app.wait().unwrap();
}

#[test]
fn a_program_that_computes_is_busy_and_no_descriptor_is_blamed() {
    let script = ["-c", "while :; do :; done"];
    let child = Plan::new(Program::name("sh")).args(script).spawn().unwrap();
    let output = doctor(&["--json", "--watch=0.5", &child.pid().to_string()]);
    assert_eq!(output.status.code(), Some(1));
    let watch = &json(&output)["watch"];
    assert_eq!(watch["verdict"], "busy", "{watch:#}");
    assert_eq!(watch["spins_around"], serde_json::json!([]));
}

#[test]
fn how_children_are_waited_for_is_told_as_far_as_it_shows() {
    let shell = |script: &str| Plan::new(Program::name("sh")).args(["-c", script]).spawn();
    let look = |pid: u32| {
        let output = doctor(&["--json", &pid.to_string()]);
        (output.status.code(), json(&output)["children"].clone())
    };
    // dash does not ignore this one when it is told to.
    let deaf = shell("exec env --ignore-signal=CHLD sleep 1000").unwrap();
    until("the shell has become what it starts", || {
        std::fs::read_to_string(format!("/proc/{}/comm", deaf.pid())).unwrap() == "sleep\n"
    });
    let (code, children) = look(deaf.pid());
    assert_eq!((code, &children["sigchld"]), (Some(1), &"ignored".into()));

    // A shell waits for whichever of its children ends; alone as it is, that is nobody else's.
    let waiting = shell("sleep 1000; true").unwrap();
    let pid = waiting.pid();
    until("the shell waits", || {
        look(pid).1["threads_that_wait_for_any"] == serde_json::json!([pid])
    });
    let (code, children) = look(pid);
    assert_eq!((code, &children["count"]), (Some(0), &1.into()));
}

#[test]
fn a_terminal_has_colours_and_an_edge_unless_they_are_not_wanted() {
    let app = App::start("careless");
    let on_a_terminal = |no_color: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_command_legwork"))
            .args([
                "run",
                "--pty",
                "--env",
                "TERM=xterm",
                "--env",
                no_color,
                "--",
            ])
            .args([env!("CARGO_BIN_EXE_command_legwork"), "doctor", &app.pid()])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(on_a_terminal("NO_COLOR=").contains("\x1b[1;31m"));
    let plain = on_a_terminal("NO_COLOR=1");
    assert!(!plain.contains('\x1b'), "{plain}");
    // The heading has the program's path, which is as long as it is.
    for line in plain.lines().skip(1) {
        assert!(line.trim_end().chars().count() <= 80, "{line:?}");
    }
}
