//! The jobs of an app on the session bus, as others see them: `org.legwork.Jobs1`.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use legwork::glib::prelude::*;
use legwork::glib::{self, Variant};
use legwork_service_tests::listed::{
    App, JOB, PATH, Properties, Signals, act, call, jobs, listen, names, until, wait_for_jobs,
};
use legwork_service_tests::private_bus::PrivateBus;
use rustix::process::Signal;

const APP: &str = env!("CARGO_BIN_EXE_listed_app");
const ID: &str = "org.example.Listed";
const NAME: &str = "org.example.Listed.LegworkJobs";

fn text(job: &Properties, property: &str) -> String {
    job[property].get().expect("a string")
}

fn flag(job: &Properties, property: &str) -> bool {
    job[property].get().expect("a boolean")
}

/// The job's property as it is now, as the object itself says.
fn property(bus: &legwork::gio::DBusConnection, path: &str, name: &str) -> Variant {
    let interface = "org.freedesktop.DBus.Properties";
    let arguments = (JOB, name).to_variant();
    let answer = call(bus, NAME, path, (interface, "Get"), Some(&arguments)).unwrap();
    answer.get::<(Variant,)>().unwrap().0
}

fn remote_name(error: &glib::Error) -> String {
    legwork::gio::DBusError::remote_error(error)
        .map(String::from)
        .unwrap_or_default()
}

#[test]
fn a_job_is_on_the_bus_from_its_start_to_its_end() {
    let bus = PrivateBus::start();
    let (watcher, mut app) = (bus.connect(), App::start(APP, bus.address(), &[ID]));
    let signals = Signals::of(&watcher);
    assert!(names(&watcher).is_empty());
    assert_eq!(app.ask("availability"), "Unused");

    app.tell("report 100 2");
    let found = wait_for_jobs(&watcher, NAME, 1);
    let (path, job) = found.first_key_value().unwrap();
    assert!(path.starts_with(PATH));
    assert_eq!(text(job, "Label"), "Reports");
    assert!(text(job, "Name").ends_with("Report"), "{job:?}");
    assert!(flag(job, "CanStop") && flag(job, "CanPause") && flag(job, "CanShow"));
    assert!(!flag(job, "Paused"));
    assert_eq!(text(job, "Error"), "");
    assert!(job["Pid"].get::<u32>().unwrap() > 0);
    let age = glib::real_time() - job["StartedAt"].get::<i64>().unwrap();
    assert!((0..20_000_000).contains(&age), "{age} us");
    until("it runs", || {
        property(&watcher, path, "State").get() == Some("running".to_owned())
    });
    until("it has a total", || {
        property(&watcher, path, "Total").get() == Some(200u64)
    });
    until("it has progress", || {
        property(&watcher, path, "Fraction").get() > Some(0.2)
    });
    assert_eq!(app.ask("availability"), "Available");

    assert_eq!(app.wait("ended Reports"), "well");
    until("its name is gone", || names(&watcher).is_empty());
    until("it is gone", || {
        signals.named("InterfacesRemoved").len() == 1
    });
    let last = signals.named("PropertiesChanged").pop().unwrap();
    type Changed = (String, Properties, Vec<String>);
    let (_, last, _) = last.arguments.get::<Changed>().unwrap();
    assert_eq!(text(&last, "State"), "finished");
    assert!(!flag(&last, "CanStop"));
    assert_eq!(last["Pid"].get(), Some(0u32));
    assert_eq!(signals.named("InterfacesAdded").len(), 1);
    assert_eq!(app.ask("availability"), "Unused");
}

#[test]
fn its_failure_is_told_and_what_has_not_started_is_not_listed() {
    let bus = PrivateBus::start();
    let (watcher, mut app) = (bus.connect(), App::start(APP, bus.address(), &[ID]));
    let signals = Signals::of(&watcher);
    app.tell("missing");
    app.wait("ended Missing");
    app.tell("fail");
    app.wait("ended Fails");
    until("it is gone", || {
        signals.named("InterfacesRemoved").len() == 1
    });
    let changes = signals.named("PropertiesChanged");
    let (_, last, _) = (changes.last().unwrap().arguments)
        .get::<(String, Properties, Vec<String>)>()
        .unwrap();
    assert_eq!(text(&last, "State"), "failed");
    assert!(
        text(&last, "Error").contains("there is no more room"),
        "{last:?}"
    );
    assert_eq!(signals.named("InterfacesAdded").len(), 1);
}

