//! The environment of the host, for an app that comes as an AppImage or a snap.
//!
//! Their launchers set variables by which the app finds what it has brought along: libraries, modules of GTK, GIO and
//! GdkPixbuf, schemas, programs. A program of the host that inherits them loads what was built for another system.
//!
//! There is no list of those variables, as every launcher sets its own. What they have in common is that they lead into
//! the bundle. See the AppImage documentation, "Environment variables", the hooks of linuxdeploy's plugins, and snapd's
//! "Environment variables".

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The folders of a bundle: of an AppImage, and of a snap with its data.
const FOLDERS: [&str; 7] = [
    "APPDIR",
    "SNAP",
    "SNAP_COMMON",
    "SNAP_DATA",
    "SNAP_USER_COMMON",
    "SNAP_USER_DATA",
    "SNAP_LIBRARY_PATH",
];
/// What says of a process that it comes from a bundle, besides what begins with the [`PREFIXES`].
const NAMES: [&str; 6] = [
    "APPDIR",
    "APPIMAGE",
    "APPIMAGE_UUID",
    "ARGV0",
    "OWD",
    "SNAP",
];
const PREFIXES: [&str; 4] = [
    "APPRUN_",
    "APPIMAGE_ORIGINAL_",
    "APPIMAGE_STARTUP_",
    "SNAP_",
];
/// By these names some launchers keep what they have overwritten; what was not set is empty there.
const ORIGINALS: [&str; 2] = ["APPRUN_ORIGINAL_", "APPIMAGE_ORIGINAL_"];
/// Where some systems have what is `/snap` inside of a snap.
const SNAPS_OUTSIDE: &str = "/var/lib/snapd/snap";

/// What changes the app's variables to those of the host: the value of each, or `None` where it is removed.
pub(super) fn changes(
    variables: &BTreeMap<OsString, OsString>,
) -> BTreeMap<OsString, Option<OsString>> {
    let get = |name: &str| variables.get(OsStr::new(name));
    let mut changes = BTreeMap::new();
    if get("APPDIR").is_none() && get("SNAP").is_none() {
        return changes;
    }
    let folders = folders(get);
    for (name, value) in variables {
        if is_of_bundle(name) {
            changes.insert(name.clone(), None);
        } else if let Some(rest) = outside(value, &folders) {
            changes.insert(name.clone(), rest);
        }
    }
    for (name, value) in variables {
        let name = name.as_bytes();
        let original = ORIGINALS
            .iter()
            .find_map(|prefix| name.strip_prefix(prefix.as_bytes()));
        if let Some(name) = original {
            let value = Some(value).filter(|value| !value.is_empty());
            changes.insert(OsStr::from_bytes(name).to_owned(), value.cloned());
        }
    }
    // Nothing can do without it.
    if let Some(home @ None) = changes.get_mut(OsStr::new("HOME")) {
        *home = get("SNAP_REAL_HOME").or(get("HOME")).cloned();
    }
    changes
}

fn folders<'a>(get: impl Fn(&str) -> Option<&'a OsString>) -> Vec<PathBuf> {
    let values = FOLDERS.iter().filter_map(|name| get(name));
    let named = values.flat_map(std::env::split_paths);
    let both = named.flat_map(|folder| {
        let inside = folder
            .strip_prefix(SNAPS_OUTSIDE)
            .map(|rest| Path::new("/snap").join(rest));
        inside.into_iter().chain([folder])
    });
    // A bundle is not where the host's own programs are.
    let is_host = |folder: &PathBuf| Path::new("/usr/bin").starts_with(folder);
    both.filter(|folder| folder.is_absolute() && !is_host(folder))
        .collect()
}

fn is_of_bundle(name: &OsStr) -> bool {
    let name = name.as_bytes();
    NAMES.iter().any(|own| name == own.as_bytes())
        || PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix.as_bytes()))
}

