//! What the session must not do while a job runs, as asked for at the first of three services that there is.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use gio::prelude::*;
use gio::{Application, DBusConnection, DBusConnectionFlags, DBusSignalFlags};
use glib::variant::{Handle, ObjectPath};
use glib::{Variant, VariantDict, VariantTy, WeakRef};

use super::availability::Availability;
use super::bus::{self, Remote};
use super::follow::{self, Shown};
use super::known::Known;
use super::portal::{DESKTOP, introduce, portal};
use super::task::{Task, answer};
use super::{Surface, sealed};
use crate::child::observer::Observer;
use crate::text::{Text, text};

const SESSION_MANAGER: Remote<'_> = Remote {
    name: "org.gnome.SessionManager",
    path: "/org/gnome/SessionManager",
    interface: "org.gnome.SessionManager",
};
const LOGIND: Remote<'_> = Remote {
    name: "org.freedesktop.login1",
    path: "/org/freedesktop/login1",
    interface: "org.freedesktop.login1.Manager",
};

const REQUEST: &str = "org.freedesktop.portal.Request";

glib::bitflags::bitflags! {
    /// What the session must not do. The numbers are those of GNOME's session manager and of the portal.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Inhibit: u32 {
        /// Log out, restart or shut down.
        const LOGOUT = 1;
        /// Switch to another user. logind has no such thing.
        const SWITCH_USER = 2;
        /// Suspend or hibernate.
        const SUSPEND = 4;
        /// Count as idle: blank or lock the screen, and what follows from that.
        const IDLE = 8;
    }
}

/// Keeps the session from logging out, suspending or becoming idle while a job runs.
///
/// Asked for are, until one agrees: GNOME's session manager (as `gtk_application_inhibit()` does), the Inhibit portal, and
/// logind on the system bus. The inhibitor is given back when the job has ended, or when the app has died: the first two see
/// its connection go; logind's is a descriptor, which is close-on-exec, and which no child of Legwork's ever has.
///
/// Each job has an inhibitor of its own. Neither `Send` nor `Sync`.
#[derive(Clone)]
pub struct Inhibitor(Rc<Wanted>);

struct Wanted {
    app: WeakRef<Application>,
    what: Inhibit,
    reason: String,
    known: Known,
}

impl Inhibitor {
    /// Inhibits `what`. People read the reason: "Copying 300 photos".
    pub fn new(app: &impl IsA<Application>, what: Inhibit, reason: impl Into<String>) -> Self {
        Inhibitor(Rc::new(Wanted {
            app: app.upcast_ref::<Application>().downgrade(),
            what,
            reason: crate::wire::nul::without_nul(reason.into()),
            known: Known::new("inhibitor"),
        }))
    }

    /// Returns whether the last job has its inhibitor.
    pub fn availability(&self) -> Availability {
        self.0.known.get()
    }
}

impl Surface for Inhibitor {}
impl sealed::Surface for Inhibitor {
    fn observer(&self) -> Observer {
        let wanted = self.0.clone();
        follow::observer(move |_, _| {
            Inhibited(Task::spawn(async move {
                wanted.known.ask();
                let held = wanted.ask().await;
                wanted.known.set(&held);
                // Dropped with the task, when the job ends.
                std::future::pending::<()>().await;
                drop(held);
            }))
        })
    }
}

