//! An app that runs a job with surfaces, and is its own worker: `surfaces_app KEY=VALUE…`.
//!
//! | key | |
//! |---|---|
//! | `id` | the app's id; none by default |
//! | `flags` | `non-unique` |
//! | `surfaces` | their names, separated by commas |
//! | `steps`, `ms` | how many steps in how many milliseconds |
//! | `label` | of the job |
//! | `keep` | `no`: the app is not kept running until its job has ended |
//! | `stay` | `true`: for a minute longer |
//! | `quit` | whether the app has an action of that name |
//! | `loop` | `own`: without `g_application_run()` |
//! | `active` | whether the app has an active window |
//!
//! It says the process id of the job, when it is paused, how it has ended, and on any line what is available.

// Of derived properties.
#![allow(missing_docs)]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use legwork::desktop::{
    Availability, BackgroundStatus, Hold, Inhibit, Inhibitor, JobView, Launcher, Notice,
};
use legwork::gio::subclass::prelude::*;
use legwork::gio::{self, Cancellable, prelude::*};
use legwork::glib::{self, ExitCode};
use legwork::prelude::*;
use legwork_service_tests::steps::{JOBS, Steps};

mod imp {
    use super::*;

    /// What the surfaces see of a GTK window.
    #[derive(Debug, Default, glib::Properties)]
    #[properties(wrapper_type = super::Window)]
    pub struct Window {
        #[property(get, set)]
        is_active: Cell<bool>,
    }
    #[glib::object_subclass]
    impl ObjectSubclass for Window {
        const NAME: &'static str = "TestWindow";
        type Type = super::Window;
    }
    #[glib::derived_properties]
    impl ObjectImpl for Window {}
}

mod app_imp {
    use super::*;

    /// And of a GTK application.
    #[derive(Debug, Default, glib::Properties)]
    #[properties(wrapper_type = super::App)]
    pub struct App {
        #[property(get, set, nullable)]
        active_window: RefCell<Option<super::Window>>,
    }
    #[glib::object_subclass]
    impl ObjectSubclass for App {
        const NAME: &'static str = "TestApp";
        type Type = super::App;
        type ParentType = gio::Application;
    }
    #[glib::derived_properties]
    impl ObjectImpl for App {}
    impl ApplicationImpl for App {}
}

glib::wrapper! {
    pub struct Window(ObjectSubclass<imp::Window>);
}
glib::wrapper! {
    pub struct App(ObjectSubclass<app_imp::App>) @extends gio::Application,
        @implements gio::ActionGroup, gio::ActionMap;
}

fn main() -> ExitCode {
    JOBS.run_if_worker();
    let words: BTreeMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|word| {
            word.split_once('=')
                .map(|(key, value)| (key.into(), value.into()))
        })
        .collect();
    let word = |key: &str| words.get(key).cloned().unwrap_or_default();
    let app: App = glib::Object::builder()
        .property("application-id", words.get("id"))
        .build();
    if word("flags") == "non-unique" {
        app.set_flags(gio::ApplicationFlags::NON_UNIQUE);
    }
    app.register(Cancellable::NONE).expect("registered");
    if let Some(bus) = app.dbus_connection() {
        bus.set_exit_on_close(false);
        println!("bus {}", bus.unique_name().unwrap_or_default());
    }
    println!("remote {}", app.is_remote());
    if word("active") == "true" {
        let window: Window = glib::Object::builder().property("is-active", true).build();
        app.set_active_window(Some(window));
    }
    if word("quit") == "true" {
        let quit = gio::ActionEntry::builder("quit").activate(|app: &App, _, _| app.quit());
        app.add_action_entries([quit.build()]);
    }
    // A remote instance has nothing else to do; it is not to end with its activation.
    let run_here = app.is_remote() || word("loop") == "own";
    let begin = {
        let app = app.clone();
        move || start(&app, &words)
    };
    if run_here {
        let handle = begin();
        glib::MainContext::default()
            .block_on(handle)
            .expect("it ends");
        // An app that never ran does not unregister, and gtk-rs's subclasses cannot be freed then.
        std::process::exit(0);
    }
    let begin = RefCell::new(Some(begin));
    app.connect_activate(move |_| {
        if let Some(begin) = begin.take() {
            drop(begin());
        }
    });
    let code = app.run_with_args::<&str>(&[]);
    println!("app has ended");
    code
}

type Asked = Rc<dyn Fn() -> Availability>;

fn start(app: &App, words: &BTreeMap<String, String>) -> glib::JoinHandle<()> {
    let word = |key: &str| words.get(key).cloned().unwrap_or_default();
    let number = |key: &str| word(key).parse().expect("a number");
    let steps = Steps {
        count: number("steps"),
        milliseconds: number("ms"),
    };
    let label = words
        .get("label")
        .cloned()
        .unwrap_or_else(|| "Copying".into());
    let mut job = steps.builder().label(label);
    let mut asked = BTreeMap::<&str, Asked>::new();
    for surface in word("surfaces").split(',') {
        job = match surface {
            "launcher" => {
                let launcher = Launcher::new(app, "org.example.App.desktop");
                let job = job.show_in(&launcher);
                asked.insert("launcher", Rc::new(move || launcher.availability()));
                job
            }
            "view" => {
                let view = JobView::new(app);
                let job = job.show_in(&view);
                asked.insert("view", Rc::new(move || view.availability()));
                job
            }
            "inhibit" => {
                let inhibitor = Inhibitor::new(app, Inhibit::SUSPEND | Inhibit::LOGOUT, "copying");
                let job = job.show_in(&inhibitor);
                asked.insert("inhibit", Rc::new(move || inhibitor.availability()));
                job
            }
            "notice" => {
                let notice = Notice::new(app).after(Duration::from_millis(300));
                let job = job.show_in(&notice);
                asked.insert("notice", Rc::new(move || notice.availability()));
                job
            }
            "background" => {
                let status = BackgroundStatus::new(app);
                let job = job.show_in(&status);
                asked.insert("background", Rc::new(move || status.availability()));
                job
            }
            "hold" => job.show_in(&Hold::new(app).busy()),
            "" => job,
            other => panic!("there is no {other}"),
        };
    }
    let say = move || {
        for (name, of) in &asked {
            println!("available {name} {:?}", of());
        }
    };
    let say = Rc::new(say);
    let job = job.spawn();
    println!("job {}", job.pid().unwrap_or(0));
    job.status()
        .connect_paused_notify(|status| println!("paused {}", status.paused()));
    let busy = app.clone();
    glib::spawn_future_local({
        let say = say.clone();
        async move {
            loop {
                let read = gio::spawn_blocking(|| std::io::stdin().lines().next());
                let Ok(Some(Ok(_))) = read.await else { return };
                println!("busy {}", busy.is_busy());
                say();
            }
        }
    });
    let begin = std::time::Instant::now();
    let stay = word("stay") == "true";
    let kept = (word("keep") != "no").then(|| app.hold());
    glib::spawn_future_local(async move {
        let ended = job.await;
        let time = begin.elapsed();
        let clock = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        println!("cpu {}", clock.tv_sec * 1_000_000 + clock.tv_nsec / 1000);
        match ended {
            Ok(count) => println!("ended well {count} in {} ms", time.as_millis()),
            Err(error) if error.is_cancelled() => println!("ended cancelled"),
            Err(error) => println!("ended badly {error}"),
        }
        // What is shown goes within a moment, also at the slowest.
        glib::timeout_future(Duration::from_millis(1500)).await;
        say();
        glib::timeout_future(Duration::from_secs(if stay { 60 } else { 0 })).await;
        drop(kept);
    })
}
