//! The jobs that are listed, and whether the session can see them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use glib::SignalHandlerId;
use glib::prelude::*;
use glib::variant::ObjectPath;

use super::name;
use super::object::{INTERFACE, Object, Properties, Show};
use super::outlet::Outlet;
use crate::child::Control;
use crate::child::observer::Observer;
use crate::desktop::availability::Availability;
use crate::desktop::throttle::Throttle;
use crate::desktop::{Surface, connection, sealed};
use crate::model::Status;
use crate::text::{Text, text};

const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// Between two signals with changes of one job. With the last one, which does not wait, that is at most 10 a second.
const INTERVAL: Duration = Duration::from_millis(125);

/// The number of the last job, in the whole process.
static LAST: AtomicU64 = AtomicU64::new(0);

/// A list of jobs and programs on the session bus, for `legwork jobs` and whoever else wants to show or stop what runs
/// in the background: `org.legwork.Jobs1`.
///
/// An app has one, and hands it to those of its jobs and programs that people may see and stop from outside the app.
/// Each is on the bus from its start to its end. While there is any, the app owns the name `<app-id>.LegworkJobs`; without
/// a `gio::Application` that has an id it is `org.legwork.Jobs.p<pid>`. If the name has an owner, such as another instance
/// of the app, it is a name below that one.
///
/// The interface is described in [docs/jobs1.md]. Everybody on the session bus may read; the methods (Cancel, Pause,
/// Resume, Show) are for the app's own user, as the bus says.
///
/// ```no_run
/// use legwork::desktop::JobList;
/// use legwork::gio;
///
/// # async fn example() -> Result<(), legwork::Error> {
/// let list = JobList::new();
/// list.on_show(|status, token| println!("raise the window of {} ({token})", status.label()));
///
/// legwork::Command::new("borg")
///     .args(["create", "backups::{now}", "Documents"])
///     .label("Backup of Documents")
///     .show_in(&list)
///     .spawn()
///     .await?;
/// # Ok(()) }
/// ```
///
/// # The connection
///
/// The app's own, if its [`gio::Application`] is registered and has one; otherwise one of its own, without starting a
/// bus. Nothing waits for it. When it cannot be had, or ends, [`availability`](Self::availability) says so, and the jobs
/// run on unseen. An app that keeps GLib's `exit-on-close` set for its connection ends with the bus, of course.
///
/// # Threads and contexts
///
/// A list belongs to its thread, and shows jobs and programs of the main context that is the thread's default. GLib keeps
/// a context on which there are objects, so it does not go away before the jobs that are listed there have ended. A list
/// is neither `Send` nor `Sync`. Clones are the same list; dropping all of them changes nothing for what is listed
/// already.
///
/// [docs/jobs1.md]: https://github.com/legwork-rs/legwork/blob/main/docs/jobs1.md
/// [`gio::Application`]: gio::Application
#[derive(Clone)]
pub struct JobList(Rc<List>);

struct List {
    availability: RefCell<Availability>,
    entries: RefCell<BTreeMap<u64, (Entry, SignalHandlerId)>>,
    outlet: RefCell<Option<Rc<Outlet>>>,
    show: Rc<Show>,
}

#[derive(Clone)]
struct Entry {
    object: Rc<Object>,
    changes: Rc<Throttle>,
}

impl JobList {
    /// Makes an empty list. Nothing is asked of the bus until a job is in it.
    pub fn new() -> Self {
        JobList(Rc::new(List {
            availability: RefCell::new(Availability::Unused),
            entries: RefCell::default(),
            outlet: RefCell::default(),
            show: Rc::default(),
        }))
    }

    /// Calls `callback` with a job or program that somebody wants to see, and the token by which the app may raise a
    /// window (`gtk_window_set_startup_id`); the token may be empty. A second callback replaces the first. Without one
    /// the caller is told that the app does not show its jobs.
    pub fn on_show(&self, callback: impl Fn(&Status, &str) + 'static) {
        self.0.show.set(callback);
        self.0
            .entries()
            .iter()
            .for_each(|entry| entry.changes.ask());
    }

    /// Returns whether the session can see the list.
    pub fn availability(&self) -> Availability {
        self.0.availability.borrow().clone()
    }
}

impl Default for JobList {
    fn default() -> Self {
        JobList::new()
    }
}

impl Surface for JobList {}

impl sealed::Surface for JobList {
    fn observer(&self) -> Observer {
        let list = self.0.clone();
        Box::new(move |status, control| list.add(status, control))
    }
}

impl std::fmt::Debug for JobList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JobList")
            .field("availability", &self.availability())
            .field("jobs", &self.0.entries.borrow().len())
            .finish_non_exhaustive()
    }
}

impl List {
    fn entries(&self) -> Vec<Entry> {
        let entries = self.entries.borrow();
        entries.values().map(|(entry, _)| entry.clone()).collect()
    }

    fn outlet(&self) -> Option<Rc<Outlet>> {
        self.outlet.borrow().clone()
    }

