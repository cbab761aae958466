//! Calls over the app's own connection.
//!
//! A call has no timeout of its own: an answer that comes late may hold something that has to be given back. Who
//! waits for one, and for how long, is up to [`task::answer`](super::task::answer).

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::OnceLock;

use gio::prelude::*;
use gio::{
    Application, DBusCallFlags, DBusConnection, DBusMessage, DBusMessageFlags,
    DBusSendMessageFlags, DBusSignalFlags, SignalSubscription, UnixFDList,
};
use glib::{Variant, VariantTy, WeakRef};

use super::task::{Task, answer};
use crate::process::own;
use crate::text::{Text, text};

/// Whether this is a process that somebody has forked from the app: its copy of the connection is not its own.
fn is_copy() -> bool {
    static APP: OnceLock<u32> = OnceLock::new();
    *APP.get_or_init(own::id) != own::id()
}

/// The app's connection to the session bus.
pub(super) fn session(app: &WeakRef<Application>) -> Result<DBusConnection, Text> {
    if is_copy() {
        return Err(text!("this is not the app, but a copy of it"));
    }
    let app = app
        .upgrade()
        .ok_or_else(|| text!("the GApplication is gone"))?;
    // GLib logs a critical warning if it is asked before, or after the app's end.
    let registered = Some(&app).filter(|app| app.is_registered());
    let registered = registered.ok_or_else(|| text!("the GApplication is not registered"))?;
    let connection = registered.dbus_connection();
    let connection =
        connection.ok_or_else(|| text!("the app has no connection to a session bus"))?;
    match connection.is_closed() {
        true => Err(text!("the app's connection to the session bus is closed")),
        false => Ok(connection),
    }
}

/// The app's id, or what is closest to one.
pub(super) fn id_of(app: &WeakRef<Application>) -> String {
    let id = app.upgrade().and_then(|app| app.application_id());
    id.or_else(glib::prgname).unwrap_or_default().into()
}

/// Waits until the bus itself answers.
pub(super) async fn ping(connection: &DBusConnection) -> Result<(), Text> {
    let returns = VariantTy::new("(s)").expect("a type");
    let call = BUS.call(connection, "GetId", &().to_variant(), returns, false);
    answer(BUS.name, call).await.map(drop)
}

const BUS: Remote<'_> = Remote {
    name: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
};

/// An object of a service, as one of its interfaces.
#[derive(Clone, Copy)]
pub(super) struct Remote<'a> {
    pub(super) name: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
}

impl Remote<'_> {
    /// Calls a method, and checks the type of what it returns. A service that is not running is started only if
    /// `start` says so.
    pub(super) fn call(
        &self,
        connection: &DBusConnection,
        method: &'static str,
        arguments: &Variant,
        returns: &VariantTy,
        start: bool,
    ) -> impl Future<Output = Result<(Variant, Option<UnixFDList>), Text>> + 'static {
        let flags = match start {
            true => DBusCallFlags::NONE,
            false => DBusCallFlags::NO_AUTO_START,
        };
        let call = connection.call_with_unix_fd_list_future(
            Some(self.name),
            self.path,
            self.interface,
            method,
            Some(arguments),
            Some(returns),
            flags,
            i32::MAX,
            UnixFDList::NONE,
        );
        let service = self.name.to_owned();
        async move {
            call.await.map_err(|mut error| {
                gio::DBusError::strip_remote_error(&mut error);
                text!(
                    "{service}: {method} failed: {error}",
                    service = service,
                    method = method,
                    error = error.message()
                )
            })
        }
    }

    /// Calls a method whose answer nobody needs. Does nothing on a closed connection, and in a copy of the app.
    pub(super) fn tell(&self, connection: &DBusConnection, method: &str, arguments: &Variant) {
        if is_copy() {
            return;
        }
        let message =
            DBusMessage::new_method_call(Some(self.name), self.path, Some(self.interface), method);
        message.set_flags(DBusMessageFlags::NO_REPLY_EXPECTED | DBusMessageFlags::NO_AUTO_START);
        message.set_body(arguments);
        let _ = connection.send_message(&message, DBusSendMessageFlags::NONE);
    }
}

/// Follows the owner of a name, which is never started for that.
pub(super) struct NameWatch {
    _changes: SignalSubscription,
    _first: Task,
}

impl NameWatch {
    /// Calls `changed` with the unique name of the owner, or without one: soon, and whenever that changes.
    pub(super) fn new(
        connection: &DBusConnection,
        name: &'static str,
        changed: impl Fn(Option<&str>) + 'static,
    ) -> Self {
        let last = RefCell::new(None);
        let changed = Rc::new(move |owner: Option<String>| {
            let owner = Some(owner.filter(|owner| !owner.is_empty()));
            if *last.borrow() != owner {
                last.replace(owner.clone());
                changed(owner.flatten().as_deref());
            }
        });
        let follow = changed.clone();
        // Before the first question, or a change could be missed.
        let changes = connection.subscribe_to_signal(
            Some(BUS.name),
            Some(BUS.interface),
            Some("NameOwnerChanged"),
            Some(BUS.path),
            Some(name),
            DBusSignalFlags::NONE,
            move |signal| follow(signal.parameters.child_value(2).get()),
        );
        let first = BUS.call(
            connection,
            "GetNameOwner",
            &(name,).to_variant(),
            VariantTy::new("(s)").expect("a type"),
            false,
        );
        let first = Task::spawn(async move {
            changed(
                first
                    .await
                    .ok()
                    .and_then(|(owner, _)| owner.child_value(0).get()),
            );
        });
        NameWatch {
            _changes: changes,
            _first: first,
        }
    }
}