#[test]
fn a_job_is_paused_resumed_shown_and_cancelled_from_outside() {
    let bus = PrivateBus::start();
    let (other, mut app) = (bus.connect(), App::start(APP, bus.address(), &[ID]));
    app.tell("sleep");
    app.tell("report 10 1000");
    let found = wait_for_jobs(&other, NAME, 2);
    let label = |label: &str| {
        let path = found.iter().find(|(_, job)| text(job, "Label") == label);
        path.expect("both are there").0.clone()
    };
    let (sleeps, reports) = (label("Sleeps"), label("Reports"));

    for (method, paused) in [("Pause", true), ("Resume", false)] {
        for path in [&sleeps, &reports] {
            act(&other, NAME, path, method).unwrap();
            let property = || property(&other, path, "Paused").get() == Some(paused);
            until("it is or is not paused", property);
        }
    }
    let token = ("a token",).to_variant();
    call(&other, NAME, &sleeps, (JOB, "Show"), Some(&token)).unwrap();
    assert_eq!(app.wait("show"), "Sleeps a token");

    for (path, label) in [(&sleeps, "Sleeps"), (&reports, "Reports")] {
        act(&other, NAME, path, "Cancel").unwrap();
        assert_eq!(app.wait(&format!("ended {label}")), "cancelled");
        let error = act(&other, NAME, path, "Cancel").unwrap_err();
        println!("once it has ended: {error}");
    }
    until("its name is gone", || names(&other).is_empty());
}

#[test]
fn an_app_that_shows_no_jobs_says_so() {
    let bus = PrivateBus::start();
    let (other, mut app) = (
        bus.connect(),
        App::start(APP, bus.address(), &[ID, "silent"]),
    );
    app.tell("sleep");
    let found = wait_for_jobs(&other, NAME, 1);
    let (path, job) = found.first_key_value().unwrap();
    assert!(!flag(job, "CanShow"));
    let error = call(&other, NAME, path, (JOB, "Show"), Some(&("",).to_variant())).unwrap_err();
    assert_eq!(
        remote_name(&error),
        "org.freedesktop.DBus.Error.NotSupported"
    );
}

#[test]
fn ten_thousand_reports_a_second_are_at_most_ten_signals_a_second() {
    let bus = PrivateBus::start();
    let (watcher, mut app) = (bus.connect(), App::start(APP, bus.address(), &[ID]));
    let signals = Signals::of(&watcher);
    let mut time_of = |task: &str| {
        let before: u64 = app.ask("cpu").parse().unwrap();
        app.tell(task);
        listen(Duration::from_secs(6));
        app.wait("ended Reports");
        app.ask("cpu").parse::<u64>().unwrap() - before
    };
    let [unlisted, listed] = ["unlisted 10000 5", "report 10000 5"].map(&mut time_of);
    let notified: usize = app.ask("notified").parse().unwrap();

    let changes = signals.named("PropertiesChanged");
    let within = |begin: Instant| {
        let second = begin..begin + Duration::from_secs(1);
        changes
            .iter()
            .filter(|signal| second.contains(&signal.at))
            .count()
    };
    let most = changes
        .iter()
        .map(|signal| within(signal.at))
        .max()
        .unwrap();
    println!(
        "50,000 reports in 5 s: {} signals, at most {most} in a second; the status itself changed {notified} times; CPU \
         time of the app {listed} us, and {unlisted} us for a job that is not listed",
        changes.len(),
    );
    assert!(
        (20..=50).contains(&changes.len()),
        "it was told of, and not too often"
    );
    assert!(most <= 10);
    assert!(
        notified > 50,
        "the control no longer fails: the status changes seldom enough by itself"
    );
}

#[test]
fn the_objects_of_an_app_that_is_killed_are_gone_at_once() {
    let bus = PrivateBus::start();
    let (watcher, mut app) = (bus.connect(), App::start(APP, bus.address(), &[ID]));
    for _ in 0..10 {
        app.tell("sleep");
    }
    wait_for_jobs(&watcher, NAME, 10);
    let begin = Instant::now();
    app.kill();
    until("the name is gone", || names(&watcher).is_empty());
    println!("gone {:?} after the app was killed", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(1));
    let error = call(
        &watcher,
        NAME,
        PATH,
        ("org.freedesktop.DBus.Peer", "Ping"),
        None,
    );
    assert_eq!(
        remote_name(&error.unwrap_err()),
        "org.freedesktop.DBus.Error.ServiceUnknown"
    );
}

