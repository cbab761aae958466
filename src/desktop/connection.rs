//! Which connection the session is told by.
//!
//! The app's own, if its `gio::Application` has one: the session then knows the app by one unique name. Otherwise one
//! that is made for this, and not GLib's shared one (`g_bus_get`): that ends the app when the bus goes away, which
//! an app that has never asked for a bus does not expect. Nor is a bus started for it, as `g_bus_get` does in an X11
//! session without one, by a fork.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use gio::prelude::*;
use gio::{DBusConnection, DBusConnectionFlags};

use crate::text::{Text, text};

/// How long a bus may take to let the app in.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the bus itself may take to answer, in milliseconds.
const ANSWER: i32 = 10_000;

thread_local! {
    /// One for all that this thread tells the session, while there is somebody to use it.
    static OWN: RefCell<glib::WeakRef<DBusConnection>> = RefCell::default();
}

/// Returns the connection, once there is one. Nothing waits for it but the one who asks.
pub(super) async fn session() -> Result<DBusConnection, Text> {
    let of_the_app = gio::Application::default().and_then(|app| app.dbus_connection());
    let own = || OWN.with_borrow(glib::WeakRef::upgrade);
    if let Some(connection) = of_the_app.or_else(own).filter(|bus| !bus.is_closed()) {
        return Ok(connection);
    }
    let address = address().ok_or_else(|| text!("there is no session bus"))?;
    let flags =
        DBusConnectionFlags::AUTHENTICATION_CLIENT | DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
    let connecting = DBusConnection::for_address_future(&address, flags, None);
    let connected = match glib::future_with_timeout(CONNECT, connecting).await {
        Ok(connected) => connected.map_err(Text::of),
        Err(_) => Err(text!(
            "it has not answered within {seconds} s",
            seconds = CONNECT.as_secs()
        )),
    };
    let connection = connected
        .map_err(|error| text!("the session bus cannot be reached: {error}", error = error))?;
    OWN.with_borrow(|own| own.set(Some(&connection)));
    Ok(connection)
}

/// The address of the session bus, as in the D-Bus specification, "Well-known message bus instances": without a bus
/// that would have to be started first.
fn address() -> Option<String> {
    let address = std::env::var("DBUS_SESSION_BUS_ADDRESS").ok();
    address.filter(|address| !address.is_empty()).or_else(|| {
        let socket = Path::new(&std::env::var_os("XDG_RUNTIME_DIR")?).join("bus");
        let escaped = gio::dbus_address_escape_value(socket.to_str()?);
        socket.exists().then(|| format!("unix:path={escaped}"))
    })
}

/// Calls a method of the bus itself.
pub(super) async fn ask_bus(
    connection: &DBusConnection,
    method: &str,
    arguments: &glib::Variant,
) -> Result<glib::Variant, glib::Error> {
    let bus = "org.freedesktop.DBus";
    let path = "/org/freedesktop/DBus";
    let flags = gio::DBusCallFlags::NONE;
    let call = connection.call_future(
        Some(bus),
        path,
        bus,
        method,
        Some(arguments),
        None,
        flags,
        ANSWER,
    );
    call.await
}
