//! A notification when a long job has ended and nobody was looking.

use std::rc::Rc;
use std::time::{Duration, Instant};

use gio::prelude::*;
use gio::{Application, Notification};
use glib::WeakRef;

use super::availability::Availability;
use super::follow::{self, Shown};
use super::known::Known;
use super::task::Task;
use super::{Surface, bus, sealed};
use crate::child::observer::Observer;
use crate::model::{State, Status};
use crate::text::{Text, text};

/// A notification when a job that took long has finished or failed while no window of the app was active:
/// `g_application_send_notification()`. None for a job that was cancelled.
///
/// A window is asked by the properties `active-window` of the app and `is-active` of the window, as of a
/// `GtkApplication`; an app without these has no window. By default the title is the job's label, and the text is its error or its
/// own last [text](Status::text).
///
/// ```
/// use std::time::Duration;
/// use legwork::gio::{self, prelude::*};
///
/// # let app = gio::Application::new(Some("org.example.App"), Default::default());
/// let notice = legwork::desktop::Notice::new(&app)
///     .after(Duration::from_secs(30))
///     .words(|status| match status.error() {
///         None => gio::Notification::new("The photos are copied"),
///         Some(error) => {
///             let failed = gio::Notification::new("The photos could not be copied");
///             failed.set_body(Some(&error));
///             failed
///         }
///     });
/// ```
///
/// Needs a registered app with an id that is no remote instance, and its connection to the session bus; the desktop finds the app by
/// its desktop file. Whether anybody showed it is not known. Neither `Send` nor `Sync`.
#[derive(Clone)]
pub struct Notice {
    app: WeakRef<Application>,
    after: Duration,
    words: Rc<dyn Fn(&Status) -> Notification>,
    known: Known,
}

impl Notice {
    /// Notifies as this app, of jobs that took at least 10 s.
    pub fn new(app: &impl IsA<Application>) -> Self {
        Notice {
            app: app.upcast_ref::<Application>().downgrade(),
            after: Duration::from_secs(10),
            words: Rc::new(|status| {
                let notification = Notification::new(&status.label());
                notification.set_body(Some(&status.error().unwrap_or_else(|| status.text())));
                notification
            }),
            known: Known::new("notice"),
        }
    }

    /// Sets how long a job must have taken.
    pub fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }

    /// Sets what makes the notification, of the status of the job that has ended.
    pub fn words(mut self, words: impl Fn(&Status) -> Notification + 'static) -> Self {
        self.words = Rc::new(words);
        self
    }

    /// Returns whether the last notification could be sent.
    pub fn availability(&self) -> Availability {
        self.known.get()
    }

    /// GLib asks the bus who shows notifications when the first is sent, and waits for the answer: so it is made sure that
    /// there will be one.
    async fn send(app: Application, notification: Notification) -> Result<(), Text> {
        let connection = bus::session(&app.downgrade())?;
        if app.is_remote() {
            return Err(text!("this is a remote instance of the app"));
        }
        if app.application_id().is_none() {
            // GLib would send one, with three critical warnings.
            return Err(text!("an app without an id cannot notify"));
        }
        bus::ping(&connection).await?;
        app.send_notification(None, &notification);
        Ok(())
    }
}

/// Whether somebody looks at the app. Without a dependency on GTK.
fn is_active(app: &Application) -> bool {
    let property = |object: &glib::Object, name| {
        (object.find_property(name)).map(|_| object.property_value(name))
    };
    let window = property(app.upcast_ref(), "active-window");
    let window = window.and_then(|window| window.get::<Option<glib::Object>>().ok().flatten());
    let active = window.and_then(|window| property(&window, "is-active"));
    active.and_then(|active| active.get().ok()).unwrap_or(false)
}

impl Surface for Notice {}
impl sealed::Surface for Notice {
    fn observer(&self) -> Observer {
        let notice = self.clone();
        follow::observer(move |_, _| Started(notice, Instant::now()))
    }
}

struct Started(Notice, Instant);

impl Shown for Started {
    fn ended(&self, status: &Status) {
        let Started(notice, start) = self;
        let is_news = status.state() != State::Cancelled && start.elapsed() >= notice.after;
        let Some(app) = notice.app.upgrade() else {
            return;
        };
        if is_news && !is_active(&app) {
            let (known, notification) = (notice.known.clone(), (notice.words)(status));
            // The job may have been all that kept the app.
            let hold = app.hold();
            known.ask();
            Task::detach(async move {
                known.set(&Notice::send(app, notification).await);
                drop(hold);
            });
        }
    }
}
