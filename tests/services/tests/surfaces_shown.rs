//! What a desktop shows of a job, as a second process sees it on the bus. The services are mocks, with the types of
//! the published interfaces; the bus is real.

use std::time::Duration;

use legwork_service_tests::desk::Desk;
use legwork_service_tests::talking::Talking;

/// The last words of an app: how its job has ended.
#[track_caller]
fn end_of(app: &Talking) -> String {
    app.wait_for("ended", 1).1
}

#[track_caller]
fn is_available(app: &Talking, surface: &str) -> bool {
    let (_, last) = app.wait_for(&format!("available {surface}"), 1);
    println!("{surface}: {last}");
    last == "Available"
}

#[track_caller]
fn nothing_is_wrong(desk: &Desk) {
    assert!(
        desk.desktop.said("WRONG").is_empty(),
        "{:?}",
        desk.desktop.said("WRONG")
    );
}

#[test]
fn the_dock_shows_progress_while_a_job_runs() {
    let desk = Desk::with("");
    let app = desk.app("id=org.example.App surfaces=launcher steps=50 ms=1500");
    assert!(end_of(&app).starts_with("well"));
    assert!(is_available(&app, "launcher"));
    let icon = "launcher application://org.example.App.desktop";
    app.wait_for("app has ended", 1);
    let signals = desk.desktop.said(icon);
    println!("{} signals in 1.5 s: {signals:?}", signals.len());
    let shown = signals.iter().filter(|(_, words)| words.ends_with("true"));
    let shown: Vec<f64> = (shown)
        .map(|(_, words)| words.split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!(shown.len() >= 5 && shown.is_sorted(), "{shown:?}");
    assert!(signals.len() <= 17, "more than ten a second");
    assert_eq!(signals.last().unwrap().1, "0.0 false");
}

#[test]
fn kde_shows_a_job_and_what_became_of_it() {
    let desk = Desk::with("kde=ok");
    let app = desk.app("id=org.example.App surfaces=view steps=50 ms=1500");
    assert!(end_of(&app).starts_with("well"));
    assert!(is_available(&app, "view"));
    app.wait_for("app has ended", 1);
    let (_, request) = desk.desktop.wait_for("kde requestView", 1);
    assert!(
        request.starts_with("('org.example.App', 3, {'title': <'Copying'>})"),
        "{request}"
    );
    assert!(desk.desktop.said("kde setPercent").len() >= 3);
    assert!(
        desk.desktop
            .said("kde setPercent")
            .last()
            .unwrap()
            .1
            .starts_with("(100,)")
    );
    assert!(desk.desktop.said("kde setInfoMessage").len() >= 3);
    assert_eq!(desk.desktop.said("kde terminate").len(), 1);
    assert!(desk.desktop.said("kde setError").is_empty());
    nothing_is_wrong(&desk);
}

#[test]
fn kdes_buttons_pause_resume_and_cancel_a_job() {
    let mut desk = Desk::with("kde=ok");
    let app = desk.app("id=org.example.App surfaces=view steps=500 ms=50000");
    desk.desktop.wait_for("kde setPercent", 1);
    desk.desktop.tell("suspendRequested");
    assert_eq!(app.wait_for("paused", 1).1, "true");
    assert!(
        desk.desktop
            .wait_for("kde setSuspended", 1)
            .1
            .starts_with("(true,)")
    );
    desk.desktop.tell("resumeRequested");
    assert_eq!(app.wait_for("paused", 2).1, "false");
    desk.desktop.tell("cancelRequested");
    assert_eq!(end_of(&app), "cancelled");
    // KJob's number for what the user has killed: no error is shown.
    assert!(
        desk.desktop
            .wait_for("kde setError", 1)
            .1
            .starts_with("(1,)")
    );
    assert!(
        desk.desktop
            .wait_for("kde terminate", 1)
            .1
            .starts_with("('',)")
    );
    nothing_is_wrong(&desk);
}

#[test]
fn kdes_view_comes_back_when_its_server_was_restarted() {
    let mut desk = Desk::with("kde=ok");
    let mut app = desk.app("id=org.example.App surfaces=view steps=600 ms=6000");
    desk.desktop.wait_for("kde setPercent", 3);
    desk.restart("");
    app.tell("?");
    let (_, missing) = app.wait_for("available view", 1);
    assert!(missing.contains("is not running"), "{missing}");
    desk.restart("kde=ok");
    desk.desktop.wait_for("kde requestView", 1);
    let (_, percent) = desk.desktop.wait_for("kde setPercent", 1);
    println!("it is told {percent}");
    assert!(end_of(&app).starts_with("well"));
    assert_eq!(app.wait_for("available view", 2).1, "Available");
    desk.desktop.wait_for("kde terminate", 1);
    nothing_is_wrong(&desk);
}

#[test]
fn gnomes_session_manager_is_asked_first() {
    let desk = Desk::with("gnome=ok portal=ok logind=ok");
    let app = desk.app("id=org.example.App surfaces=inhibit steps=10 ms=500");
    assert!(end_of(&app).starts_with("well"));
    assert!(is_available(&app, "inhibit"));
    let (_, inhibit) = desk.desktop.wait_for("gnome Inhibit", 1);
    assert!(
        inhibit.starts_with("('org.example.App', 0, 'copying', 5)"),
        "{inhibit}"
    );
    desk.desktop.wait_for("gnome Uninhibit", 1);
    assert!(desk.desktop.said("portal").is_empty());
    assert!(desk.desktop.said("logind").is_empty());
    nothing_is_wrong(&desk);
}

#[test]
fn the_portal_is_told_the_apps_id_before_it_is_asked() {
    let desk = Desk::with("portal=ok logind=ok");
    let app = desk.app("id=org.example.App surfaces=inhibit,background steps=30 ms=3000 quit=true");
    assert!(end_of(&app).starts_with("well"));
    assert!(is_available(&app, "inhibit"));
    assert!(is_available(&app, "background"));
    app.wait_for("app has ended", 1);
    let calls: Vec<_> = (desk.desktop.said("portal").into_iter())
        .map(|(_, call)| call.split(' ').next().unwrap().to_owned())
        .collect();
    println!("{calls:?}");
    assert_eq!(calls[0], "Register");
    assert_eq!(calls.iter().filter(|call| *call == "Register").count(), 1);
    let status = desk.desktop.said("portal SetStatus");
    assert!(
        status[0].1.starts_with("({'message': <'Copying"),
        "{status:?}"
    );
    assert!(
        status.iter().any(|(_, words)| words.contains(" %)")),
        "{status:?}"
    );
    assert!(status.len() <= 5, "more than one a second");
    assert!(status.last().unwrap().1.starts_with("({},)"), "{status:?}");
    let (_, path) = desk.desktop.wait_for("portal Close", 1);
    println!("given back: {path}");
    assert!(desk.desktop.said("logind").is_empty());
    nothing_is_wrong(&desk);
}

#[test]
fn what_the_portal_denies_is_asked_of_logind() {
    let desk = Desk::with("portal=deny logind=ok");
    let app = desk.app("id=org.example.App surfaces=inhibit steps=10 ms=800");
    assert!(end_of(&app).starts_with("well"));
    assert!(is_available(&app, "inhibit"));
    let (_, inhibit) = desk.desktop.wait_for("logind Inhibit", 1);
    assert!(inhibit.contains("'shutdown:sleep'"), "{inhibit}");
    assert!(inhibit.contains("'copying', 'block'"), "{inhibit}");
    desk.desktop.wait_for("released logind", 1);
    nothing_is_wrong(&desk);
}

#[test]
fn the_descriptor_of_an_inhibitor_is_close_on_exec_and_never_reaches_a_child() {
    let desk = Desk::with("logind=ok");
    let app = desk.app("id=org.example.App surfaces=inhibit steps=20 ms=2000");
    let inode = desk.desktop.wait_for("pipe", 1).1;
    let job: u32 = app.wait_for("job", 1).1.parse().unwrap();
    let pipe = format!("pipe:[{inode}]");
    let holders = |pid: u32| -> Vec<String> {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs");
        let fds = fds.filter_map(Result::ok).filter(|fd| {
            std::fs::read_link(fd.path()).is_ok_and(|to| to.to_string_lossy() == pipe)
        });
        fds.map(|fd| fd.file_name().to_string_lossy().into_owned())
            .collect()
    };
    let mut held = Vec::new();
    legwork_tests::until("the app holds the inhibitor", || {
        held = holders(app.pid());
        !held.is_empty()
    });
    let info = std::fs::read_to_string(format!("/proc/{}/fdinfo/{}", app.pid(), held[0])).unwrap();
    let flags = info
        .lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .unwrap();
    let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
    assert_ne!(flags & 0o2_000_000, 0, "not close-on-exec: {info}");
    assert_eq!(holders(job), Vec::<String>::new());
    assert!(end_of(&app).starts_with("well"));
    desk.desktop.wait_for("released logind", 1);
}

#[test]
fn a_long_job_that_nobody_watches_ends_with_a_notification() {
    let desk = Desk::with("notify=ok");
    let words = "id=org.example.App surfaces=notice steps=10 ms=700";
    let app = desk.app(words);
    assert!(end_of(&app).starts_with("well"));
    let (_, notified) = desk.desktop.wait_for("notify Notify", 1);
    println!("{notified}");
    assert!(notified.contains("'Copying', 'step 10'"), "{notified}");
    // Neither for a short one, nor under the eyes of somebody.
    let watched = desk.app(&format!("{words} active=true flags=non-unique"));
    assert!(end_of(&watched).starts_with("well"));
    let short = desk.app("id=org.example.B surfaces=notice steps=10 ms=100");
    assert!(end_of(&short).starts_with("well"));
    short.wait_for("app has ended", 1);
    watched.wait_for("app has ended", 1);
    assert_eq!(desk.desktop.said("notify Notify").len(), 1);
}

#[test]
fn an_app_without_a_window_runs_as_long_as_its_job_and_is_busy() {
    let desk = Desk::with("");
    let mut app = desk.app("id=org.example.App surfaces=hold steps=10 ms=1500 keep=no");
    app.wait_for("job", 1);
    app.tell("?");
    assert_eq!(app.wait_for("busy", 1).1, "true");
    assert!(end_of(&app).starts_with("well"));
    app.wait_for("app has ended", 1);
}

#[test]
fn control_an_app_without_a_window_and_without_a_hold_ends_before_its_job() {
    let desk = Desk::with("");
    let app = desk.app("id=org.example.App surfaces= steps=10 ms=1500 keep=no");
    app.wait_for("app has ended", 1);
    assert!(app.said("ended").is_empty());
}

#[test]
fn apps_without_an_id_and_more_instances_of_one_have_their_surfaces() {
    let desk = Desk::with("kde=ok gnome=ok notify=ok");
    let all = "surfaces=launcher,view,inhibit,notice,hold steps=10 ms=1000";
    let apps = [
        desk.app(all),
        desk.app(&format!("{all} id=org.example.App flags=non-unique")),
        desk.app(&format!("{all} id=org.example.App")),
    ];
    for (number, app) in apps.iter().enumerate() {
        assert_eq!(app.wait_for("remote", 1).1, "false");
        assert!(end_of(app).starts_with("well"));
        for surface in ["launcher", "view", "inhibit"] {
            assert!(is_available(app, surface), "{surface}");
        }
        // GLib has no notifications for an app without an id.
        assert_eq!(is_available(app, "notice"), number > 0);
    }
    nothing_is_wrong(&desk);
}

#[test]
fn a_remote_instance_has_all_but_what_only_the_first_may_do() {
    let desk = Desk::with("kde=ok gnome=ok notify=ok");
    let first = desk.app("id=org.example.App surfaces=hold steps=10 ms=4000");
    first.wait_for("job", 1);
    let all = "surfaces=launcher,view,inhibit,notice,hold steps=10 ms=1000";
    let second = desk.app(&format!("{all} id=org.example.App"));
    assert_eq!(second.wait_for("remote", 1).1, "true");
    assert!(end_of(&second).starts_with("well"));
    for surface in ["launcher", "view", "inhibit"] {
        assert!(is_available(&second, surface), "{surface}");
    }
    let (_, notice) = second.wait_for("available notice", 1);
    assert!(notice.contains("remote instance"), "{notice}");
    assert!(end_of(&first).starts_with("well"));
}

#[test]
fn an_app_with_a_background_status_and_no_action_quit_is_warned() {
    let desk = Desk::with("");
    for (has, warned) in [("false", true), ("true", false)] {
        let said = tempfile::NamedTempFile::new().unwrap();
        let words = format!("surfaces=background steps=2 ms=100 loop=own quit={has}");
        let mut app = std::process::Command::new(legwork_tests::program("surfaces_app"));
        let app = app
            .args(words.split(' '))
            .env("DBUS_SESSION_BUS_ADDRESS", desk.bus.address())
            .stdout(std::process::Stdio::null())
            .stderr(said.reopen().unwrap())
            .status()
            .unwrap();
        assert!(app.success(), "{app}");
        let said = std::fs::read_to_string(said.path()).unwrap();
        println!("{said}");
        assert_eq!(said.contains("no action `quit`"), warned);
    }
}

#[test]
fn what_an_app_that_is_killed_has_shown_is_gone_within_a_second() {
    let desk = Desk::with("kde=ok logind=ok");
    let mut app = desk.app("id=org.example.App surfaces=launcher,view,inhibit steps=500 ms=50000");
    desk.desktop.wait_for("kde setPercent", 1);
    desk.desktop.wait_for("answered logind", 1);
    let (_, name) = app.wait_for("bus", 1);
    let at = app.kill();
    // The services take away what a connection has shown that is gone: its end is all that they are told.
    let (gone, _) = desk.desktop.wait_for(&format!("gone {name}"), 1);
    let (released, _) = desk.desktop.wait_for("released logind", 1);
    let times = [gone - at, released - at];
    println!(
        "killed: off the bus after {:?}, inhibitor released after {:?}",
        times[0], times[1]
    );
    assert!(times.iter().all(|time| *time < Duration::from_secs(1)));
}
