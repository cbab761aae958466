//! What a shell's list of background apps says that the app is doing: `SetStatus` of the Background portal.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use gio::prelude::*;
use gio::{ActionMap, Application};
use glib::{Variant, VariantDict, VariantTy, WeakRef};

use super::availability::Availability;
use super::bus::{self, Remote};
use super::follow::{self, Shown};
use super::known::Known;
use super::portal::{DESKTOP, introduce, portal};
use super::task::{Task, answer};
use super::throttle::Throttle;
use super::{Surface, sealed};
use crate::child::observer::Observer;
use crate::model::Status;
use crate::text::Text;

const BACKGROUND: Remote<'_> = portal("org.freedesktop.portal.Background");
/// For words in a menu. The portal tells all of its listeners each time.
const PERIOD: Duration = Duration::from_secs(1);
/// What the portal accepts, in characters.
const LENGTH_MAX: usize = 96;

/// What the app is doing, in the shell's list of apps that run in the background: the words of the job that was started
/// last, and how far it is. At most once a second; the words go with the last job.
///
/// The Background portal (version 2) takes it from apps in a sandbox, and refuses it to others.
///
/// That list also has a button which ends the app. GNOME Shell activates the app's action `quit` for that, and *kills* an
/// app that has no such action or does not end. [`new`](Self::new) logs a warning if the app has no such action:
///
/// ```
/// use legwork::gio::{self, prelude::*};
///
/// # let app = gio::Application::new(Some("org.example.App"), Default::default());
/// let quit = gio::ActionEntry::builder("quit").activate(|app: &gio::Application, _, _| app.quit());
/// app.add_action_entries([quit.build()]);
/// let status = legwork::desktop::BackgroundStatus::new(&app);
/// ```
///
/// Neither `Send` nor `Sync`.
#[derive(Clone)]
pub struct BackgroundStatus(Rc<Shared>);

struct Shared {
    app: WeakRef<Application>,
    running: RefCell<Vec<WeakRef<Status>>>,
    /// What the portal was told last.
    told: RefCell<Option<String>>,
    calls: Cell<bool>,
    /// What was refused once is tried again for another job only.
    refused: Cell<bool>,
    known: Known,
    throttle: Rc<Throttle>,
}

impl BackgroundStatus {
    /// Shows what jobs are doing as what this app is doing.
    pub fn new(app: &impl IsA<Application>) -> Self {
        let app: &Application = app.upcast_ref();
        if app
            .upcast_ref::<ActionMap>()
            .lookup_action("quit")
            .is_none()
        {
            glib::g_warning!(
                "Legwork",
                "The app shows what it does in the background, but has no action `quit`: a shell that \
                 is to end it would kill it instead"
            );
        }
        let app = app.downgrade();
        BackgroundStatus(Rc::new_cyclic(|weak: &Weak<Shared>| {
            let shared = weak.clone();
            Shared {
                app,
                running: RefCell::default(),
                told: RefCell::default(),
                calls: Cell::new(false),
                refused: Cell::new(false),
                known: Known::new("background status"),
                throttle: Throttle::new(PERIOD, move || {
                    if let Some(shared) = shared.upgrade() {
                        shared.update();
                    }
                }),
            }
        }))
    }

    /// Returns whether the portal has taken the last change.
    pub fn availability(&self) -> Availability {
        self.0.known.get()
    }
}

impl Shared {
    fn words(&self) -> Option<String> {
        let mut running = self.running.borrow_mut();
        running.retain(|status| status.upgrade().is_some_and(|status| status.running()));
        let status = running.last()?.upgrade()?;
        let done = match status.total() {
            0 => String::new(),
            _ => format!(" ({:.0} %)", (status.fraction() * 100.0).floor()),
        };
        let label = status.label();
        let room = LENGTH_MAX - done.chars().count();
        Some(label.chars().take(room).collect::<String>() + &done)
    }

    fn update(self: Rc<Self>) {
        let words = self.words();
        // A portal that is slow is not asked again before it has answered. Should it take the words after all, they are
        // taken away in the end.
        let is_in_vain = self.refused.get() && words.is_some();
        if self.calls.get() || is_in_vain || words == *self.told.borrow() {
            return;
        }
        self.calls.set(true);
        self.told.replace(words.clone());
        Task::detach(async move {
            self.known.ask();
            let told = self.set(words).await;
            self.known.set(&told);
            self.calls.set(false);
            self.refused.set(told.is_err());
            self.throttle.ask();
        });
    }

    async fn set(&self, words: Option<String>) -> Result<(), Text> {
        let connection = bus::session(&self.app)?;
        introduce(&connection, &self.app).await;
        let call = BACKGROUND.call(
            &connection,
            "SetStatus",
            &options(words),
            VariantTy::UNIT,
            true,
        );
        answer(DESKTOP, call).await.map(drop)
    }
}

fn options(words: Option<String>) -> Variant {
    let options = VariantDict::new(None);
    if let Some(words) = words {
        options.insert("message", words);
    }
    Variant::tuple_from_iter([options.end()])
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.told.borrow().is_some()
            && let Ok(connection) = bus::session(&self.app)
        {
            BACKGROUND.tell(&connection, "SetStatus", &options(None));
        }
    }
}

impl Surface for BackgroundStatus {}
impl sealed::Surface for BackgroundStatus {
    fn observer(&self) -> Observer {
        let shared = self.0.clone();
        follow::observer(move |status, _| {
            shared.running.borrow_mut().push(status.downgrade());
            shared.refused.set(false);
            shared.throttle.ask();
            Entry(shared)
        })
    }
}

struct Entry(Rc<Shared>);

impl Shown for Entry {
    fn changed(&self, _: &Status) {
        self.0.throttle.ask();
    }

    fn ended(&self, _: &Status) {
        self.0.throttle.ask();
    }
}
