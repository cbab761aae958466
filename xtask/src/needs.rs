//! What a build needs from the system, Rust apart.
//!
//! Nothing is assumed from the name of a distribution: each need is probed for as a person would in a shell.

/// How much of the needs a task has; each level includes those before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Build everything, run the app on the user's own display.
    Build,
    /// Run the app on a display that nobody sees, and take its picture.
    Picture,
    /// Run every test.
    Test,
    /// The Meson build and what it checks, too.
    Everything,
}

/// One thing that is needed.
pub(crate) struct Need {
    /// In the words of the message that says it is missing.
    pub(crate) what: &'static str,
    pub(crate) from: Level,
    /// A line for `sh` that succeeds when the need is met.
    pub(crate) probe: &'static str,
    /// Packages by package manager, parted by spaces; empty where it comes with another.
    pub(crate) apt: &'static str,
    pub(crate) dnf: &'static str,
    pub(crate) pacman: &'static str,
    /// Whether a task goes on without it, and says so.
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

/// Everything that is needed from the system, Rust apart. The floor is what Debian 12 has.
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
        "the certificates that downloads are checked with",
        "ls /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem | grep .",
        ["ca-certificates", "ca-certificates", "ca-certificates"],
    ),
    nice(
        Level::Build,
        "the icons of GNOME",
        "test -e /usr/share/icons/Adwaita/index.theme",
        [
            "adwaita-icon-theme",
            "adwaita-icon-theme",
            "adwaita-icon-theme",
        ],
    ),
    nice(
        Level::Build,
        "a loader for icons drawn as SVG",
        "ls /usr/lib*/gdk-pixbuf-2.0/*/loaders /usr/lib/*/gdk-pixbuf-2.0/*/loaders /usr/libexec/glycin-loaders/* \
         /usr/lib/glycin-loaders/* | grep svg",
        ["librsvg2-common", "librsvg2", "librsvg"],
    ),
    nice(
        Level::Picture,
        "the font of GNOME 43, or the one that came after it",
        "ls -d /usr/share/fonts/*/*antarell* /usr/share/fonts/*antarell* /usr/share/fonts/*/*dwaita* \
         /usr/share/fonts/*dwaita* | grep .",
        ["fonts-cantarell", "adwaita-sans-fonts", "adwaita-fonts"],
    ),
    nice(
        Level::Picture,
        "a font for figures of one width",
        "ls -d /usr/share/fonts/*/*ejavu* /usr/share/fonts/*ejavu* /usr/share/fonts/*/DejaVu* | grep .",
        ["fonts-dejavu-core", "dejavu-sans-mono-fonts", "ttf-dejavu"],
    ),
    nice(
        Level::Picture,
        "drawing without a graphics card",
        "ls /usr/lib*/dri/swrast_dri.so /usr/lib/*/dri/swrast_dri.so /usr/lib*/libgallium* /usr/lib/*/libgallium* | grep .",
        ["libgl1-mesa-dri", "mesa-dri-drivers", "mesa"],
    ),
    need(
        Level::Picture,
        "a display that nobody sees",
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
        "clicks and keys for the display",
        "command -v xdotool",
        ["xdotool", "xdotool", "xdotool"],
    ),
    need(
        Level::Picture,
        "pictures of the display",
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
        "the accessibility bus, from Python",
        r#"/usr/bin/python3 -c 'import gi; gi.require_version("Atspi", "2.0"); from gi.repository import Atspi'"#,
        [
            "python3-gi gir1.2-atspi-2.0",
            "python3-gobject-base at-spi2-core",
            "python-gobject at-spi2-core",
        ],
    ),
    need(
        Level::Test,
        "signals from a program, not only from a shell",
        "env kill -l",
        ["procps", "util-linux", "util-linux"],
    ),
    need(
        Level::Test,
        "a look into programs",
        "command -v readelf",
        ["binutils", "binutils", "binutils"],
    ),
    need(
        Level::Test,
        "a trace of system calls",
        "command -v strace",
        ["strace", "strace", "strace"],
    ),
    need(
        Level::Test,
        "a debugger",
        "command -v gdb",
        ["gdb", "gdb", "gdb"],
    ),
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
        "a check for desktop files",
        "command -v desktop-file-validate",
        [
            "desktop-file-utils",
            "desktop-file-utils",
            "desktop-file-utils",
        ],
    ),
    need(
        Level::Everything,
        "a check for AppStream data",
        "command -v appstreamcli",
        ["appstream", "appstream", "appstream"],
    ),
];
