//! What the calls of all portals have in common: the app says who it is, before anything else.

use std::cell::RefCell;

use gio::prelude::*;
use gio::{Application, DBusConnection};
use glib::{VariantDict, VariantTy, WeakRef};

use super::bus::Remote;
use super::task::answer;

pub(super) const DESKTOP: &str = "org.freedesktop.portal.Desktop";

/// An interface of the portal. It is started if it is not running, as by every app that has a portal to call.
pub(super) const fn portal(interface: &str) -> Remote<'_> {
    Remote {
        name: DESKTOP,
        path: "/org/freedesktop/portal/desktop",
        interface,
    }
}

thread_local! {
    /// The connections whose app the portal was told.
    static TOLD: RefCell<Vec<WeakRef<DBusConnection>>> = const { RefCell::new(Vec::new()) };
}

/// Tells the portal the app's id, once for each connection; outside of a sandbox it could only guess it. Fails, and is
/// not needed, where the portal is too old for it, or somebody else has told it already (GTK 4.20 does).
pub(super) async fn introduce(connection: &DBusConnection, app: &WeakRef<Application>) {
    let id = app.upgrade().and_then(|app| app.application_id());
    let first = TOLD.with_borrow_mut(|told| {
        told.retain(|other| other.upgrade().is_some());
        let known = told
            .iter()
            .any(|other| other.upgrade().as_ref() == Some(connection));
        told.extend((!known).then(|| connection.downgrade()));
        !known
    });
    let Some(id) = id.filter(|_| first && !is_sandboxed()) else {
        return;
    };
    let registry = portal("org.freedesktop.host.portal.Registry");
    let arguments = (id.as_str(), VariantDict::new(None)).to_variant();
    let told = registry.call(connection, "Register", &arguments, VariantTy::UNIT, true);
    let _ = answer(DESKTOP, told).await;
}

/// Whether the portal knows the app from its sandbox.
pub(super) fn is_sandboxed() -> bool {
    std::path::Path::new("/.flatpak-info").exists() || std::env::var_os("SNAP").is_some()
}