/// What is left of a list of paths without those inside of the folders, if there are any; `None` if that is nothing.
fn outside(value: &OsStr, folders: &[PathBuf]) -> Option<Option<OsString>> {
    let entries = || value.as_bytes().split(|byte| *byte == b':');
    let is_inside = |entry: &[u8]| {
        let path = Path::new(OsStr::from_bytes(entry));
        folders.iter().any(|folder| path.starts_with(folder))
    };
    if !entries().any(is_inside) {
        return None;
    }
    // An empty one is what is left of a variable that was not set.
    let rest: Vec<_> = entries()
        .filter(|entry| !entry.is_empty() && !is_inside(entry))
        .collect();
    let rest = rest.join(&b':');
    Some((!rest.is_empty()).then(|| OsString::from_vec(rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(text: &[(&str, &str)]) -> BTreeMap<OsString, OsString> {
        let owned = text.iter().map(|(name, value)| (name.into(), value.into()));
        owned.collect()
    }

    /// What the host has in the end.
    fn host(text: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut variables = variables(text);
        for (name, value) in changes(&variables) {
            match value {
                Some(value) => drop(variables.insert(name, value)),
                None => drop(variables.remove(&name)),
            }
        }
        let shown = |text: OsString| text.into_string().unwrap();
        let shown = variables
            .into_iter()
            .map(|(name, value)| (shown(name), shown(value)));
        shown.collect()
    }

    #[track_caller]
    fn becomes(app: &[(&str, &str)], expected: &[(&str, &str)]) {
        let expected = expected
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        assert_eq!(host(app), expected.collect::<Vec<_>>());
    }

    #[test]
    fn what_leads_into_an_appimage_is_gone() {
        // As linuxdeploy's plugin for GTK and AppRun set them.
        becomes(
            &[
                ("APPDIR", "/tmp/.mount_a"),
                ("APPIMAGE", "/home/u/A.AppImage"),
                ("APPIMAGE_EXTRACT_AND_RUN", "1"),
                ("ARGV0", "./A.AppImage"),
                (
                    "GDK_PIXBUF_MODULE_FILE",
                    "/tmp/.mount_a//usr/lib/loaders.cache",
                ),
                (
                    "GTK_PATH",
                    "/tmp/.mount_a//usr/lib/gtk-3.0:/usr/lib64/gtk-3.0",
                ),
                ("HOME", "/home/u"),
                ("LD_LIBRARY_PATH", "/tmp/.mount_a/usr/lib:"),
                ("OTHER", "/tmp/.mount_ab:/tmp"),
                ("OWD", "/home/u"),
                ("PATH", "/tmp/.mount_a/usr/bin:/usr/bin:/bin"),
                ("PYTHONHOME", "/tmp/.mount_a/usr"),
                ("XDG_DATA_DIRS", "/tmp/.mount_a/usr/share:/usr/share:"),
            ],
            &[
                ("APPIMAGE_EXTRACT_AND_RUN", "1"),
                ("GTK_PATH", "/usr/lib64/gtk-3.0"),
                ("HOME", "/home/u"),
                ("OTHER", "/tmp/.mount_ab:/tmp"),
                ("PATH", "/usr/bin:/bin"),
                ("XDG_DATA_DIRS", "/usr/share"),
            ],
        );
    }

    #[test]
    fn what_a_launcher_has_kept_is_restored() {
        becomes(
            &[
                ("APPDIR", "/tmp/a"),
                ("APPIMAGE_ORIGINAL_QT_PLUGIN_PATH", "/opt/qt"),
                ("APPIMAGE_STARTUP_QT_PLUGIN_PATH", "/tmp/a/qt"),
                ("APPRUN_ORIGINAL_LD_PRELOAD", ""),
                ("APPRUN_ORIGINAL_PATH", "/home/u/bin:/usr/bin"),
                ("LD_PRELOAD", "libapprun_hooks.so"),
                ("PATH", "/tmp/a/usr/bin:/usr/bin"),
                ("QT_PLUGIN_PATH", "/tmp/a/qt"),
            ],
            &[
                ("PATH", "/home/u/bin:/usr/bin"),
                ("QT_PLUGIN_PATH", "/opt/qt"),
            ],
        );
    }

    #[test]
    fn what_leads_into_a_snap_is_gone() {
        for snap in ["/snap/a/1", "/var/lib/snapd/snap/a/1"] {
            becomes(
                &[
                    (
                        "GDK_PIXBUF_MODULE_FILE",
                        "/home/u/snap/a/common/.cache/loaders.cache",
                    ),
                    ("GIO_MODULE_DIR", "/home/u/snap/a/common/.cache/gio-modules"),
                    ("GTK_PATH", "/snap/a/1/usr/lib/gtk-3.0"),
                    ("HOME", "/home/u/snap/a/1"),
                    (
                        "LD_LIBRARY_PATH",
                        "/var/lib/snapd/lib/gl:/snap/a/1/lib:/opt/lib",
                    ),
                    ("SNAP", snap),
                    ("SNAP_LIBRARY_PATH", "/var/lib/snapd/lib/gl:"),
                    ("SNAP_REAL_HOME", "/home/u"),
                    ("SNAP_USER_COMMON", "/home/u/snap/a/common"),
                    ("SNAP_USER_DATA", "/home/u/snap/a/1"),
                    (
                        "XDG_DATA_DIRS",
                        "/home/u/snap/a/1/.local/share:/var/lib/snapd/desktop",
                    ),
                ],
                &[
                    ("HOME", "/home/u"),
                    ("LD_LIBRARY_PATH", "/opt/lib"),
                    ("XDG_DATA_DIRS", "/var/lib/snapd/desktop"),
                ],
            );
        }
    }

    #[test]
    fn an_app_that_comes_as_neither_has_the_environment_of_the_host() {
        let plain = [
            ("ARGV0", "x"),
            ("LD_LIBRARY_PATH", "/opt/lib"),
            ("PATH", ":/bin"),
        ];
        becomes(&plain, &plain);
        // Nothing is known of these folders.
        for folder in ["", "/", "/usr", "relative"] {
            becomes(
                &[("APPDIR", folder), ("PATH", "/usr/bin:relative")],
                &[("PATH", "/usr/bin:relative")],
            );
        }
    }
}
