//! What is said to the user's systemd, over the app's own connection to the session bus; see
//! org.freedesktop.systemd1(5). Everything is asynchronous, and a manager may answer anything.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use gio::prelude::*;
use gio::{
    BusType, DBusCallFlags, DBusCapabilityFlags, DBusConnection, DBusMessage, DBusMessageFlags,
    DBusSendMessageFlags, DBusSignalFlags, UnixFDList,
};
use glib::variant::Handle;
use glib::{Variant, VariantTy};

use crate::text::{Text, text};

const SERVICE: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const INTERFACE: &str = "org.freedesktop.systemd1.Manager";

/// How long an answer is waited for, in milliseconds. A child does not wait as long.
const ANSWER_WITHIN: i32 = 60_000;

/// A property of a unit.
pub(super) type Property = (String, Variant);

/// The user's manager has refused a process by its pidfd: it knows numbers alone.
static KNOWS_NO_PIDFDS: AtomicBool = AtomicBool::new(false);

/// The user's systemd, if there is a session bus; it may still be absent.
#[derive(Debug)]
pub(super) struct Manager(DBusConnection);

/// The connection by which a unit was made, as long as somebody else has it: a connection holds the main context in
/// which it was made, and a child ends when its context does.
#[derive(Debug, Clone, Default)]
pub(super) struct Line(glib::WeakRef<DBusConnection>);

impl Line {
    /// Lets go of a unit, which systemd may forget then. A connection that is gone has let go already.
    pub(super) fn unref(&self, unit: &str) {
        if let Some(connection) = self.0.upgrade() {
            Manager(connection).unref(unit);
        }
    }
}

/// The connection that was made in the default main context, which is never gone: kept, so that there is one.
static KEPT: Mutex<Option<DBusConnection>> = Mutex::new(None);

impl Manager {
    /// By the connection of the app, or else the one that all share who ask GIO for one.
    pub(super) async fn connect() -> Result<Manager, Text> {
        let failed = |error: glib::Error| {
            text!(
                "there is no connection to the session bus: {error}",
                error = error.message()
            )
        };
        let is_main = glib::MainContext::default().is_owner();
        let app = is_main.then(gio::Application::default).flatten();
        let connection = match app.and_then(|app| app.dbus_connection()) {
            Some(connection) => connection,
            None => {
                let connection = gio::bus_get_future(BusType::Session)
                    .await
                    .map_err(failed)?;
                // Whoever ends the bus would end an app that has never asked for one.
                connection.set_exit_on_close(false);
                if is_main
                    && glib::MainContext::ref_thread_default() == glib::MainContext::default()
                {
                    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
                    *kept = Some(connection.clone());
                }
                connection
            }
        };
        match connection.is_closed() {
            true => Err(text!("the connection to the session bus is closed")),
            false => Ok(Manager(connection)),
        }
    }

    pub(super) fn line(&self) -> Line {
        Line(self.0.downgrade())
    }

    /// Makes a scope with this process in it, and waits until it is there.
    pub(super) async fn start_scope(
        &self,
        unit: &str,
        properties: Vec<Property>,
        pid: u32,
        pidfd: OwnedFd,
    ) -> Result<(), Text> {
        // Subscribed to before the call: the signal may come right after the answer.
        let (ended, job) = async_channel::unbounded();
        let own = unit.to_owned();
        let _subscription = self.0.subscribe_to_signal(
            Some(SERVICE),
            Some(INTERFACE),
            Some("JobRemoved"),
            Some(PATH),
            None,
            DBusSignalFlags::NONE,
            move |signal| {
                // The number of the job, its path, its unit, and how it ended.
                let job = signal.parameters.get::<(u32, Path, String, String)>();
                if let Some((_, _, unit, result)) = job
                    && unit == own
                {
                    let _ = ended.try_send(result);
                }
            },
        );
        self.call_start(unit, properties, pid, pidfd).await?;
        match job.recv().await.as_deref() {
            Ok("done") => Ok(()),
            Ok(result) => Err(text!(
                "{service} did not start the scope {unit}: its job ended with \"{result}\"",
                service = SERVICE,
                unit = unit,
                result = result
            )),
            Err(_) => Err(text!("the connection to the session bus is closed")),
        }
    }

