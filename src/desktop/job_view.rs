//! KDE's list of jobs: `org.kde.JobViewServerV2` and `org.kde.JobViewV2`, as KJobWidgets declares them.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use gio::prelude::*;
use gio::{Application, DBusConnection, DBusSignalFlags, SignalSubscription};
use glib::variant::ObjectPath;
use glib::{Variant, VariantDict, VariantTy, WeakRef};

use super::availability::Availability;
use super::bus::{self, NameWatch, Remote};
use super::follow::{self, Shown};
use super::known::Known;
use super::task::{Task, answer};
use super::throttle::Throttle;
use super::{Surface, sealed};
use crate::child::Control;
use crate::child::observer::Observer;
use crate::model::{State, Status};
use crate::text::{Text, text};

const SERVER: &str = "org.kde.JobViewServer";
const VIEW: &str = "org.kde.JobViewV2";
/// What the view offers: 1 is cancelling, 2 is suspending.
const CAPABILITIES: i32 = 1 | 2;
/// An update is at most two calls.
const PERIOD: Duration = Duration::from_millis(250);

/// KDE Plasma's list of jobs, with progress, and with buttons that cancel, pause and resume.
///
/// Each job is told of changes by at most ten calls a second. The server is found by its name on the session bus,
/// and never started: jobs appear when it does, also after it was restarted. It removes what an app shows that is gone
/// from the bus.
///
/// Needs the app's connection to the session bus. Neither `Send` nor `Sync`.
#[derive(Clone)]
pub struct JobView {
    app: WeakRef<Application>,
    known: Known,
}

impl JobView {
    /// Shows jobs as jobs of this app; its id is the name of its desktop file.
    pub fn new(app: &impl IsA<Application>) -> Self {
        JobView {
            app: app.upcast_ref::<Application>().downgrade(),
            known: Known::new("job view"),
        }
    }

    /// Returns whether there is a server, and whether it has taken the last job.
    pub fn availability(&self) -> Availability {
        self.known.get()
    }
}

impl Surface for JobView {}
impl sealed::Surface for JobView {
    fn observer(&self) -> Observer {
        let surface = self.clone();
        follow::observer(move |status, control| Job::show(surface, status, control))
    }
}

/// One job: on one view after the other, should the server be restarted.
struct Job {
    surface: JobView,
    status: WeakRef<Status>,
    control: Control,
    /// The unique name of the server.
    server: RefCell<Option<String>>,
    view: RefCell<Option<View>>,
    request: RefCell<Option<Task>>,
    throttle: Rc<Throttle>,
}

impl Job {
    fn show(surface: JobView, status: &Status, control: &Control) -> Watched {
        let job = Rc::new_cyclic(|weak: &Weak<Job>| {
            let job = weak.clone();
            Job {
                surface,
                status: status.downgrade(),
                control: control.clone(),
                server: RefCell::default(),
                view: RefCell::default(),
                request: RefCell::default(),
                throttle: Throttle::new(PERIOD, move || {
                    if let Some(job) = job.upgrade() {
                        job.update();
                    }
                }),
            }
        });
        job.surface.known.ask();
        let connection = bus::session(&job.surface.app);
        if connection.is_err() {
            job.surface.known.set(&connection);
        }
        let watch = connection.ok().map(|connection| {
            let (weak, on) = (Rc::downgrade(&job), connection.clone());
            NameWatch::new(&connection, SERVER, move |owner| {
                if let Some(job) = weak.upgrade() {
                    job.server_is(&on, owner);
                }
            })
        });
        Watched { job, _watch: watch }
    }

    /// The server has started, was replaced, or is gone.
    fn server_is(self: Rc<Self>, connection: &DBusConnection, owner: Option<&str>) {
        // Of the server that is gone: there is nothing to take back.
        if let Some(gone) = self.view.take() {
            gone.forget();
        }
        self.server.replace(owner.map(str::to_owned));
        let request = match owner {
            Some(owner) => {
                let asking = View::request(self.clone(), connection.clone(), owner.to_owned());
                Some(Task::spawn(asking))
            }
            None => {
                let missing = text!("{service} is not running", service = SERVER);
                self.surface.known.set::<()>(&Err(missing));
                None
            }
        };
        self.request.replace(request);
    }

    fn update(&self) {
        if let (Some(view), Some(status)) = (&*self.view.borrow(), self.status.upgrade()) {
            view.update(&status);
        }
    }
}

struct Watched {
    job: Rc<Job>,
    _watch: Option<NameWatch>,
}

impl Shown for Watched {
    fn changed(&self, _: &Status) {
        self.job.throttle.ask();
    }

    fn ended(&self, status: &Status) {
        if let Some(view) = &*self.job.view.borrow() {
            view.end(status);
        }
    }
}

