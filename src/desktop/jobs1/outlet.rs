//! What is sent of the jobs while the app is on the bus.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

use gio::prelude::*;
use gio::{DBusConnection, DBusNodeInfo, RegistrationId};
use glib::Variant;

use super::{PATH, name};
use crate::desktop::connection::ask_bus;

const MANAGER: &str = "org.freedesktop.DBus.ObjectManager";
const MANAGER_XML: &str = "<node><interface name='org.freedesktop.DBus.ObjectManager'>\
    <method name='GetManagedObjects'><arg type='a{oa{sa{sv}}}' direction='out'/></method>\
    <signal name='InterfacesAdded'><arg type='o'/><arg type='a{sa{sv}}'/></signal>\
    <signal name='InterfacesRemoved'><arg type='o'/><arg type='as'/></signal>\
    </interface></node>";

/// So many changes are sent before the bus has to show that it reads: what it does not read is in the app's memory.
const UNREAD_MAX: u32 = 64;

pub(super) struct Outlet {
    connection: DBusConnection,
    manager: Cell<Option<RegistrationId>>,
    name: OnceCell<String>,
    /// Changes sent since the bus last answered.
    unread: Cell<u32>,
    asking: Cell<bool>,
    closed: RefCell<Option<glib::SignalHandlerId>>,
    over: async_channel::Receiver<()>,
}

impl Outlet {
    /// Registers the object manager, which answers with `objects`.
    pub(super) fn open(
        connection: DBusConnection,
        objects: impl Fn() -> Variant + 'static,
    ) -> Result<Rc<Self>, glib::Error> {
        let missing = || glib::Error::new(gio::DBusError::UnknownInterface, MANAGER);
        let interface = DBusNodeInfo::for_xml(MANAGER_XML)?;
        let interface = interface.lookup_interface(MANAGER).ok_or_else(missing)?;
        let manager = connection
            .register_object(PATH, &interface)
            .method_call(move |_, _, _, _, _, _, invocation| {
                invocation.return_value(Some(&Variant::tuple_from_iter([objects()])));
            })
            .build()?;
        let (ends, over) = async_channel::bounded::<()>(1);
        let closed = connection.connect_closed(move |_, _, _| _ = ends.close());
        Ok(Rc::new(Outlet {
            connection,
            manager: Cell::new(Some(manager)),
            name: OnceCell::new(),
            unread: Cell::new(0),
            asking: Cell::new(false),
            closed: RefCell::new(Some(closed)),
            over,
        }))
    }

    pub(super) fn connection(&self) -> &DBusConnection {
        &self.connection
    }

    pub(super) fn set_name(&self, name: String) {
        let _ = self.name.set(name);
    }

    /// Waits until this is closed, or the connection is.
    pub(super) async fn over(&self) {
        if !self.connection.is_closed() {
            let _ = self.over.recv().await;
        }
    }

    /// Whether changes may be sent. If not, `resume` is called once the bus has read what was sent before.
    pub(super) fn takes_changes(self: &Rc<Self>, resume: impl Fn() + 'static) -> bool {
        if self.unread.get() < UNREAD_MAX {
            self.unread.set(self.unread.get() + 1);
            return true;
        }
        if !self.asking.replace(true) {
            let outlet = self.clone();
            glib::MainContext::ref_thread_default().spawn_local(async move {
                let unit = ().to_variant();
                let answer = ask_bus(&outlet.connection, "GetId", &unit).await;
                outlet.asking.set(false);
                if answer.is_ok() {
                    outlet.unread.set(0);
                    resume();
                }
            });
        }
        false
    }

    pub(super) fn emit(&self, path: &str, interface: &str, signal: &str, arguments: &Variant) {
        // Fails once the connection is closed, which `over` says.
        let _ = self
            .connection
            .emit_signal(None, path, interface, signal, Some(arguments));
    }

    /// Tells of an object that has come or gone.
    pub(super) fn emit_of_manager(&self, signal: &str, arguments: &Variant) {
        self.emit(PATH, MANAGER, signal, arguments);
    }

    /// Leaves the bus, after what was emitted.
    pub(super) fn close(&self) {
        if let Some(name) = self.name.get() {
            name::give_back(&self.connection, name);
        }
        if let Some(manager) = self.manager.take() {
            // Fails if it is no longer registered.
            let _ = self.connection.unregister_object(manager);
        }
        if let Some(closed) = self.closed.take() {
            self.connection.disconnect(closed);
        }
        self.over.close();
    }
}
