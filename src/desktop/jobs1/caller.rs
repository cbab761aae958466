//! Who calls.

use gio::DBusConnection;
use glib::prelude::*;

use crate::desktop::connection::ask_bus;

/// Returns whether `sender` belongs to the user as whom the app is connected, by what the bus says of both: inside a user
/// namespace the app may know another number.
///
/// A session bus lets in nobody else but root unless it is configured to.
pub(super) async fn is_own_user(connection: &DBusConnection, sender: &str) -> bool {
    let own = connection.unique_name().unwrap_or_default();
    let user = async |name: &str| {
        let user = ask_bus(connection, "GetConnectionUnixUser", &(name,).to_variant()).await;
        user.ok().and_then(|user| user.get::<(u32,)>())
    };
    let caller = user(sender).await;
    caller.is_some() && caller == user(&own).await
}
