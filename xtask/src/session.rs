//! A desktop for a task: a virtual display, a session bus, and a home folder.
//!
//! What runs in it neither reads nor writes the settings, the bus or the windows of the user who called the task, and
//! the desktop is the same on every machine. Its processes end with the task, however the task ends. Only a task that
//! is killed leaves its folder behind, with the other temporary files.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::cargo;

/// Variables that describe the caller's desktop and must not be passed on.
const FOREIGN: &[&str] = &[
    "AT_SPI_BUS_ADDRESS",
    "DBUS_STARTER_ADDRESS",
    "DBUS_STARTER_BUS_TYPE",
    "DESKTOP_STARTUP_ID",
    "GDK_DEBUG",
    "GDK_SCALE",
    "GIO_EXTRA_MODULES",
    "GTK_DEBUG",
    "GTK_MODULES",
    "GTK_PATH",
    "GTK_THEME",
    "GTK_USE_PORTAL",
    "NO_AT_BRIDGE",
    "SESSION_MANAGER",
    "WAYLAND_DISPLAY",
    "WAYLAND_SOCKET",
    "XAUTHORITY",
    "XDG_ACTIVATION_TOKEN",
    "XDG_CURRENT_DESKTOP",
    "XMODIFIERS",
];

/// Variables that make every machine the same: software rendering, accessibility, no translations.
const SETTINGS: &[(&str, &str)] = &[
    ("ADW_DISABLE_PORTAL", "1"),
    ("GDK_BACKEND", "x11"),
    ("GSETTINGS_BACKEND", "memory"),
    ("GSK_RENDERER", "cairo"),
    ("GTK_A11Y", "atspi"),
    ("LC_ALL", "C.UTF-8"),
    ("LIBGL_ALWAYS_SOFTWARE", "1"),
];

const GTK_SETTINGS: &str = "\
[Settings]
gtk-font-name=Cantarell, Adwaita Sans 11
gtk-enable-animations=false
";

/// A running desktop; dropping it ends it.
pub(crate) struct Session {
    // Dropped in this order: the bus's services talk to the display and write to the home folder.
    bus: Daemon,
    display: Daemon,
    home: Home,
}

impl Session {
    /// Starts a display of `width` by `height` pixels, and the bus.
    pub(crate) fn start((width, height): (u32, u32)) -> Result<Self, String> {
        let home = Home::create()?;

        let mut xvfb = home.command("Xvfb");
        // It chooses a free display and prints the number.
        xvfb.args([
            "-displayfd",
            "1",
            "-nolisten",
            "tcp",
            "-noreset",
            "-screen",
            "0",
        ]);
        xvfb.arg(format!("{width}x{height}x24"));
        // The keyboard compiler complains about keys that no test uses.
        xvfb.stderr(Stdio::null());
        let display = Daemon::start(xvfb, |number| ("DISPLAY", format!(":{number}")))?;

        let mut dbus = home.command("dbus-daemon");
        dbus.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]);
        // Services that it starts on demand use the same display.
        dbus.env(display.variable.0, &display.variable.1);
        dbus.stderr(Stdio::null());
        let bus = Daemon::start(dbus, |address| ("DBUS_SESSION_BUS_ADDRESS", address))?;

        Ok(Self { bus, display, home })
    }

    /// Makes `command` run on this desktop.
    pub(crate) fn enter(&self, command: &mut Command) {
        self.home.enter(command);
        for daemon in [&self.display, &self.bus] {
            command.env(daemon.variable.0, &daemon.variable.1);
        }
    }

    /// Returns a command that runs `program` on this desktop.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        self.enter(&mut command);
        command
    }
}

/// A folder that has everything that programs expect in a user's home.
struct Home(PathBuf);

impl Home {
    fn create() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("legwork-{}", std::process::id()));
        // Programs refuse a runtime directory that others can read.
        let folder = |path: &Path| {
            std::fs::DirBuilder::new()
                .mode(0o700)
                .create(path)
                .map_err(|error| format!("{} could not be created: {error}", path.display()))
        };
        folder(&path)?;
        let home = Self(path);
        for (_, name) in Self::FOLDERS {
            folder(&home.0.join(name))?;
        }
        // Without a settings daemon, the display would use the fonts of twenty years ago, and a test would have to wait
        // for animations.
        let settings = home.0.join("config/gtk-4.0");
        folder(&settings)?;
        std::fs::write(settings.join("settings.ini"), GTK_SETTINGS)
            .map_err(|error| format!("{} could not be written: {error}", settings.display()))?;
        Ok(home)
    }

    const FOLDERS: &[(&str, &str)] = &[
        ("XDG_CACHE_HOME", "cache"),
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_DATA_HOME", "data"),
        ("XDG_RUNTIME_DIR", "runtime"),
        ("XDG_STATE_HOME", "state"),
    ];

    fn enter(&self, command: &mut Command) {
        cargo::forget(command);
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.envs(SETTINGS.iter().copied());
        // The files of cargo and rustup stay where they were.
        if let Some(home) = std::env::var_os("HOME") {
            for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
                let chosen = std::env::var_os(name);
                command.env(
                    name,
                    chosen.unwrap_or_else(|| Path::new(&home).join(folder).into()),
                );
            }
        }
        command.env("HOME", &self.0);
        for (variable, name) in Self::FOLDERS {
            command.env(variable, self.0.join(name));
        }
    }

    fn command(&self, program: &str) -> Command {
        // If the task is killed before it can end this process, the kernel does.
        let mut command = Command::new("setpriv");
        self.enter(&mut command);
        command.args(["--pdeathsig", "TERM", program]);
        command
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // Whatever is left is in the system's folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process that prints on its first line of output how to connect to it, and runs until it is dropped.
struct Daemon {
    child: Child,
    /// The environment variable that has its address.
    variable: (&'static str, String),
}

impl Daemon {
    fn start(
        mut command: Command,
        variable: impl FnOnce(String) -> (&'static str, String),
    ) -> Result<Self, String> {
        let name = command
            .get_args()
            .nth(2)
            .unwrap_or_default()
            .display()
            .to_string();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{name} could not be started: {error}"))?;
        let mut line = String::new();
        let read = BufReader::new(child.stdout.take().expect("piped above")).read_line(&mut line);
        let said = line.trim();
        if read.is_err() || said.is_empty() {
            let _ = child.kill();
            let end = child
                .wait()
                .map_or_else(|error| error.to_string(), |status| status.to_string());
            return Err(format!("{name} did not start: {end}"));
        }
        Ok(Self {
            child,
            variable: variable(said.to_owned()),
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Terminated, not killed: a display that is killed leaves its lock and its socket behind.
        let asked = Command::new("sh")
            .args(["-c", "kill \"$0\"", &self.child.id().to_string()])
            .status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
