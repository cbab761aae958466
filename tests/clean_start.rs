//! A child has a clean start, and the app does not change.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use legwork::spawn::{Group, ONE_SHOT_VARIABLES, Plan, Program, Step};
use legwork_tests::{
    program,
    raw::glibc_version,
    report::{Report, report, report_plan},
    sacrifice,
};

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// A report that another helper program has ordered, with a control beside it.
struct Ordered {
    by_legwork: Report,
    control: Report,
}

fn ordered_by(helper: &str, complete: impl FnOnce(Plan) -> Plan) -> Ordered {
    let (_, by_legwork) = report_plan();
    let (_, control) = report_plan();
    let plan = Plan::new(Program::path(program(helper)))
        .arg(by_legwork.as_os_str())
        .arg(control.as_os_str());
    let exit = complete(plan).spawn().unwrap().wait().unwrap();
    assert!(exit.success(), "{helper}: {}", exit.status);
    Ordered {
        by_legwork: Report::read(&by_legwork).unwrap(),
        control: Report::read(&control).unwrap(),
    }
}

#[test]
fn no_signal_is_blocked_or_ignored_whatever_the_app_does_with_them() {
    let reports = ordered_by("start_deaf", |plan| plan);
    let child = reports.by_legwork;
    assert_eq!((child.blocked, child.ignored, child.caught), (0, 0, 0));
    // The control inherits the mask and what is ignored.
    assert_ne!(
        reports.control.blocked, 0,
        "the control is as clean: this test sees nothing"
    );
    assert_ne!(reports.control.ignored & bit(libc::SIGINT), 0);
}

#[test]
fn signals_32_and_33_are_not_ignored_as_sigfillset_makes_them() {
    let internal = bit(32) | bit(33);
    let reports = ordered_by("start_naively", |plan| plan);
    assert_eq!(reports.by_legwork.ignored & internal, 0);
    // Newer C libraries reset them by themselves: seen in 2.41.
    if glibc_version() <= (2, 36) {
        let control = reports.control.ignored & internal;
        assert_eq!(
            control, internal,
            "the control is as clean: this test sees nothing"
        );
    }
}

/// A list of this test's own: what the library has forgotten, it cannot remind of.
const ONE_SHOT: [(&str, &str); 26] = [
    ("WAYLAND_SOCKET", "5"),
    ("LISTEN_FDS", "2"),
    ("LISTEN_FDNAMES", "a:b"),
    ("LISTEN_PID", "1"),
    ("LISTEN_PIDFDID", "1"),
    ("NOTIFY_SOCKET", "/run/systemd/notify"),
    ("FDSTORE", "1"),
    ("WATCHDOG_PID", "1"),
    ("WATCHDOG_USEC", "1000000"),
    ("DBUS_STARTER_ADDRESS", "unix:path=/run/bus"),
    ("DBUS_STARTER_BUS_TYPE", "session"),
    ("DESKTOP_STARTUP_ID", "launcher-1"),
    ("DESKTOP_AUTOSTART_ID", "10a"),
    ("XDG_ACTIVATION_TOKEN", "token"),
    (
        "GIO_LAUNCHED_DESKTOP_FILE",
        "/usr/share/applications/a.desktop",
    ),
    ("GIO_LAUNCHED_DESKTOP_FILE_PID", "1"),
    ("MAKEFLAGS", " -j8 --jobserver-auth=3,4"),
    ("MFLAGS", "-j8 --jobserver-fds=3,4"),
    (
        "CARGO_MAKEFLAGS",
        "-j --jobserver-fds=8,9 --jobserver-auth=8,9",
    ),
    ("NODE_CHANNEL_FD", "3"),
    ("NODE_CHANNEL_SERIALIZATION_MODE", "json"),
    ("BASH_XTRACEFD", "7"),
    ("BORG_PASSPHRASE_FD", "6"),
    ("S6_NOTIFICATION_FD", "3"),
    ("PINENTRY_LAUNCHED_FD", "0"),
    ("ANYTHING_FD", "12"),
];

/// Alike, and of use to a child.
const ORDINARY: [(&str, &str); 6] = [
    ("LEGWORK_TEST_ORDINARY", "stays"),
    ("GNUMAKEFLAGS", "-j8"),
    ("OTHER_MAKEFLAGS", "-j8 --jobserver-auth=fifo:/tmp/GMfifo1"),
    ("ANYTHING_ELSE_FD", "yes"),
    ("FD", "3"),
    ("WAYLAND_DISPLAY", "wayland-0"),
];

