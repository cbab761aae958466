//! The app itself: it does not end while a job runs, and says that it is busy.

use gio::prelude::*;
use gio::{Application, ApplicationBusyGuard, ApplicationHoldGuard};
use glib::WeakRef;

use super::follow::{self, Shown};
use super::{Surface, bus, sealed};
use crate::child::observer::Observer;

/// Keeps the app running while a job runs, also without a window: `g_application_hold()`.
///
/// The app ends by itself when neither a window nor a hold is left. Needs nothing of the desktop. Neither `Send` nor
/// `Sync`.
#[derive(Clone)]
pub struct Hold {
    app: WeakRef<Application>,
    busy: bool,
}

impl Hold {
    /// Holds the app.
    pub fn new(app: &impl IsA<Application>) -> Self {
        Hold {
            app: app.upcast_ref::<Application>().downgrade(),
            busy: false,
        }
    }

    /// Marks it as busy as well, for a desktop that shows that: `g_application_mark_busy()`. Ignored in an app that is
    /// not registered, has no bus, or is a remote instance.
    pub fn busy(mut self) -> Self {
        self.busy = true;
        self
    }
}

impl Surface for Hold {}
impl sealed::Surface for Hold {
    fn observer(&self) -> Observer {
        let this = self.clone();
        follow::observer(move |_, _| {
            let app = this.app.upgrade();
            // GLib tells the bus, and logs a critical warning if it is missing.
            let on_bus = bus::session(&this.app).ok().and(app.as_ref());
            let busy = on_bus.filter(|app| this.busy && !app.is_remote());
            Held {
                _busy: busy.map(ApplicationExtManual::mark_busy),
                _hold: app.as_ref().map(ApplicationExtManual::hold),
            }
        })
    }
}

struct Held {
    _busy: Option<ApplicationBusyGuard>,
    _hold: Option<ApplicationHoldGuard>,
}

impl Shown for Held {}
