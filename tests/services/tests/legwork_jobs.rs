//! `legwork jobs`, with real apps on a bus of their own.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use legwork::gio::{self, prelude::*};
use legwork::glib::variant::ObjectPath;
use legwork::glib::{MainContext, Variant};
use legwork_service_tests::listed::{App, PATH, call, until};
use legwork_service_tests::private_bus::PrivateBus;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const APP: &str = env!("CARGO_BIN_EXE_listed_app");
const PHOTOS: &str = "org.example.Photos";
const MUSIC: &str = "org.example.Music";

fn legwork(address: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_legwork_command"));
    command.arg("jobs").args(arguments).stdin(Stdio::null());
    command.env("DBUS_SESSION_BUS_ADDRESS", address);
    command
}

fn jobs(address: &str, arguments: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = legwork(address, arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// What `list --json` prints.
fn list(bus: &PrivateBus) -> Vec<Value> {
    let (code, stdout, stderr) = jobs(bus.address(), &["--json"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report["schema"], 1);
    report["jobs"].as_array().unwrap().clone()
}

fn start(bus: &PrivateBus, id: &str, task: &str) -> App {
    let mut app = App::start(APP, bus.address(), &[id]);
    app.tell(task);
    app.until_available("Available");
    app
}

fn id_of<'a>(jobs: &'a [Value], label: &str) -> &'a str {
    let job = jobs.iter().find(|job| job["label"] == label);
    job.unwrap()["id"].as_str().unwrap()
}

#[test]
fn the_jobs_of_two_apps_are_listed_paused_shown_and_cancelled() {
    let bus = PrivateBus::start();
    let photos = start(&bus, PHOTOS, "report 100 1000");
    let music = start(&bus, MUSIC, "sleep");
    until("it has a total", || list(&bus)[1]["total"] == 100_000);
    let now = list(&bus);
    assert_eq!(now.len(), 2);
    let (sleeps, reports) = (id_of(&now, "Sleeps"), id_of(&now, "Reports"));
    assert_eq!(
        (sleeps, reports),
        ("org.example.Music/1", "org.example.Photos/1")
    );
    assert_eq!(now[0]["state"], "running");
    let started = now[0]["started_at"].as_i64().unwrap();
    assert!(started > 1_700_000_000_000_000);

    let (code, table, _) = jobs(bus.address(), &[]);
    println!("{table}");
    assert_eq!(code, 0);
    assert!(table.lines().next().unwrap().starts_with("JOB "));
    assert_eq!(table.lines().count(), 3);

    for (method, paused) in [("pause", true), ("resume", false)] {
        assert_eq!(
            jobs(bus.address(), &[method, sleeps, reports]),
            (0, String::new(), String::new())
        );
        until("both are", || {
            list(&bus).iter().all(|job| job["paused"] == paused)
        });
    }
    let mut show = legwork(bus.address(), &["show", sleeps]);
    show.env("XDG_ACTIVATION_TOKEN", "a token");
    assert!(show.status().unwrap().success());
    assert_eq!(music.wait("show"), "Sleeps a token");

    assert_eq!(
        jobs(bus.address(), &["cancel", sleeps, reports]),
        (0, String::new(), String::new())
    );
    assert_eq!(music.wait("ended Sleeps"), "cancelled");
    assert_eq!(photos.wait("ended Reports"), "cancelled");
    until("the list is empty", || list(&bus).is_empty());
    let (code, table, _) = jobs(bus.address(), &["list"]);
    assert_eq!(
        (code, table.as_str()),
        (0, "No app in this session shows a job.\n")
    );
}

#[test]
fn what_cannot_be_done_is_a_sentence_and_an_exit_code() {
    let bus = PrivateBus::start();
    let mut music = App::start(APP, bus.address(), &[MUSIC, "silent"]);
    music.tell("sleep");
    music.until_available("Available");
    let say = |arguments: &[&str], expected: i32| {
        let (code, _, stderr) = jobs(bus.address(), arguments);
        println!("{arguments:?}: {}", stderr.trim());
        assert_eq!(code, expected);
        stderr
    };
    assert_eq!(
        say(&["cancel", "org.example.Nobody/1"], 1),
        "legwork: there is no job org.example.Nobody/1\n"
    );
    let refused = "legwork: org.example.Music/1: the app does not show its jobs\n";
    assert_eq!(say(&["show", "org.example.Music/1"], 1), refused);
    // One that cannot be done does not keep the others from it.
    say(&["cancel", "nothing", "org.example.Music/1"], 1);
    assert_eq!(music.wait("ended Sleeps"), "cancelled");
    for wrong in [
        ["cancel"].as_slice(),
        &["show", "a", "b"],
        &["destroy"],
        &["--json", "cancel", "a"],
    ] {
        say(wrong, 2);
    }
}

#[test]
fn without_a_bus_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let silent = folder.path().join("silent");
    let _listener = UnixListener::bind(&silent).unwrap();
    let rude = folder.path().join("rude");
    let rude_listener = UnixListener::bind(&rude).unwrap();
    std::thread::spawn(move || {
        for mut stream in rude_listener.incoming().flatten() {
            let _ = std::io::Write::write_all(
                &mut stream,
                b"DATA\r\nOK 1234\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            );
        }
    });
    let of = |path: &std::path::Path| format!("unix:path={}", path.display());
    for address in [
        of(&folder.path().join("absent")),
        "no address".to_owned(),
        "tcp:host=localhost,port=1".to_owned(),
        of(&rude),
        of(&silent),
    ] {
        let begin = Instant::now();
        let (code, _, stderr) = jobs(&address, &[]);
        println!("{stderr}{:?}", begin.elapsed());
        assert_eq!(code, 125, "{address}");
        assert!(stderr.starts_with("legwork: the session bus "), "{stderr}");
    }
}

#[test]
fn an_app_that_hangs_does_not_keep_the_others_from_the_list() {
    let bus = PrivateBus::start();
    let photos = start(&bus, PHOTOS, "sleep");
    let _music = start(&bus, MUSIC, "sleep");
    let process = Pid::from_raw(photos.id() as i32).unwrap();
    kill_process(process, Signal::STOP).unwrap();
    let begin = Instant::now();
    let (code, table, stderr) = jobs(bus.address(), &[]);
    println!("{table}{stderr}{:?}", begin.elapsed());
    assert_eq!(
        (code, stderr.as_str()),
        (1, "legwork: org.example.Photos does not answer\n")
    );
    assert!(table.contains("org.example.Music/1") && !table.contains("org.example.Photos"));
}

/// An object manager that answers with `answer`, under a name for jobs.
fn impostor(bus: &PrivateBus, name: &'static str, answer: fn() -> Variant) {
    let connection = bus.connect();
    let ready = std::sync::Arc::new(std::sync::Barrier::new(2));
    let is_ready = ready.clone();
    std::thread::spawn(move || {
        let context = MainContext::new();
        let serve = || {
            let node = gio::DBusNodeInfo::for_xml(
                "<node><interface name='org.freedesktop.DBus.ObjectManager'>\
                 <method name='GetManagedObjects'/></interface></node>",
            );
            let interface = node
                .unwrap()
                .lookup_interface("org.freedesktop.DBus.ObjectManager");
            connection
                .register_object(PATH, &interface.unwrap())
                .method_call(move |connection, _, _, _, _, _, invocation| {
                    // GDBus would check the types of an answer that it makes itself.
                    let reply = invocation.message().new_method_reply();
                    reply.set_body(&answer());
                    let flags = gio::DBusSendMessageFlags::NONE;
                    connection.send_message(&reply, flags).unwrap();
                })
                .build()
                .unwrap();
            let request = (name, 4u32).to_variant();
            let (daemon, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
            call(
                &connection,
                daemon,
                path,
                (daemon, "RequestName"),
                Some(&request),
            )
            .unwrap();
            is_ready.wait();
            context.block_on(std::future::pending::<()>());
        };
        context.with_thread_default(serve)
    });
    ready.wait();
}

#[test]
fn what_an_impostor_says_is_shown_without_harm_or_not_at_all() {
    let bus = PrivateBus::start();
    let _music = start(&bus, MUSIC, "sleep");
    impostor(&bus, "org.example.A.LegworkJobs", || {
        ("no objects", 3u32).to_variant()
    });
    impostor(&bus, "org.example.B.LegworkJobs", || {
        managed([
            ("Label", "\u{1b}[2J\nroot's job".to_variant()),
            ("State", 7u32.to_variant()),
            ("Fraction", f64::NAN.to_variant()),
            ("Total", 3u64.to_variant()),
            ("Text", "x".repeat(1_000_000).to_variant()),
        ])
    });
    impostor(&bus, "org.example.C.LegworkJobs", || {
        managed([("Label", "y".repeat(20_000_000).to_variant())])
    });
    let (code, table, stderr) = jobs(bus.address(), &[]);
    println!("{}{stderr}", &table[..table.len().min(400)]);
    assert!(!table.contains('\u{1b}'));
    assert!(table.contains("org.example.B/1  ") && table.contains("root's job"));
    assert!(table.contains(&format!("{MUSIC}/1")));
    assert_eq!(
        (code, stderr.as_str()),
        (1, "legwork: org.example.C does not answer\n")
    );
}

/// What GetManagedObjects answers of one job.
fn managed<const N: usize>(properties: [(&str, Variant); N]) -> Variant {
    let path = ObjectPath::try_from("/org/legwork/Jobs1/1").unwrap();
    let interfaces = HashMap::from([("org.legwork.Jobs1.Job", HashMap::from(properties))]);
    (HashMap::from([(path, interfaces)]),).to_variant()
}

/// `legwork jobs watch`, which is killed when this is dropped.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn start(bus: &PrivateBus, arguments: &[&str]) -> Self {
        let mut command = legwork(bus.address(), &[&["watch"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            stdout
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Watch { child, lines }
    }

    fn wait_for(&self, expected: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self
                .lines
                .recv_timeout(Duration::from_secs(20))
                .expect("such a line");
            println!("{line}");
            if expected(&line) {
                return line;
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_watches_jobs_come_change_and_go() {
    let bus = PrivateBus::start();
    let photos = start(&bus, PHOTOS, "sleep");
    let watch = Watch::start(&bus, &[]);
    watch.wait_for(|line| line == "org.example.Photos/1  Sleeps  running");
    let mut music = start(&bus, MUSIC, "report 50 2");
    watch.wait_for(|line| {
        line.starts_with("org.example.Music/1  Reports  running ") && line.ends_with(" %")
    });
    watch.wait_for(|line| line == "org.example.Music/1  Reports  finished");
    music.tell("fail");
    let failed = "org.example.Music/2  Fails  failed: there is no more room";
    watch.wait_for(|line| line == failed);
    let paused = jobs(bus.address(), &["pause", "org.example.Photos/1"]);
    assert_eq!(paused, (0, String::new(), String::new()));
    watch.wait_for(|line| line == "org.example.Photos/1  Sleeps  paused");
    drop(photos);
    watch.wait_for(|line| line == "org.example.Photos/1  Sleeps  gone with its app");
}

#[test]
fn it_watches_as_json_until_the_bus_goes_away() {
    let mut bus = PrivateBus::start();
    let mut watch = Watch::start(&bus, &["--json"]);
    let _music = start(&bus, MUSIC, "report 50 1");
    let event = |name: &str| {
        let line = watch.wait_for(|line| line.contains(&format!("\"event\":\"{name}\"")));
        serde_json::from_str::<Value>(&line).unwrap()
    };
    assert_eq!(event("added")["job"]["label"], "Reports");
    event("changed");
    assert_eq!(event("removed")["job"]["state"], "finished");
    bus.kill();
    assert_eq!(watch.child.wait().unwrap().code(), Some(125));
}
