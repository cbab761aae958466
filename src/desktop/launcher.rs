//! Progress on the app's icon in the dock: the signal `com.canonical.Unity.LauncherEntry.Update`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use gio::prelude::*;
use gio::{Application, DBusConnection};
use glib::{Variant, VariantDict, WeakRef};

use super::availability::Availability;
use super::follow::{self, Shown};
use super::known::Known;
use super::throttle::Throttle;
use super::{Surface, bus, sealed};
use crate::child::observer::Observer;
use crate::model::Status;
use crate::text::Text;

const INTERFACE: &str = "com.canonical.Unity.LauncherEntry";
const PERIOD: Duration = Duration::from_millis(100);

/// Progress on the app's icon in the dock.
///
/// The mean of the fractions of all jobs and programs that are shown in it, at most ten times a second; nothing while
/// none has a known total. Make one for the app and keep it: two for the same icon overwrite each other.
///
/// It is a signal to whoever listens (the docks of Ubuntu and KDE Plasma, Dash to Dock, Plank), so *available* says that it
/// was sent, not that somebody showed it. A dock removes it when the app is gone from the bus.
///
/// Needs an installed desktop file, by which the dock finds the icon, and the app's connection to the session bus.
/// Neither `Send` nor `Sync`.
#[derive(Clone)]
pub struct Launcher(Rc<Entry>);

struct Entry {
    app: WeakRef<Application>,
    uri: String,
    running: RefCell<Vec<WeakRef<Status>>>,
    visible: Cell<bool>,
    known: Known,
    throttle: Rc<Throttle>,
}

impl Launcher {
    /// The icon of this desktop file, such as `org.example.App.desktop`.
    pub fn new(app: &impl IsA<Application>, desktop_file: &str) -> Self {
        let uri = format!("application://{desktop_file}");
        Launcher(Rc::new_cyclic(|weak: &std::rc::Weak<Entry>| {
            let entry = weak.clone();
            Entry {
                app: app.upcast_ref::<Application>().downgrade(),
                uri,
                running: RefCell::default(),
                visible: Cell::new(false),
                known: Known::new("launcher"),
                throttle: Throttle::new(PERIOD, move || {
                    if let Some(entry) = entry.upgrade() {
                        entry.known.set(&entry.update());
                    }
                }),
            }
        }))
    }

    /// Returns whether the last change could be sent.
    pub fn availability(&self) -> Availability {
        self.0.known.get()
    }
}

impl Entry {
    fn update(&self) -> Result<(), Text> {
        let connection = bus::session(&self.app)?;
        let mean = self.mean();
        self.visible.set(mean.is_some());
        self.send(&connection, mean)
    }

    /// `None` if nothing runs whose end is known.
    fn mean(&self) -> Option<f64> {
        let mut running = self.running.borrow_mut();
        running.retain(|status| status.upgrade().is_some_and(|status| status.running()));
        let fractions: Vec<f64> = (running.iter().filter_map(WeakRef::upgrade))
            .filter(|status| status.total() > 0)
            .map(|status| status.fraction())
            .collect();
        (!fractions.is_empty()).then(|| fractions.iter().sum::<f64>() / fractions.len() as f64)
    }

    fn send(&self, connection: &DBusConnection, progress: Option<f64>) -> Result<(), Text> {
        let properties = VariantDict::new(None);
        properties.insert("progress", progress.unwrap_or(0.0));
        properties.insert("progress-visible", progress.is_some());
        let arguments = Variant::tuple_from_iter([self.uri.to_variant(), properties.end()]);
        let sent =
            connection.emit_signal(None, &self.path(), INTERFACE, "Update", Some(&arguments));
        sent.map_err(|error| Text::of(error.message()))
    }

    /// One path per icon, of letters that a path may have.
    fn path(&self) -> String {
        let letters = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let name: String = self.uri.chars().map(letters).collect();
        format!("/com/canonical/unity/launcherentry/{name}")
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.visible.get()
            && let Ok(connection) = bus::session(&self.app)
        {
            let _ = self.send(&connection, None);
        }
    }
}

impl Surface for Launcher {}
impl sealed::Surface for Launcher {
    fn observer(&self) -> Observer {
        let entry = self.0.clone();
        follow::observer(move |status, _| {
            entry.running.borrow_mut().push(status.downgrade());
            entry.throttle.ask();
            Icon(entry)
        })
    }
}

struct Icon(Rc<Entry>);

impl Shown for Icon {
    fn changed(&self, _: &Status) {
        self.0.throttle.ask();
    }

    fn ended(&self, _: &Status) {
        self.0.throttle.ask();
    }
}