/// What the server shows of a job. It goes when this is dropped.
struct View {
    connection: DBusConnection,
    server: String,
    path: String,
    told: RefCell<Told>,
    ended: Cell<bool>,
    requests: Vec<SignalSubscription>,
}

/// What the server was told last.
#[derive(Default, PartialEq)]
struct Told {
    percent: u32,
    words: String,
    suspended: bool,
}

impl View {
    async fn request(job: Rc<Job>, connection: DBusConnection, server: String) {
        let Some(label) = job.status.upgrade().map(|status| status.label()) else {
            return;
        };
        let hints = VariantDict::new(None);
        hints.insert("title", label);
        let entry = bus::id_of(&job.surface.app);
        let arguments = [entry.to_variant(), CAPABILITIES.to_variant(), hints.end()];
        let weak = Rc::downgrade(&job);
        let asked = async move {
            let remote = Remote {
                name: &server,
                path: "/JobViewServer",
                interface: "org.kde.JobViewServerV2",
            };
            let arguments = Variant::tuple_from_iter(arguments);
            let returns = VariantTy::new("(o)").expect("a type");
            let call = remote.call(&connection, "requestView", &arguments, returns, false);
            let (path, _) = call.await?;
            let path: ObjectPath = path.child_value(0).get().expect("as asked for");
            let view = View::new(connection, server, path.as_str().to_owned());
            // Also late: better than never. Without a job the view goes at once.
            if let Some(job) = weak.upgrade() {
                job.shows(view);
            }
            Ok(())
        };
        let weak = Rc::downgrade(&job);
        drop(job);
        let answered = answer(SERVER, asked).await;
        if let (Some(job), Err(_)) = (weak.upgrade(), &answered) {
            job.surface.known.set(&answered);
        }
    }

    fn new(connection: DBusConnection, server: String, path: String) -> Self {
        View {
            connection,
            server,
            path,
            told: RefCell::default(),
            ended: Cell::new(false),
            requests: Vec::new(),
        }
    }

    /// Calls `act` when somebody presses that button.
    fn on(&mut self, signal: &str, act: impl Fn() + 'static) {
        self.requests.push(self.connection.subscribe_to_signal(
            Some(&self.server),
            Some(VIEW),
            Some(signal),
            Some(&self.path),
            None,
            DBusSignalFlags::NONE,
            move |_| act(),
        ));
    }

    fn tell(&self, method: &str, arguments: &Variant) {
        let remote = Remote {
            name: &self.server,
            path: &self.path,
            interface: VIEW,
        };
        remote.tell(&self.connection, method, arguments);
    }

    fn update(&self, status: &Status) {
        let text = status.text();
        let now = Told {
            percent: (status.fraction() * 100.0) as u32,
            words: if text.is_empty() {
                status.label()
            } else {
                text
            },
            suspended: status.paused(),
        };
        let told = self.told.replace(now);
        let now = self.told.borrow();
        if now.percent != told.percent {
            self.tell("setPercent", &(now.percent,).to_variant());
        }
        if now.words != told.words {
            self.tell("setInfoMessage", &(&now.words,).to_variant());
        }
        if now.suspended != told.suspended {
            self.tell("setSuspended", &(now.suspended,).to_variant());
        }
    }

    /// Says how the job has ended, in KJob's numbers: 1 is killed by the user, which is not an error to show.
    fn end(&self, status: &Status) {
        let (code, words) = match status.state() {
            State::Finished => (0, String::new()),
            State::Cancelled => (1, String::new()),
            _ => (100, status.error().unwrap_or_default()),
        };
        self.update(status);
        if code != 0 {
            self.tell("setError", &(code as u32,).to_variant());
        }
        self.terminate(&words);
    }

    fn terminate(&self, words: &str) {
        if !self.ended.replace(true) {
            self.tell("terminate", &(words,).to_variant());
        }
    }

    /// Drops it without a word: the server is gone.
    fn forget(self) {
        self.ended.set(true);
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.terminate("");
    }
}

impl Job {
    /// The server shows the job from now on.
    fn shows(&self, mut view: View) {
        // A late answer of a server that was replaced.
        if self.server.borrow().as_ref() != Some(&view.server) {
            return;
        }
        let control = self.control.clone();
        view.on("cancelRequested", move || control.cancel());
        let control = self.control.clone();
        // Refused where it stops or has ended; then there is nothing to pause.
        view.on("suspendRequested", move || drop(control.pause()));
        let control = self.control.clone();
        view.on("resumeRequested", move || drop(control.resume()));
        self.surface.known.set::<Text>(&Ok(Text::from("")));
        self.view.replace(Some(view));
        self.update();
    }
}
