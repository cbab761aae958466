//! The name by which an app with jobs is found.

use gio::DBusConnection;
use gio::prelude::*;

use crate::desktop::connection::ask_bus;
use crate::text::{Text, text};

/// RequestName: do not wait for the name if somebody else owns it.
const DO_NOT_QUEUE: u32 = 4;
/// RequestName: it is owned by this connection now, or was before.
const OWNED: [u32; 2] = [1, 4];

/// Takes a name on the bus: the app's own, or, where another instance of the app has that, one below it.
pub(super) async fn own(connection: &DBusConnection) -> Result<String, Text> {
    let app = gio::Application::default().and_then(|app| app.application_id());
    let name = base(app.as_deref(), std::process::id());
    let unique = connection.unique_name().unwrap_or_default();
    for name in [below(&name, &unique), name.clone()].into_iter().rev() {
        let request = (&name, DO_NOT_QUEUE).to_variant();
        let reply = ask_bus(connection, "RequestName", &request).await;
        let reply = reply.map_err(|mut error| {
            // GDBus puts the name of the error before its message.
            gio::DBusError::strip_remote_error(&mut error);
            text!(
                "the session bus refuses the name {name}: {error}",
                name = &name[..],
                error = Text::of(error.message())
            )
        })?;
        if reply
            .get::<(u32,)>()
            .is_some_and(|(reply,)| OWNED.contains(&reply))
        {
            return Ok(name);
        }
    }
    Err(text!(
        "others own the name {name} on the session bus",
        name = &name[..]
    ))
}

/// Gives the name back, without waiting for it. What is sent afterwards arrives afterwards.
pub(super) fn give_back(connection: &DBusConnection, name: &str) {
    connection.call(
        Some("org.freedesktop.DBus"),
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus",
        "ReleaseName",
        Some(&(name,).to_variant()),
        None,
        gio::DBusCallFlags::NONE,
        -1,
        gio::Cancellable::NONE,
        |_| (),
    );
}

fn base(app: Option<&str>, pid: u32) -> String {
    match app {
        Some(app) => format!("{app}.LegworkJobs"),
        None => format!("org.legwork.Jobs.p{pid}"),
    }
}

/// Unique names are never used again by a bus, unlike process ids, and differ between sandboxes.
fn below(name: &str, unique: &str) -> String {
    format!(
        "{name}.c{}",
        unique.trim_start_matches(':').replace('.', "_")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_the_app_and_of_its_instance() {
        assert_eq!(
            base(Some("org.example.App"), 7),
            "org.example.App.LegworkJobs"
        );
        assert_eq!(base(None, 7), "org.legwork.Jobs.p7");
        assert_eq!(below("a.LegworkJobs", ":1.23"), "a.LegworkJobs.c1_23");
    }
}