#[test]
fn every_instance_has_a_name_of_its_own() {
    let bus = PrivateBus::start();
    let watcher = bus.connect();
    let mut anonymous = App::start(APP, bus.address(), &[]);
    let mut first = App::start(APP, bus.address(), &[ID, "non-unique"]);
    let mut second = App::start(APP, bus.address(), &[ID, "non-unique"]);
    let mut primary = App::start(APP, bus.address(), &[ID]);
    let mut remote = App::start(APP, bus.address(), &[ID]);
    assert!(remote.is_remote() && !primary.is_remote());
    let by_pid = format!("org.legwork.Jobs.p{}", anonymous.id());

    anonymous.tell("sleep");
    wait_for_jobs(&watcher, &by_pid, 1);
    for app in [&mut first, &mut second, &mut primary, &mut remote] {
        app.tell("sleep");
        app.until_available("Available");
    }
    let all = names(&watcher);
    println!("{all:?}");
    assert_eq!(all.len(), 5);
    let below = |name: &String| name.starts_with("org.example.Listed.LegworkJobs.c");
    assert_eq!(all.iter().filter(|name| below(name)).count(), 3);
    assert!(all.iter().all(|name| jobs(&watcher, name).len() == 1));
    // The owner is gone, and the next to need the name has it.
    first.kill();
    until("it is gone", || names(&watcher).len() == 4);
    let mut third = App::start(APP, bus.address(), &[ID, "non-unique"]);
    third.tell("sleep");
    wait_for_jobs(&watcher, NAME, 1);
}

#[test]
fn a_name_that_a_stranger_owns_is_left_to_it() {
    let bus = PrivateBus::start();
    let stranger = bus.connect();
    let request = (NAME, 4u32).to_variant();
    let bus_name = "org.freedesktop.DBus";
    let path = "/org/freedesktop/DBus";
    call(
        &stranger,
        bus_name,
        path,
        (bus_name, "RequestName"),
        Some(&request),
    )
    .unwrap();
    let mut app = App::start(APP, bus.address(), &[ID]);
    app.tell("sleep");
    app.until_available("Available");
    assert_eq!(names(&stranger).len(), 2);
}

#[test]
fn a_name_that_would_be_too_long_is_a_list_that_is_unavailable() {
    let bus = PrivateBus::start();
    let id = format!("org.example.{}", "x".repeat(240));
    let mut app = App::start(APP, bus.address(), &[&id]);
    app.tell("report 10 1");
    app.until_available("Unavailable");
    println!("{}", app.ask("availability"));
    assert_eq!(app.wait("ended Reports"), "well");
}

#[test]
fn without_a_bus_the_job_ends_well_and_the_list_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let silent = folder.path().join("silent");
    let rude = folder.path().join("rude");
    let (_silent, rude_listener) = (
        UnixListener::bind(&silent).unwrap(),
        UnixListener::bind(&rude).unwrap(),
    );
    std::thread::spawn(move || {
        for mut stream in rude_listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut stream, b"\0\xffno bus at all\r\n");
        }
    });
    let of = |path: &std::path::Path| format!("unix:path={}", path.display());
    let cases = [
        ("absent", of(&folder.path().join("absent")), "Unavailable"),
        ("malformed", "no address".to_owned(), "Unavailable"),
        ("unknown", "carrier-pigeon:loft=3".to_owned(), "Unavailable"),
        ("rude", of(&rude), "Unavailable"),
        ("silent", of(&silent), "Pending"),
    ];
    for (case, address, availability) in &cases {
        let mut app = App::start(APP, address, &[]);
        app.tell("report 100 1");
        assert_eq!(app.wait("ended Reports"), "well", "{case}");
        app.until_available(availability);
        println!("{case}: {}", app.ask("availability"));
        app.tell("fail");
        app.wait("ended Fails");
    }
    // A bus that never answers is not waited for without end, either.
    let mut app = App::start(APP, &of(&silent), &[]);
    app.tell("sleep");
    app.until_available("Unavailable");
    println!("silent, after a while: {}", app.ask("availability"));
}