#[test]
fn variables_for_one_use_are_not_inherited() {
    let reports = ordered_by("start_by_std_too", |plan| {
        let all = ONE_SHOT.iter().chain(&ORDINARY);
        all.fold(plan, |plan, (name, value)| plan.env(*name, *value))
    });
    let (ours, control) = (
        &reports.by_legwork.environment,
        &reports.control.environment,
    );
    for (name, value) in ONE_SHOT {
        assert_eq!(control[OsStr::new(name)], value);
        assert!(!ours.contains_key(OsStr::new(name)), "{name}");
    }
    for (name, value) in ORDINARY {
        assert_eq!(ours[OsStr::new(name)], value, "{name}");
    }
    for name in ONE_SHOT_VARIABLES {
        assert!(ONE_SHOT.iter().any(|(known, _)| known == name), "{name}");
    }
}

#[test]
fn a_variable_for_one_use_arrives_if_it_is_asked_for() {
    let report = report(|plan| plan.env("WAYLAND_SOCKET", "5")).unwrap();
    assert_eq!(report.environment[OsStr::new("WAYLAND_SOCKET")], "5");
}

#[test]
fn variables_are_set_removed_and_cleared() {
    let here = report(|plan| plan.env("PATH", "/nowhere").env_remove("HOME")).unwrap();
    assert_eq!(here.environment[OsStr::new("PATH")], "/nowhere");
    assert!(!here.environment.contains_key(OsStr::new("HOME")));

    let cleared = report(|plan| plan.env("A", "lost").env_clear().env("B", "kept")).unwrap();
    let only = [(OsString::from("B"), OsString::from("kept"))];
    assert_eq!(cleared.environment, only.into());
}

#[test]
fn a_variable_may_be_set_on_another_thread_during_a_start() {
    sacrifice("start_while_variables_change");
}

#[test]
fn names_values_and_arguments_may_be_any_bytes() {
    let wild = OsString::from_vec(vec![0xff, b' ', 0xfe, b'\n']);
    let report = report(|plan| {
        plan.arg(wild.clone())
            .arg("")
            .env(wild.clone(), wild.clone())
            .arg0(wild.clone())
    })
    .unwrap();
    assert_eq!(report.arguments[0], wild);
    assert_eq!(report.arguments[2..], [wild.clone(), OsString::new()]);
    assert_eq!(report.environment[&wild], wild);
}

#[test]
fn argument_0_is_the_program_as_it_was_written() {
    let (plan, file) = report_plan();
    drop(plan);
    let folder = program("report").parent().unwrap().to_owned();
    let by_name = Program::Name {
        name: "report".into(),
        path: Some(folder.into_os_string()),
    };
    let plan = Plan::new(by_name).arg(file.as_os_str());
    assert!(plan.spawn().unwrap().wait().unwrap().success());
    assert_eq!(Report::read(&file).unwrap().arguments[0], "report");
}

#[test]
fn a_bad_variable_is_refused_by_name() {
    let sentence = |name: &str, value: &str| {
        let error = report(|plan| plan.env(name, value)).unwrap_err();
        assert_eq!(error.step(), Step::Environment);
        error.to_string()
    };
    assert_eq!(
        sentence("A=B", "c"),
        r#"the environment variable "A=B" has a '=' in its name"#
    );
    assert_eq!(
        sentence("", "c"),
        r#"the environment variable "" has an empty name"#
    );
    assert_eq!(
        sentence("A", "b\0c"),
        r#"the environment variable "A" contains a NUL byte"#
    );
    assert!(sentence("A\0", "b").contains("NUL"));
}

#[test]
fn the_working_directory_is_the_apps_unless_said_otherwise() {
    let report = report(|plan| plan).unwrap();
    assert_eq!(report.directory, std::env::current_dir().unwrap());
}

#[test]
fn the_working_directory_is_given_by_path_absolute_or_relative_to_the_apps() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    assert_eq!(
        report(|plan| plan.current_dir(&folder)).unwrap().directory,
        folder
    );
    let above = std::env::current_dir()
        .unwrap()
        .parent()
        .unwrap()
        .to_owned();
    assert_eq!(
        report(|plan| plan.current_dir("..")).unwrap().directory,
        above
    );
}

#[test]
fn the_working_directory_is_given_by_descriptor_whatever_the_map_does_to_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let open = File::open(folder.path()).unwrap();
    let number = std::os::fd::AsRawFd::as_raw_fd(&open);
    let report = report(|plan| {
        plan.current_dir_fd(open)
            .fd(number, File::open("/dev/zero").unwrap())
    })
    .unwrap();
    assert_eq!(report.directory, folder.path().canonicalize().unwrap());
    assert_eq!(report.descriptors[&number], Path::new("/dev/zero"));
}

