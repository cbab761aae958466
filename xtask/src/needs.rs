//! What a build needs from the system, apart from Rust.
//!
//! Nothing is assumed from the name of a distribution: each need is probed for as a person would in a shell.

/// The extent of a task's needs; each level includes those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Build everything and run the app on the user's own display.
    Build,
    /// Run the app on a virtual display and take a screenshot.
    Picture,
    /// Run every test.
    Test,
    /// Run the Meson build and its checks as well.
    Everything,
}

/// One thing that is needed.
pub(crate) struct Need {
    /// The name of the need in the message that says it is missing.
    pub(crate) what: &'static str,
    pub(crate) from: Level,
    /// A line for `sh` that succeeds if the need is met.
    pub(crate) probe: &'static str,
    /// The packages by package manager, separated by spaces; empty if another package includes it.
    pub(crate) apt: &'static str,
    pub(crate) dnf: &'static str,
    pub(crate) pacman: &'static str,
    /// Whether a task continues without it, with a message.
    pub(crate) optional: bool,
}

const fn need(
    from: Level,
    what: &'static str,
    probe: &'static str,
    [apt, dnf, pacman]: [&'static str; 3],
) -> Need {
    Need {
        what,
        from,
        probe,
        apt,
        dnf,
        pacman,
        optional: false,
    }
}

const fn nice(
    from: Level,
    what: &'static str,
    probe: &'static str,
    packages: [&'static str; 3],
) -> Need {
    Need {
        optional: true,
        ..need(from, what, probe, packages)
    }
}

/// Everything that is needed from the system, apart from Rust. The minimum versions are those of Debian 12.
pub(crate) const NEEDS: &[Need] = &[
    need(
        Level::Build,
        "pkg-config",
        "command -v pkg-config",
        ["pkg-config", "pkgconf-pkg-config", "pkgconf"],
    ),
    need(
        Level::Build,
        "GTK 4.8 or newer, with its headers",
        "pkg-config --exists 'gtk4 >= 4.8'",
        ["libgtk-4-dev", "gtk4-devel", "gtk4"],
    ),
    need(
        Level::Build,
        "libadwaita 1.2 or newer, with its headers",
        "pkg-config --exists 'libadwaita-1 >= 1.2'",
        ["libadwaita-1-dev", "libadwaita-devel", "libadwaita"],
    ),
    nice(
        Level::Build,
        "certificates to verify downloads",
        "ls /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem | grep .",
        ["ca-certificates", "ca-certificates", "ca-certificates"],
    ),
    nice(
        Level::Build,
        "GNOME's icons",
        "test -e /usr/share/icons/Adwaita/index.theme",
        [
            "adwaita-icon-theme",
            "adwaita-icon-theme",
            "adwaita-icon-theme",
        ],
    ),
    nice(
        Level::Build,
        "a loader for SVG icons",
        "ls /usr/lib*/gdk-pixbuf-2.0/*/loaders /usr/lib/*/gdk-pixbuf-2.0/*/loaders /usr/libexec/glycin-loaders/* \
         /usr/lib/glycin-loaders/* | grep svg",
        ["librsvg2-common", "librsvg2", "librsvg"],
    ),
    nice(
        Level::Picture,
        "GNOME's font (Cantarell or Adwaita Sans)",
        "ls -d /usr/share/fonts/*/*antarell* /usr/share/fonts/*antarell* /usr/share/fonts/*/*dwaita* \
         /usr/share/fonts/*dwaita* | grep .",
        ["fonts-cantarell", "adwaita-sans-fonts", "adwaita-fonts"],
    ),
    nice(
        Level::Picture,
        "a monospace font",
        "ls -d /usr/share/fonts/*/*ejavu* /usr/share/fonts/*ejavu* /usr/share/fonts/*/DejaVu* | grep .",
        ["fonts-dejavu-core", "dejavu-sans-mono-fonts", "ttf-dejavu"],
    ),
    nice(
        Level::Picture,
        "software rendering",
        "ls /usr/lib*/dri/swrast_dri.so /usr/lib/*/dri/swrast_dri.so /usr/lib*/libgallium* /usr/lib/*/libgallium* | grep .",
        ["libgl1-mesa-dri", "mesa-dri-drivers", "mesa"],
    ),
    need(
        Level::Picture,
        "a virtual display (Xvfb)",
        "command -v Xvfb",
        ["xvfb", "xorg-x11-server-Xvfb", "xorg-server-xvfb"],
    ),
    need(
        Level::Picture,
        "a session bus",
        "command -v dbus-daemon && command -v dbus-run-session",
        ["dbus dbus-daemon", "dbus-daemon", "dbus"],
    ),
    need(
        Level::Picture,
        "mouse and keyboard input for the display (xdotool)",
        "command -v xdotool",
        ["xdotool", "xdotool", "xdotool"],
    ),
    need(
        Level::Picture,
        "screenshots of the display (ImageMagick)",
        "command -v import && command -v identify",
        ["imagemagick", "ImageMagick", "imagemagick"],
    ),
    need(
        Level::Test,
        "the accessibility bus",
        "ls /usr/libexec/at-spi-bus-launcher /usr/lib/at-spi-bus-launcher | grep .",
        ["at-spi2-core", "at-spi2-core", "at-spi2-core"],
    ),
    need(
        Level::Test,
        "the accessibility bus for Python",
        r#"/usr/bin/python3 -c 'import gi; gi.require_version("Atspi", "2.0"); from gi.repository import Atspi'"#,
        [
            "python3-gi gir1.2-atspi-2.0",
            "python3-gobject-base at-spi2-core",
            "python-gobject at-spi2-core",
        ],
    ),
    need(
        Level::Test,
        "the program kill, not only the shell's",
        "env kill -l",
        ["procps", "util-linux", "util-linux"],
    ),
    need(
        Level::Test,
        "programs that people run in a terminal (less, vim, top, make, git)",
        "command -v less && command -v vim && command -v top && command -v make && command -v git",
        [
            "less vim procps make git",
            "less vim-enhanced procps-ng make git",
            "less vim procps-ng make git",
        ],
    ),
    nice(
        Level::Test,
        "systemd's user manager with a bus, for the tests of scopes",
        "ls /usr/lib/systemd/systemd /usr/lib/systemd/user/dbus.socket",
        [
            "systemd dbus-user-session",
            "systemd dbus-broker",
            "systemd dbus-broker-units",
        ],
    ),
    need(
        Level::Test,
        "D-Bus in a terminal (gdbus, dbus-monitor)",
        "command -v gdbus && command -v dbus-monitor",
        ["libglib2.0-bin dbus-bin", "glib2 dbus-tools", "glib2 dbus"],
    ),
    need(
        Level::Test,
        "setpriv",
        "command -v setpriv",
        ["util-linux", "util-linux", "util-linux"],
    ),
    need(
        Level::Test,
        "readelf",
        "command -v readelf",
        ["binutils", "binutils", "binutils"],
    ),
    need(
        Level::Test,
        "strace",
        "command -v strace",
        ["strace", "strace", "strace"],
    ),
    need(Level::Test, "gdb", "command -v gdb", ["gdb", "gdb", "gdb"]),
    need(
        Level::Test,
        "ffmpeg and ffprobe",
        "command -v ffmpeg && command -v ffprobe",
        ["ffmpeg", "ffmpeg-free", "ffmpeg"],
    ),
    need(
        Level::Test,
        "borg",
        "command -v borg",
        ["borgbackup", "borgbackup", "borg"],
    ),
    need(
        Level::Test,
        "a C++ compiler, for libFuzzer",
        "command -v c++",
        ["g++", "gcc-c++", "gcc"],
    ),
    need(
        Level::Everything,
        "Meson 1.0.1 or newer",
        "printf '%s\\n' 1.0.1 \"$(meson --version)\" | sort -CV",
        ["meson", "meson", "meson"],
    ),
    need(
        Level::Everything,
        "Ninja",
        "command -v ninja",
        ["ninja-build", "ninja-build", "ninja"],
    ),
    need(
        Level::Everything,
        "desktop-file-validate",
        "command -v desktop-file-validate",
        [
            "desktop-file-utils",
            "desktop-file-utils",
            "desktop-file-utils",
        ],
    ),
    need(
        Level::Everything,
        "appstreamcli",
        "command -v appstreamcli",
        ["appstream", "appstream", "appstream"],
    ),
];
