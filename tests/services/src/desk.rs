//! A bus, the mock of a desktop on it, and an app.

use std::path::Path;
use std::process::Command;

use crate::private_bus::PrivateBus;
use crate::talking::Talking;

/// A bus without services that could be started, so that what is there is what the test has put there.
const CONFIGURATION: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>"#;

/// See the module.
#[derive(Debug)]
pub struct Desk {
    /// The bus.
    pub bus: PrivateBus,
    /// The mock, which also observes the bus. Dropped first.
    pub desktop: Talking,
    folder: tempfile::TempDir,
}

impl Desk {
    /// Starts a bus with these services of the mock, such as `kde=ok`.
    pub fn with(services: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let configuration = folder.path().join("bus.conf");
        std::fs::write(&configuration, CONFIGURATION).expect("a file");
        let file = format!("--config-file={}", configuration.display());
        let bus = PrivateBus::start_with(&[&file]);
        let desktop = mock(&bus, services);
        Self {
            bus,
            desktop,
            folder,
        }
    }

    /// Starts the mock again, with these services.
    pub fn restart(&mut self, services: &str) {
        self.desktop.kill();
        self.desktop = mock(&self.bus, services);
    }

    /// Starts the app, with these words, as the test's own worker.
    pub fn app(&self, words: &str) -> Talking {
        let mut app = program(&self.bus, "surfaces_app");
        // The tests' own settings and notifications are not touched.
        app.args(words.split(' ').filter(|word| !word.is_empty()))
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("GSETTINGS_BACKEND", "memory")
            // A wrong call of GLib ends the app.
            .env("G_DEBUG", "fatal-criticals");
        Talking::start(&mut app)
    }
}

fn mock(bus: &PrivateBus, services: &str) -> Talking {
    let mut mock = program(bus, "surfaces_desktop");
    let mock = Talking::start(mock.args(services.split(' ').filter(|word| !word.is_empty())));
    mock.wait_for("ready", 1);
    mock
}

fn program(bus: &PrivateBus, name: &str) -> Command {
    let mut command = Command::new(Path::new(&legwork_tests::program(name)));
    command
        .env("DBUS_SESSION_BUS_ADDRESS", bus.address())
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address())
        .env_remove("LC_ALL");
    command
}