#[test]
fn a_relative_program_counts_from_the_apps_working_directory() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("a/deeper/folder");
    std::fs::create_dir_all(&elsewhere).unwrap();
    // Up to the root and down again: right from here, wrong from the child's deeper directory.
    let here = std::env::current_dir().unwrap();
    let mut relative: PathBuf = here.components().skip(1).map(|_| "..").collect();
    relative.push(program("report").strip_prefix("/").unwrap());
    std::fs::create_dir_all(elsewhere.join("x/".repeat(here.components().count()))).unwrap();
    let deepest = elsewhere.join("x/".repeat(here.components().count()));
    assert!(
        !deepest.join(&relative).exists(),
        "it would be found from there, too"
    );

    let (_, file) = report_plan();
    let plan = Plan::new(Program::Path(relative))
        .arg(file.as_os_str())
        .current_dir(&deepest);
    assert!(plan.spawn().unwrap().wait().unwrap().success());
    let found = Report::read(&file).unwrap().directory;
    assert_eq!(found, deepest.canonicalize().unwrap());
}

#[test]
fn a_program_can_be_given_as_an_open_descriptor_without_a_name() {
    let memory = rustix::fs::memfd_create("program", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    let bytes = std::fs::read(program("report")).unwrap();
    let mut file = File::from(memory);
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    // Read-only from now on: what is open for writing cannot be executed.
    let number = std::os::fd::AsRawFd::as_raw_fd(&file);
    let read_only = File::open(format!("/proc/self/fd/{number}")).unwrap();
    drop(file);

    let (_, report) = report_plan();
    let plan = Plan::new(Program::Descriptor(read_only.into())).arg(report.as_os_str());
    assert!(plan.spawn().unwrap().wait().unwrap().success());
    assert_eq!(Report::read(&report).unwrap().descriptors.len(), 3);
}

#[test]
fn in_a_namespace_with_the_proc_of_another_an_open_descriptor_is_still_the_program() {
    // The shell is number 1 of the outer namespace and has another program open wherever the app may have its own; the
    // app is number 1 of the inner one and sees the outer one's /proc.
    let script = "exec 3</bin/false 4<&3 5<&3 6<&3 7<&3 8<&3 9<&3
        unshare --pid --fork sh -c 'exec 3<&- 4<&- 5<&- 6<&- 7<&- 8<&- 9<&-; exec \"$0\"' \"$0\"";
    let unshare = |arguments: &[&str]| {
        let mut unshare = std::process::Command::new("unshare");
        let unshare = unshare.args([
            "--user",
            "--map-root-user",
            "--pid",
            "--fork",
            "--mount-proc",
        ]);
        unshare.args(arguments).output().unwrap()
    };
    if !unshare(&["unshare", "--pid", "--fork", "true"])
        .status
        .success()
    {
        println!("not tried: no namespaces may be made here");
        return;
    }
    let app = program("start_by_descriptor");
    let output = unshare(&["sh", "-c", script, app.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, "1: exit code 0\n", "{output:?}");
}

#[test]
fn the_running_program_starts_itself_also_when_its_file_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy");
    std::fs::copy(program("start_itself"), &copy).unwrap();
    let exit = Plan::new(Program::path(&copy))
        .spawn()
        .unwrap()
        .wait()
        .unwrap();
    assert!(exit.success(), "{}", exit.status);
    assert!(!copy.exists());
}

#[test]
fn the_group_and_the_session_are_as_asked() {
    let app = Report::of_self().unwrap();
    let inherits = report(|plan| plan.group(Group::Inherit)).unwrap();
    assert_eq!((inherits.group, inherits.session), (app.group, app.session));
    let leads = report(|plan| plan.group(Group::Lead)).unwrap();
    assert_eq!((leads.group, leads.session), (leads.pid, app.session));
    let session = report(|plan| plan.group(Group::Session)).unwrap();
    assert_eq!((session.group, session.session), (session.pid, session.pid));
}

#[test]
fn the_child_knows_its_parent() {
    let report = report(|plan| plan).unwrap();
    assert_eq!(report.parent, std::process::id().cast_signed());
}

#[test]
fn nothing_of_the_app_changes_not_even_for_a_moment() {
    sacrifice("start_and_watch_itself");
}

#[test]
fn bytes_of_a_path_need_not_be_text() {
    let folder = tempfile::tempdir().unwrap();
    let wild = folder
        .path()
        .canonicalize()
        .unwrap()
        .join(OsStr::from_bytes(b"\xff\xfe"));
    std::fs::create_dir(&wild).unwrap();
    let found = report(|plan| plan.current_dir(&wild)).unwrap();
    assert_eq!(found.directory, wild);
}