    async fn call_start(
        &self,
        unit: &str,
        properties: Vec<Property>,
        pid: u32,
        pidfd: OwnedFd,
    ) -> Result<(), Text> {
        let with = |processes: Property| {
            let mut properties = properties.clone();
            properties.push(processes);
            let auxiliary = Vec::<(String, Vec<Property>)>::new();
            (unit, "fail", properties, auxiliary).to_variant()
        };
        let method = "StartTransientUnit";
        let passes_fds = (self.0.capabilities()).contains(DBusCapabilityFlags::UNIX_FD_PASSING);
        let by_pidfd = passes_fds && !KNOWS_NO_PIDFDS.load(Relaxed);
        if by_pidfd {
            let fds = UnixFDList::from_array([pidfd]);
            let parameters = with(("PIDFDs".to_owned(), vec![Handle(0)].to_variant()));
            match self.call(method, parameters, "(o)", Some(&fds)).await {
                Ok(_) => return Ok(()),
                Err(error) if is_unknown_property(&error) => (),
                Err(error) => return Err(failed(method, &error)),
            }
        }
        let parameters = with(("PIDs".to_owned(), vec![pid].to_variant()));
        let started = self.call(method, parameters, "(o)", None).await;
        started.map_err(|error| failed(method, &error))?;
        // It was that, and nothing else of the unit.
        KNOWS_NO_PIDFDS.fetch_or(by_pidfd, Relaxed);
        Ok(())
    }

    /// Changes a unit, until it is gone.
    pub(super) async fn set(&self, unit: &str, properties: Vec<Property>) -> Result<(), Text> {
        let method = "SetUnitProperties";
        let parameters = (unit, true, properties).to_variant();
        let set = self.call(method, parameters, "()", None).await;
        set.map(drop).map_err(|error| failed(method, &error))
    }

    /// Lets go of a unit, which systemd may forget then. No answer is asked for, so that this needs no main context.
    pub(super) fn unref(&self, unit: &str) {
        let method = "UnrefUnit";
        let message = DBusMessage::new_method_call(Some(SERVICE), PATH, Some(INTERFACE), method);
        message.set_body(&(unit,).to_variant());
        message.set_flags(DBusMessageFlags::NO_REPLY_EXPECTED | DBusMessageFlags::NO_AUTO_START);
        // Fails when the connection is closed, and the reference has gone with it.
        let _ = self.0.send_message(&message, DBusSendMessageFlags::NONE);
    }

    async fn call(
        &self,
        method: &str,
        parameters: Variant,
        reply: &str,
        fds: Option<&UnixFDList>,
    ) -> Result<Variant, glib::Error> {
        let reply = VariantTy::new(reply).ok();
        let answer = self.0.call_with_unix_fd_list_future(
            Some(SERVICE),
            PATH,
            INTERFACE,
            method,
            Some(&parameters),
            reply,
            DBusCallFlags::NO_AUTO_START,
            ANSWER_WITHIN,
            fds,
        );
        answer.await.map(|(answer, _)| answer)
    }
}

/// An object path, as a signal brings it.
type Path = glib::variant::ObjectPath;

/// Whether an older systemd says that it has no such property.
fn is_unknown_property(error: &glib::Error) -> bool {
    use gio::DBusError::*;
    [PropertyReadOnly, UnknownProperty, InvalidArgs, NotSupported]
        .into_iter()
        .any(|known| error.matches(known))
}

fn failed(method: &str, error: &glib::Error) -> Text {
    let mut error = error.clone();
    gio::DBusError::strip_remote_error(&mut error);
    text!(
        "{method} of {service} failed: {error}",
        method = method,
        service = SERVICE,
        error = error.message()
    )
}
