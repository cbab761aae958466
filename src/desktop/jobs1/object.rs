//! One job as an object: its properties, and its methods.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use gio::prelude::*;
use gio::{DBusConnection, DBusInterfaceInfo, DBusMethodInvocation, DBusNodeInfo, RegistrationId};
use glib::Variant;
use rustix::io::Errno;

use super::{PATH, caller};
use crate::child::Control;
use crate::model::{State, Status};
use crate::text::{Text, text};
use crate::wire::limits::cut;

/// The name of the interface.
pub(super) const INTERFACE: &str = "org.legwork.Jobs1.Job";
const XML: &str = include_str!("org.legwork.Jobs1.xml");
/// The longest text of a property, in bytes.
const TEXT_MAX: usize = 4096;

const ACCESS_DENIED: &str = "org.freedesktop.DBus.Error.AccessDenied";
const NOT_SUPPORTED: &str = "org.freedesktop.DBus.Error.NotSupported";
const UNKNOWN_METHOD: &str = "org.freedesktop.DBus.Error.UnknownMethod";
const FAILED: &str = "org.freedesktop.DBus.Error.Failed";

const PROPERTIES: [&str; 14] = [
    "Label",
    "Name",
    "State",
    "Fraction",
    "Done",
    "Total",
    "Text",
    "Error",
    "Paused",
    "CanStop",
    "CanPause",
    "CanShow",
    "Pid",
    "StartedAt",
];

/// What the app does when somebody wants to see a job.
#[derive(Default)]
pub(super) struct Show(RefCell<Option<Callback>>);

type Callback = Rc<dyn Fn(&Status, &str)>;

impl Show {
    pub(super) fn set(&self, callback: impl Fn(&Status, &str) + 'static) {
        self.0.replace(Some(Rc::new(callback)));
    }

    fn callback(&self) -> Option<Callback> {
        self.0.borrow().clone()
    }
}

/// Properties with their values.
pub(super) type Properties = BTreeMap<&'static str, Variant>;

/// A refusal: the name of the error on the bus, and a sentence.
type Refusal = (&'static str, Text);

pub(super) struct Object {
    pub(super) path: String,
    status: Status,
    control: Control,
    show: Rc<Show>,
    /// In microseconds since 1970.
    started_at: i64,
    /// The properties as they were last told.
    told: RefCell<Properties>,
    registration: RefCell<Option<(DBusConnection, RegistrationId)>>,
}

impl Object {
    pub(super) fn new(number: u64, status: &Status, control: &Control, show: &Rc<Show>) -> Self {
        Object {
            path: format!("{PATH}/{number}"),
            status: status.clone(),
            control: control.clone(),
            show: show.clone(),
            started_at: glib::real_time(),
            told: RefCell::default(),
            registration: RefCell::default(),
        }
    }

    pub(super) fn status(&self) -> &Status {
        &self.status
    }

    fn property(&self, name: &str) -> Variant {
        let status = &self.status;
        let text = |text: String| cut(text, TEXT_MAX).to_variant();
        match name {
            "Label" => text(status.label()),
            "Name" => text(status.name()),
            "State" => state(status.state()).to_variant(),
            "Fraction" => status.fraction().to_variant(),
            "Done" => status.done().to_variant(),
            "Total" => status.total().to_variant(),
            "Text" => text(status.text()),
            "Error" => text(status.error().unwrap_or_default()),
            "Paused" => status.paused().to_variant(),
            "CanStop" | "CanPause" => status.can_stop().to_variant(),
            "CanShow" => self.show.callback().is_some().to_variant(),
            "Pid" => status.pid().to_variant(),
            // StartedAt: GDBus asks for no property that the interface does not have.
            _ => self.started_at.to_variant(),
        }
    }

    /// Returns the properties, which are told herewith.
    pub(super) fn properties(&self) -> Properties {
        let properties = PROPERTIES.map(|name| (name, self.property(name)));
        let properties = Properties::from(properties);
        self.told.replace(properties.clone());
        properties
    }

    /// Returns the properties that have changed since they were last told, if any, and that are told herewith.
    pub(super) fn changes(&self) -> Option<Properties> {
        let before = self.told.take();
        let mut now = self.properties();
        now.retain(|name, value| before.get(name) != Some(value));
        (!now.is_empty()).then_some(now)
    }

    /// Makes the object one that can be called.
    pub(super) fn register(
        self: &Rc<Self>,
        connection: &DBusConnection,
    ) -> Result<(), glib::Error> {
        let interface = interface()?;
        let (getter, called) = (self.clone(), self.clone());
        let registration = connection
            .register_object(&self.path, &interface)
            .property(move |_, _, _, _, name| getter.property(name))
            .method_call(move |connection, _, _, _, method, arguments, invocation| {
                let (object, method) = (called.clone(), method.to_owned());
                let token = arguments.iter().next().and_then(|token| token.get());
                object.call(connection, method, token.unwrap_or_default(), invocation);
            })
            .build()?;
        self.registration
            .replace(Some((connection.clone(), registration)));
        Ok(())
    }

    pub(super) fn unregister(&self) {
        if let Some((connection, registration)) = self.registration.take() {
            // Fails if it is no longer registered.
            let _ = connection.unregister_object(registration);
        }
    }

    fn call(
        self: Rc<Self>,
        connection: DBusConnection,
        method: String,
        token: String,
        invocation: DBusMethodInvocation,
    ) {
        glib::MainContext::ref_thread_default().spawn_local(async move {
            let sender = invocation.sender().unwrap_or_default();
            let done = match caller::is_own_user(&connection, &sender).await {
                true => self.act(&method, &token),
                false => Err((ACCESS_DENIED, text!("the job belongs to another user"))),
            };
            match done {
                Ok(()) => invocation.return_value(None),
                Err((name, why)) => invocation.return_dbus_error(name, &why.to_string()),
            }
        });
    }

    fn act(&self, method: &str, token: &str) -> Result<(), Refusal> {
        match method {
            "Cancel" => self.control.cancel(),
            "Pause" => self.control.pause().map_err(refusal)?,
            "Resume" => self.control.resume().map_err(refusal)?,
            "Show" => match self.show.callback() {
                Some(callback) => callback(&self.status, token),
                None => return Err((NOT_SUPPORTED, text!("the app does not show its jobs"))),
            },
            other => return Err((UNKNOWN_METHOD, Text::of(other))),
        }
        Ok(())
    }
}

fn refusal(error: io::Error) -> Refusal {
    match Errno::from_io_error(&error) {
        Some(Errno::SRCH) => (FAILED, text!("the job has ended")),
        Some(Errno::CANCELED) => (
            FAILED,
            text!("the job was asked to stop, and cannot be paused"),
        ),
        Some(Errno::PERM) => (
            ACCESS_DENIED,
            text!("the job has become another user's process"),
        ),
        _ => (FAILED, Text::of(error)),
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Running => "running",
        State::Stopping => "stopping",
        State::Finished => "finished",
        State::Failed => "failed",
        State::Cancelled => "cancelled",
    }
}

fn interface() -> Result<DBusInterfaceInfo, glib::Error> {
    let missing = || glib::Error::new(gio::DBusError::UnknownInterface, INTERFACE);
    let node = DBusNodeInfo::for_xml(XML)?;
    node.lookup_interface(INTERFACE).ok_or_else(missing)
}