    fn add(self: &Rc<Self>, status: &Status, control: &Control) {
        let number = LAST.fetch_add(1, Relaxed) + 1;
        let object = Rc::new(Object::new(number, status, control, &self.show));
        let changes = {
            let (list, object) = (Rc::downgrade(self), object.clone());
            let tell = move || {
                list.upgrade()
                    .iter()
                    .for_each(|list| list.tell_changes(&object))
            };
            Throttle::new(INTERVAL, tell)
        };
        let entry = Entry { object, changes };
        // The list is kept by the jobs that run.
        let (list, throttle) = (self.clone(), Rc::downgrade(&entry.changes));
        let handler = status.connect_notify_local(None, move |status, _| {
            if !status.running() {
                list.remove(number);
            } else if let Some(changes) = throttle.upgrade() {
                changes.ask();
            }
        });
        let known = (entry.clone(), handler);
        self.entries.borrow_mut().insert(number, known);
        match self.outlet() {
            Some(outlet) => self.tell_new(&outlet, &entry.object),
            None => self.publish(),
        }
    }

    fn remove(&self, number: u64) {
        let Some((entry, handler)) = self.entries.borrow_mut().remove(&number) else {
            return;
        };
        entry.object.status().disconnect(handler);
        if let Some(outlet) = self.outlet() {
            if let Some(last) = entry.object.changes() {
                emit_changes(&outlet, &entry.object, &last);
            }
            let gone = (path(&entry.object), [INTERFACE].as_slice()).to_variant();
            outlet.emit_of_manager("InterfacesRemoved", &gone);
        }
        entry.object.unregister();
        let is_last = self.entries.borrow().is_empty();
        // What is still being published looks at this when it is done.
        if is_last && *self.availability.borrow() == Availability::Available {
            self.withdraw(Availability::Unused);
        }
    }

    // --- on the bus ---------------------------------------------------------------------------

    /// Has the list appear on the bus, unless it is just about to.
    fn publish(self: &Rc<Self>) {
        if self.availability.replace(Availability::Pending) != Availability::Pending {
            let list = self.clone();
            glib::MainContext::ref_thread_default().spawn_local(async move {
                if let Err(why) = list.try_publish().await {
                    let unavailable =
                        Availability::none("the jobs are not on the session bus", &why);
                    list.withdraw(unavailable);
                }
            });
        }
    }

    /// Returns once the list is no longer on the bus.
    async fn try_publish(self: &Rc<Self>) -> Result<(), Text> {
        let said = |error: glib::Error| Text::of(error.message());
        let connection = connection::session().await?;
        let managed = Rc::downgrade(self);
        let objects = move || managed.upgrade().map(|list| list.managed_objects());
        let outlet = Outlet::open(connection, move || {
            objects().unwrap_or_default().to_variant()
        })
        .map_err(said)?;
        self.outlet.replace(Some(outlet.clone()));
        for entry in self.entries() {
            self.tell_new(&outlet, &entry.object);
        }
        outlet.set_name(name::own(outlet.connection()).await?);
        if self.entries.borrow().is_empty() {
            self.withdraw(Availability::Unused);
            return Ok(());
        }
        self.availability.replace(Availability::Available);
        outlet.over().await;
        if (self.outlet()).is_some_and(|current| Rc::ptr_eq(&current, &outlet)) {
            return Err(text!("the connection to the session bus was closed"));
        }
        Ok(())
    }

    fn withdraw(&self, availability: Availability) {
        self.availability.replace(availability);
        for entry in self.entries() {
            entry.object.unregister();
        }
        if let Some(outlet) = self.outlet.take() {
            outlet.close();
        }
    }

    fn managed_objects(&self) -> Managed {
        let objects = self.entries().into_iter();
        objects
            .map(|entry| (path(&entry.object), interfaces(&entry.object)))
            .collect()
    }

    fn tell_new(&self, outlet: &Outlet, object: &Rc<Object>) {
        // Fails if somebody else has an object there, in this process: then it is seen and cannot be called.
        let _ = object.register(outlet.connection());
        let new = (path(object), interfaces(object)).to_variant();
        outlet.emit_of_manager("InterfacesAdded", &new);
    }

    fn tell_changes(self: &Rc<Self>, object: &Object) {
        let list = self.clone();
        let again = move || list.entries().iter().for_each(|entry| entry.changes.ask());
        if let Some(outlet) = self.outlet()
            && outlet.takes_changes(again)
            && let Some(changes) = object.changes()
        {
            emit_changes(&outlet, object, &changes);
        }
    }
}

type Interfaces = BTreeMap<&'static str, Properties>;
/// What GetManagedObjects answers.
type Managed = BTreeMap<ObjectPath, Interfaces>;

fn path(object: &Object) -> ObjectPath {
    ObjectPath::try_from(&*object.path).expect("a path and a number")
}

fn interfaces(object: &Object) -> Interfaces {
    Interfaces::from([(INTERFACE, object.properties())])
}

fn emit_changes(outlet: &Outlet, object: &Object, changes: &Properties) {
    let invalidated: [&str; 0] = [];
    let changes = (INTERFACE, changes, invalidated.as_slice()).to_variant();
    outlet.emit(&object.path, PROPERTIES, "PropertiesChanged", &changes);
}