struct Inhibited(#[allow(dead_code)] Task);

impl Shown for Inhibited {}

/// An inhibitor; dropping it gives it back.
enum Held {
    Cookie(DBusConnection, u32),
    Request(DBusConnection, String),
    Descriptor(#[allow(dead_code)] OwnedFd),
}

impl Drop for Held {
    fn drop(&mut self) {
        match self {
            Held::Cookie(connection, cookie) => {
                SESSION_MANAGER.tell(connection, "Uninhibit", &(*cookie,).to_variant());
            }
            Held::Request(connection, path) => {
                let request = Remote {
                    path,
                    ..portal(REQUEST)
                };
                request.tell(connection, "Close", &().to_variant());
            }
            Held::Descriptor(_) => (),
        }
    }
}

impl Wanted {
    /// The first that agrees; else what each has said.
    async fn ask(&self) -> Result<Held, Text> {
        let of_session = match bus::session(&self.app) {
            Ok(connection) => self.ask_session(connection).await,
            Err(why) => Err(why),
        };
        let Err(of_session) = of_session else {
            return of_session;
        };
        let who = glib::application_name().map_or_else(|| bus::id_of(&self.app), Into::into);
        let asked = logind(who, self.what, self.reason.clone());
        let logind = answer(LOGIND.name, asked).await;
        logind.map_err(|why| both(of_session, why))
    }

    async fn ask_session(&self, connection: DBusConnection) -> Result<Held, Text> {
        let (id, reason) = (bus::id_of(&self.app), self.reason.clone());
        let asked = session_manager(connection.clone(), id, self.what, reason.clone());
        let manager = answer(SESSION_MANAGER.name, asked).await;
        let Err(manager) = manager else {
            return manager;
        };
        introduce(&connection, &self.app).await;
        let portal = answer(DESKTOP, by_portal(connection, self.what, reason)).await;
        portal.map_err(|why| both(manager, why))
    }
}

fn both(first: Text, second: Text) -> Text {
    text!("{first}; {second}", first = first, second = second)
}

async fn session_manager(
    connection: DBusConnection,
    app: String,
    what: Inhibit,
    reason: String,
) -> Result<Held, Text> {
    let no_window = 0u32;
    let arguments = (app, no_window, reason, what.bits()).to_variant();
    let returns = VariantTy::new("(u)").expect("a type");
    let call = SESSION_MANAGER.call(&connection, "Inhibit", &arguments, returns, false);
    let (cookie, _) = call.await?;
    let cookie = cookie.child_value(0).get().expect("as asked for");
    Ok(Held::Cookie(connection, cookie))
}

async fn by_portal(
    connection: DBusConnection,
    what: Inhibit,
    reason: String,
) -> Result<Held, Text> {
    let (sender, responses) = async_channel::bounded(256);
    // Before the call: the response may come right after the request's path.
    let _response = connection.subscribe_to_signal(
        Some(DESKTOP),
        Some(REQUEST),
        Some("Response"),
        None,
        None,
        DBusSignalFlags::NONE,
        move |signal| {
            let code: Option<u32> = signal.parameters.child_value(0).get();
            let _ = sender.try_send((signal.object_path.to_owned(), code));
        },
    );
    let options = VariantDict::new(None);
    options.insert("reason", reason);
    let arguments = ["".to_variant(), what.bits().to_variant(), options.end()];
    let arguments = Variant::tuple_from_iter(arguments);
    let returns = VariantTy::new("(o)").expect("a type");
    let inhibit = portal("org.freedesktop.portal.Inhibit");
    let (path, _) = (inhibit.call(&connection, "Inhibit", &arguments, returns, true)).await?;
    let path: ObjectPath = path.child_value(0).get().expect("as asked for");
    let held = Held::Request(connection.clone(), path.as_str().to_owned());
    while let Ok((of, code)) = responses.recv().await {
        match (of == path.as_str(), code) {
            (true, Some(0)) => return Ok(held),
            (true, _) => break,
            (false, _) => (),
        }
    }
    Err(text!("{service} does not permit it", service = DESKTOP))
}

/// On a connection of its own: the one that GLib shares ends the app when the system bus is restarted.
async fn logind(who: String, what: Inhibit, why: String) -> Result<Held, Text> {
    let names = [
        (Inhibit::LOGOUT, "shutdown"),
        (Inhibit::SUSPEND, "sleep"),
        (Inhibit::IDLE, "idle"),
    ];
    let names = names.iter().filter(|(flag, _)| what.contains(*flag));
    let names: Vec<_> = names.map(|(_, name)| *name).collect();
    if names.is_empty() {
        return Err(text!(
            "{service} cannot inhibit that",
            service = LOGIND.name
        ));
    }
    let address = std::env::var("DBUS_SYSTEM_BUS_ADDRESS")
        .unwrap_or_else(|_| "unix:path=/run/dbus/system_bus_socket".to_owned());
    let flags =
        DBusConnectionFlags::AUTHENTICATION_CLIENT | DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
    let system = DBusConnection::for_address_future(&address, flags, None).await;
    let system =
        system.map_err(|error| text!("no system bus: {error}", error = error.message()))?;
    let arguments = (names.join(":"), who, why, "block").to_variant();
    let returns = VariantTy::new("(h)").expect("a type");
    let (handle, fds) = (LOGIND.call(&system, "Inhibit", &arguments, returns, true)).await?;
    let handle: Handle = handle.child_value(0).get().expect("as asked for");
    let fd = fds
        .and_then(|fds| fds.get(handle.0).ok())
        .ok_or_else(|| text!("{service} has sent no descriptor", service = LOGIND.name))?;
    Ok(Held::Descriptor(fd))
}
