//! A desktop whose services are absent, slow or hostile: the job runs and ends as without them, and each surface says
//! that it is unavailable. The services are mocks; the bus is real.

use std::time::{Duration, Instant};

use legwork_service_tests::desk::Desk;
use legwork_service_tests::talking::Talking;
use rustix::process::Signal;

const ALL: &str = "surfaces=launcher,view,inhibit,background,notice,hold quit=true";
/// Those that need somebody to answer.
const ANSWERED: [&str; 3] = ["view", "inhibit", "background"];

/// Waits for the job's end, as it would have ended, and in its time.
#[track_caller]
fn ends_well(app: &Talking, milliseconds: u64) {
    let (_, end) = app.wait_for("ended", 1);
    println!("the job of {milliseconds} ms {end}");
    let words: Vec<_> = end.split(' ').collect();
    assert_eq!(words[0], "well");
    let took: u64 = words[3].parse().unwrap();
    assert!(took < milliseconds + 2000, "it waited for somebody");
}

#[track_caller]
fn is_unavailable(app: &Talking, surface: &str) -> String {
    let (_, last) = app.wait_for(&format!("available {surface}"), 1);
    println!("{surface}: {last}");
    assert!(last.starts_with("Unavailable"), "{surface}: {last}");
    last
}

#[test]
fn without_any_service_a_job_runs_and_each_surface_says_why_it_is_missing() {
    let desk = Desk::with("");
    let app = desk.app(&format!("id=org.example.App {ALL} steps=10 ms=1000"));
    ends_well(&app, 1000);
    for surface in ANSWERED {
        is_unavailable(&app, surface);
    }
    let inhibit = is_unavailable(&app, "inhibit");
    for name in [
        "org.gnome.SessionManager",
        "org.freedesktop.portal.Desktop",
        "org.freedesktop.login1",
    ] {
        assert!(inhibit.contains(name), "{name} was not asked");
    }
}

#[test]
fn without_a_bus_a_job_runs_and_nothing_is_available() {
    let mut desk = Desk::with("");
    desk.bus.kill();
    let app = desk.app(&format!("id=org.example.App {ALL} steps=10 ms=1000"));
    ends_well(&app, 1000);
    for surface in ["launcher", "view", "inhibit", "background", "notice"] {
        is_unavailable(&app, surface);
    }
}

#[test]
fn a_bus_that_is_closed_in_the_middle_takes_nothing_from_a_job() {
    let mut desk = Desk::with("kde=ok gnome=ok portal=ok");
    let app = desk.app(&format!("id=org.example.App {ALL} steps=30 ms=3000"));
    desk.desktop.wait_for("kde setPercent", 1);
    desk.bus.kill();
    ends_well(&app, 3000);
    let said = is_unavailable(&app, "launcher");
    assert!(said.contains("closed"), "{said}");
}

#[test]
fn services_that_refuse_are_unavailable() {
    let desk = Desk::with("kde=error gnome=error portal=error logind=error");
    let app = desk.app(&format!("id=org.example.App {ALL} steps=10 ms=1000"));
    ends_well(&app, 1000);
    for surface in ANSWERED {
        assert!(is_unavailable(&app, surface).contains("I will not"));
    }
    // One that refuses is not asked all the time.
    assert!(desk.desktop.said("portal SetStatus").len() <= 2);
}

#[test]
fn services_that_return_something_else_are_unavailable() {
    let desk = Desk::with("kde=wrong gnome=wrong portal=wrong logind=wrong");
    let app = desk.app(&format!("id=org.example.App {ALL} steps=10 ms=1000"));
    ends_well(&app, 1000);
    for surface in ANSWERED {
        is_unavailable(&app, surface);
    }
}

#[test]
fn services_that_vanish_in_the_middle_of_a_call_are_unavailable() {
    for service in ["kde", "gnome", "portal", "logind"] {
        let desk = Desk::with(&format!("{service}=vanish"));
        let app = desk.app(&format!("id=org.example.App {ALL} steps=10 ms=1500"));
        ends_well(&app, 1500);
        for surface in ANSWERED {
            is_unavailable(&app, surface);
        }
    }
}

#[test]
fn services_that_answer_after_30_s_are_unavailable_until_then() {
    let desk = Desk::with("kde=slow gnome=slow portal=slow logind=slow notify=slow");
    // The inhibitor asks three services after each other, and the portal twice.
    let app = desk.app(&format!("id=org.example.App {ALL} steps=500 ms=23000"));
    ends_well(&app, 23_000);
    for surface in ANSWERED {
        let said = is_unavailable(&app, surface);
        assert!(said.contains("has not answered within 5s"), "{said}");
    }
}

#[test]
fn what_is_answered_too_late_is_given_back() {
    let desk = Desk::with("kde=slow gnome=slow logind=slow");
    // It has ended, but the app has not, when the answers come.
    let app = desk.app(&format!(
        "id=org.example.App {ALL} steps=10 ms=1000 stay=true"
    ));
    ends_well(&app, 1000);
    desk.desktop.wait_for("kde terminate", 1);
    desk.desktop.wait_for("gnome Uninhibit", 1);
}

#[test]
fn a_bus_that_stands_still_holds_nobody_up() {
    let desk = Desk::with("kde=ok gnome=ok portal=ok");
    let app = desk.app(&format!("id=org.example.App {ALL} steps=20000 ms=4000"));
    desk.desktop.wait_for("kde setPercent", 1);
    desk.bus.signal(Signal::STOP);
    ends_well(&app, 4000);
    desk.bus.signal(Signal::CONT);
    app.wait_for("app has ended", 1);
}

#[test]
fn ten_thousand_reports_a_second_are_at_most_ten_signals_a_second_for_each_surface() {
    let desk = Desk::with("kde=ok gnome=ok portal=ok");
    let mut cpu = Vec::new();
    let seconds = 5;
    for surfaces in [ALL, "surfaces= quit=true"] {
        let app = desk.app(&format!(
            "{surfaces} steps={} ms={}",
            seconds * 10_000,
            seconds * 1000
        ));
        ends_well(&app, seconds * 1000);
        cpu.push(app.wait_for("cpu", 1).1.parse::<f64>().unwrap());
        app.wait_for("app has ended", 1);
    }
    let share = (cpu[0] - cpu[1]) / (seconds as f64 * 10_000.0);
    println!(
        "{} reports: {:.1} ms of the app's processor time with all surfaces, {:.1} ms with none: {share:.2} % for them",
        seconds * 10_000,
        cpu[0] / 1000.0,
        cpu[1] / 1000.0
    );
    for of in ["launcher", "kde set", "portal SetStatus"] {
        let all = desk.desktop.said(of);
        let times: Vec<Instant> = all.iter().map(|(at, _)| *at).collect();
        // In any second; one more, as what is sent every 100 ms is not read every 100 ms.
        let most = (times.iter())
            .map(|from| {
                let second = *from..*from + Duration::from_secs(1);
                times.iter().filter(|at| second.contains(at)).count()
            })
            .max();
        println!("{of}: {} in all, at most {most:?} in a second", all.len());
        assert!(all.len() as u64 <= 10 * seconds + 4, "{of}");
        assert!(most <= Some(11), "{of}");
    }
    assert!(
        share < 5.0,
        "the bar is 1 %; on a machine as busy as that of tests, 5 %"
    );
}