#[test]
fn a_bus_that_goes_away_leaves_the_jobs_alone() {
    for arguments in [[].as_slice(), &[ID]] {
        let mut bus = PrivateBus::start();
        let mut app = App::start(APP, bus.address(), arguments);
        app.tell("report 100 2");
        app.until_available("Available");
        bus.kill();
        app.until_available("Unavailable");
        println!("{arguments:?}: {}", app.ask("availability"));
        assert_eq!(app.wait("ended Reports"), "well");
        // The next job asks again, in vain.
        app.tell("report 100 1");
        assert_eq!(app.wait("ended Reports"), "well");
        app.until_available("Unavailable");
    }
}

#[test]
fn a_bus_that_does_not_read_costs_neither_the_job_nor_the_memory_of_the_app() {
    let bus = PrivateBus::start();
    let mut app = App::start(APP, bus.address(), &[ID]);
    for _ in 0..50 {
        app.tell("report 100 9 1000");
    }
    app.until_available("Available");
    let before = resident_kib(app.id());
    bus.signal(Signal::STOP);
    for _ in 0..50 {
        assert_eq!(app.wait("ended Reports"), "well");
    }
    let after = resident_kib(app.id());
    println!("50 jobs, the bus stopped: {before} KiB before, {after} KiB after");
    // 50 jobs, 8 times a second, 1,000 bytes: without a bound it would be some 3 MiB.
    assert!(after < before + 1024);
    bus.signal(Signal::CONT);
    app.until_available("Unused");
}

#[test]
fn a_client_that_never_reads_its_signals_costs_nothing() {
    let bus = PrivateBus::start();
    let mut app = App::start(APP, bus.address(), &[ID]);
    let mut monitor = std::process::Command::new("dbus-monitor")
        .args(["--address", bus.address(), "type=signal"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("dbus-monitor");
    std::thread::sleep(Duration::from_millis(300));
    let monitored = rustix::process::Pid::from_child(&monitor);
    rustix::process::kill_process(monitored, Signal::STOP).unwrap();
    for _ in 0..20 {
        app.tell("report 1000 3");
    }
    for _ in 0..20 {
        assert_eq!(app.wait("ended Reports"), "well");
    }
    assert_eq!(app.ask("availability"), "Unused");
    let _ = monitor.kill();
    let _ = monitor.wait();
}

#[test]
fn another_user_may_read_and_not_act_and_root_is_another_user() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: it needs root to be another user");
        return;
    }
    let folder = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .unwrap();
    let config = folder.path().join("bus.conf");
    let socket = folder.path().join("bus");
    let rules = format!(
        "<busconfig><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context='default'>\
         <allow user='*'/><allow own='*'/><allow send_destination='*'/><allow receive_sender='*'/></policy></busconfig>",
        socket.display()
    );
    std::fs::write(&config, rules).unwrap();
    let bus = PrivateBus::start_with(&["--config-file", config.to_str().unwrap()]);
    let as_user = |user: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid", user, "--regid", user, "--clear-groups"]);
        let output = command.args(arguments).output().expect("setpriv");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    };
    let mut app = {
        let user = ["--reuid", "1", "--regid", "1", "--clear-groups", APP, ID];
        let mut command = std::process::Command::new("setpriv");
        command
            .args(user)
            .env("DBUS_SESSION_BUS_ADDRESS", bus.address());
        App::from(command)
    };
    app.tell("sleep");
    app.until_available("Available");
    let watcher = bus.connect();
    let found = wait_for_jobs(&watcher, NAME, 1);
    let path = found.first_key_value().unwrap().0;
    let act = |user: &str, method: &str, arguments: &[&str]| {
        let call = ["gdbus", "call", "--address", bus.address(), "--dest", NAME];
        let call = [
            &call,
            ["--object-path", path, "--method", method].as_slice(),
            arguments,
        ]
        .concat();
        as_user(user, &call)
    };
    for user in ["65534", "0"] {
        let (done, said) = act(user, "org.freedesktop.DBus.Properties.Get", &[JOB, "Label"]);
        assert!(done, "{said}");
        for method in ["Cancel", "Pause", "Resume"] {
            let (done, said) = act(user, &format!("{JOB}.{method}"), &[]);
            println!("user {user}, {method}: {}", said.trim());
            assert!(!done && said.contains("the job belongs to another user"));
        }
    }
    let (done, said) = act("1", &format!("{JOB}.Cancel"), &[]);
    assert!(done, "{said}");
    assert_eq!(app.wait("ended Sleeps"), "cancelled");
}

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
