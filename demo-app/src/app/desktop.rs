//! Where the desktop shows running jobs, and keeps awake for them. The preferences have a switch for each.

use std::{cell::Cell, path::PathBuf, rc::Rc};

use gtk::{gio, glib, prelude::*};
use legwork::desktop::{
    Availability, BackgroundStatus, Inhibit, Inhibitor, JobList, JobView, Launcher, Surface,
};

use super::APP_ID;

/// One part of the desktop.
pub(super) struct Place {
    key: &'static str,
    pub(super) title: &'static str,
    pub(super) subtitle: &'static str,
    surface: Box<dyn Surface>,
    availability: Box<dyn Fn() -> Availability>,
    is_on: Cell<bool>,
}

impl Place {
    fn new<S: Surface + Clone + 'static>(
        [key, title, subtitle]: [&'static str; 3],
        surface: S,
        availability: fn(&S) -> Availability,
    ) -> Self {
        Self {
            key,
            title,
            subtitle,
            surface: Box::new(surface.clone()),
            availability: Box::new(move || availability(&surface)),
            is_on: Cell::new(true),
        }
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on.get()
    }

    /// Why nothing is shown there, if that is known.
    pub(super) fn lacks(&self) -> Option<String> {
        match (self.availability)() {
            Availability::Unavailable(why) => Some(why),
            _ => None,
        }
    }
}

/// All of them, for one app.
pub(super) struct Desktop {
    pub(super) places: Vec<Place>,
    file: PathBuf,
}

/// The group of the file that keeps what is switched on.
const GROUP: &str = "Desktop";

thread_local! {
    static OF_APP: Cell<Option<Rc<Desktop>>> = const { Cell::new(None) };
}

impl Desktop {
    /// Looks up what is switched on. Each part begins switched on. `raise` is called with an activation token when
    /// another program wants to see a job.
    pub(super) fn set_up(app: &gio::Application, raise: impl Fn(&str) + 'static) {
        let list = JobList::new();
        list.on_show(move |_, token| raise(token));
        let sleep = Inhibit::SUSPEND | Inhibit::LOGOUT;
        let desktop_file = format!("{APP_ID}.desktop");
        let places = vec![
            Place::new(
                [
                    "dock",
                    "Progress in the Dock",
                    "On the icon of the app, in docks that show it",
                ],
                Launcher::new(app, &desktop_file),
                Launcher::availability,
            ),
            Place::new(
                [
                    "job-view",
                    "Plasma’s List of Jobs",
                    "Among the notifications, with buttons to stop and to pause",
                ],
                JobView::new(app),
                JobView::availability,
            ),
            Place::new(
                [
                    "awake",
                    "Keep Awake",
                    "The computer neither sleeps nor logs out by itself while a job runs",
                ],
                Inhibitor::new(app, sleep, "A job is running"),
                Inhibitor::availability,
            ),
            Place::new(
                [
                    "background",
                    "Background Apps",
                    "What runs without a window, in the list of such apps",
                ],
                BackgroundStatus::new(app),
                BackgroundStatus::availability,
            ),
            Place::new(
                [
                    "session",
                    "Other Programs",
                    "Programs of this session, such as “legwork jobs”, can list and stop jobs",
                ],
                list,
                JobList::availability,
            ),
        ];
        let desktop = Desktop {
            places,
            file: glib::user_config_dir().join("legwork-demo.ini"),
        };
        let kept = glib::KeyFile::new();
        // It does not exist before the first change.
        if kept
            .load_from_file(&desktop.file, glib::KeyFileFlags::NONE)
            .is_ok()
        {
            for place in &desktop.places {
                place
                    .is_on
                    .set(kept.boolean(GROUP, place.key).unwrap_or(true));
            }
        }
        OF_APP.set(Some(Rc::new(desktop)));
    }

    /// That of the app; none before it has started.
    pub(super) fn of_app() -> Option<Rc<Self>> {
        OF_APP.with(|cell| {
            let desktop = cell.take();
            cell.set(desktop.clone());
            desktop
        })
    }

    /// Switches one on or off, for jobs that are started from now on, and keeps that.
    pub(super) fn switch(&self, place: &Place, is_on: bool) {
        place.is_on.set(is_on);
        let kept = glib::KeyFile::new();
        for place in &self.places {
            kept.set_boolean(GROUP, place.key, place.is_on());
        }
        let (file, text) = (gio::File::for_path(&self.file), kept.to_data().to_string());
        glib::spawn_future_local(async move {
            let flags = gio::FileCreateFlags::REPLACE_DESTINATION;
            let written = file.replace_contents_future(text, None, false, flags).await;
            if let Err((_, error)) = written {
                log::warn!("the preferences could not be saved: {error}");
            }
        });
    }
}

/// Has what is about to start shown wherever that is switched on. `show` adds one of them to it.
pub(super) fn show<T>(started: T, show: impl Fn(T, &dyn Surface) -> T) -> T {
    let Some(desktop) = Desktop::of_app() else {
        return started;
    };
    let wanted = desktop.places.iter().filter(|place| place.is_on());
    wanted.fold(started, |started, place| show(started, &*place.surface))
}
