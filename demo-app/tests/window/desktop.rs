//! A desktop for a test: a virtual display, a session bus, a home, the app, and a person who uses it.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// How long something may take on a busy machine that renders in software.
const PATIENCE: Duration = Duration::from_secs(90);

/// A program that ends with the test.
pub(crate) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The app on a desktop, with a person who uses it.
pub(crate) struct Desktop {
    // Dropped in this order: each one uses the next ones.
    app: Running,
    person: Running,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    environment: Vec<(&'static str, String)>,
    _bus: Running,
    _display: Running,
    _home: tempfile::TempDir,
}

impl Desktop {
    /// Starts the app with `args` and waits for its window.
    pub(crate) fn with_app(args: &[&Path]) -> Self {
        let home = tempfile::tempdir().expect("a home");
        let settings = home.path().join("gtk-4.0");
        std::fs::create_dir(&settings).unwrap();
        // A test would have to wait for animations, and a picture changes only when something happens.
        std::fs::write(
            settings.join("settings.ini"),
            "[Settings]\ngtk-enable-animations=false\ngtk-cursor-blink=false\n",
        )
        .unwrap();

        let mut xvfb = Command::new("Xvfb");
        xvfb.args([
            "-displayfd",
            "1",
            "-nolisten",
            "tcp",
            "-screen",
            "0",
            "1000x900x24",
        ]);
        let (display, number) = first_line(&mut xvfb);
        let mut environment = vec![
            ("DISPLAY", format!(":{number}")),
            ("GDK_BACKEND", "x11".into()),
            ("GSK_RENDERER", "cairo".into()),
            ("GSETTINGS_BACKEND", "memory".into()),
            ("GTK_A11Y", "atspi".into()),
            ("LC_ALL", "C.UTF-8".into()),
        ];
        for name in [
            "HOME",
            "XDG_CONFIG_HOME",
            "XDG_CACHE_HOME",
            "XDG_DATA_HOME",
            "XDG_RUNTIME_DIR",
        ] {
            environment.push((name, home.path().to_str().expect("a plain path").to_owned()));
        }
        let mut bus = command("dbus-daemon", &environment);
        bus.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]);
        let (bus, address) = first_line(&mut bus);
        environment.push(("DBUS_SESSION_BUS_ADDRESS", address));

        let app = command(env!("CARGO_BIN_EXE_legwork-demo"), &environment)
            .args(args)
            .stderr(Stdio::null())
            .spawn()
            .expect("the app");
        let mut person = command("/usr/bin/python3", &environment)
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/window/person.py"
            ))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python");
        let mut desktop = Self {
            ask: person.stdin.take().unwrap(),
            answers: BufReader::new(person.stdout.take().unwrap()),
            app: Running(app),
            person: Running(person),
            environment,
            _bus: bus,
            _display: display,
            _home: home,
        };
        desktop.wait("the window", |desktop| desktop.sees("Main Menu"));
        desktop
    }

    /// Starts another app on the display, on top of this one; its window is not seen by the screen reader.
    pub(crate) fn another_app(&self) -> Running {
        let app = command(env!("CARGO_BIN_EXE_legwork-demo"), &self.environment)
            // Without a bus it does not know of the first one.
            .env("DBUS_SESSION_BUS_ADDRESS", "disabled:")
            .env("GTK_A11Y", "none")
            .stderr(Stdio::null())
            .spawn();
        Running(app.expect("the app"))
    }

    /// Clicks on the widget with this name, as soon as it is visible.
    #[track_caller]
    pub(crate) fn click(&mut self, name: &str) {
        self.wait(&format!("“{name}” to click on"), |desktop| {
            desktop.ask(json!({"do": "click", "name": name})) == Value::Bool(true)
        });
    }

    /// Presses keys together, `ctrl+n`.
    pub(crate) fn press(&mut self, keys: &str) {
        self.ask(json!({"do": "press", "keys": keys}));
    }

    /// Presses a key until what has the focus has a name that starts like this.
    #[track_caller]
    pub(crate) fn press_until(&mut self, key: &str, name: &str) {
        for _ in 0..30 {
            let before = self.focused();
            if before.starts_with(name) {
                return;
            }
            self.press(key);
            let start = Instant::now();
            while self.focused() == before && start.elapsed() < Duration::from_secs(2) {
                thread::sleep(Duration::from_millis(100));
            }
        }
        panic!("{key} leads to “{}” and not to “{name}”", self.focused());
    }

    fn focused(&mut self) -> String {
        let name = self.ask(json!({"do": "focused"}));
        name.as_str().unwrap_or_default().to_owned()
    }

    /// Turns the wheel up a little, in the middle of the window.
    pub(crate) fn wheel_up(&mut self) {
        self.ask(json!({"do": "wheel", "up": true}));
    }

    /// Types a text.
    pub(crate) fn types(&mut self, text: &str) {
        self.ask(json!({"do": "type", "text": text}));
    }

    /// Makes the window this large, in pixels.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        self.ask(json!({"do": "resize", "width": width, "height": height}));
    }

    /// Chooses work in the New Job dialog and starts it.
    pub(crate) fn start(&mut self, work: &str) {
        self.click("New Job");
        self.click(work);
        self.click("Start");
    }

    /// Asks the app for work on a folder over the session bus, as a script would.
    pub(crate) fn activate(&self, action: &str, folder: &Path) {
        self.activate_with(action, &format!("[<'{}'>]", folder.display()));
    }

    /// Opens the window over the session bus, as a click on a notification does.
    pub(crate) fn show_window(&self) {
        self.activate_with("show", "[]");
    }

    fn activate_with(&self, action: &str, parameters: &str) {
        let done = command("gdbus", &self.environment)
            .args(["call", "--session", "--dest", "org.legwork.Demo"])
            .args(["--object-path", "/org/legwork/Demo"])
            .args(["--method", "org.gtk.Actions.Activate"])
            .args([action, parameters, "{}"])
            .stdout(Stdio::null())
            .status();
        assert!(done.expect("gdbus is installed").success());
    }

    /// Returns whether somebody on the session bus has this name.
    pub(crate) fn has_owner(&self, name: &str) -> bool {
        let bus = "org.freedesktop.DBus";
        let answer = command("gdbus", &self.environment)
            .args(["call", "--session", "--dest", bus, "--object-path", "/"])
            .args(["--method", "org.freedesktop.DBus.NameHasOwner", name])
            .output()
            .expect("gdbus");
        answer.stdout == b"(true,)\n"
    }

    /// Returns the file of the preferences, as far as it is there.
    pub(crate) fn preferences(&self) -> String {
        let file = self._home.path().join("legwork-demo.ini");
        std::fs::read_to_string(file).unwrap_or_default()
    }

    /// Whether something has this name.
    pub(crate) fn sees(&mut self, name: &str) -> bool {
        self.ask(json!({"do": "sees", "name": name})) == Value::Bool(true)
    }

    /// Waits until something has this name.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, name: &str) {
        self.wait(&format!("“{name}”"), |desktop| desktop.sees(name));
    }

    /// All texts on the screen.
    pub(crate) fn texts(&mut self) -> Vec<String> {
        self.names("label")
    }

    /// A picture of the display.
    pub(crate) fn picture(&self) -> image::RgbImage {
        let png = command("import", &self.environment)
            .args(["-window", "root", "png:-"])
            .output()
            .expect("ImageMagick is installed");
        image::load_from_memory(&png.stdout).unwrap().into_rgb8()
    }

    /// The names of the rows of all lists.
    pub(crate) fn rows(&mut self) -> Vec<String> {
        self.names("list item")
    }

    /// The content of the text widget with this name.
    pub(crate) fn reads(&mut self, name: &str) -> String {
        let text = self.ask(json!({"do": "reads", "name": name}));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// The colour of a character in the text widget with this name.
    pub(crate) fn colour(&mut self, name: &str, place: usize) -> Option<String> {
        let colour = self.ask(json!({"do": "colour", "name": name, "place": place}));
        colour.as_str().map(str::to_owned)
    }

    /// The titles of the app's windows, the newest first.
    pub(crate) fn windows(&mut self) -> Vec<String> {
        strings(self.ask(json!({"do": "windows"})))
    }

    fn names(&mut self, role: &str) -> Vec<String> {
        strings(self.ask(json!({"do": "texts", "role": role})))
    }

    /// Waits until `there` is true.
    #[track_caller]
    pub(crate) fn wait(&mut self, what: &str, mut there: impl FnMut(&mut Self) -> bool) {
        let start = Instant::now();
        while !there(self) {
            if start.elapsed() > PATIENCE {
                let (texts, rows) = (self.texts(), self.rows());
                panic!("no {what}; on the screen: {texts:#?}; rows: {rows:#?}");
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the app has ended, and returns whether it succeeded.
    pub(crate) fn app_ends(&mut self) -> bool {
        let start = Instant::now();
        loop {
            if let Some(status) = self.app.0.try_wait().unwrap() {
                return status.success();
            }
            assert!(start.elapsed() < PATIENCE, "the app does not end");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether the app still runs.
    pub(crate) fn app_runs(&mut self) -> bool {
        self.app.0.try_wait().unwrap().is_none()
    }

    /// The process ID of the app.
    pub(crate) fn app_pid(&self) -> u32 {
        self.app.0.id()
    }

    /// The process IDs of the app's workers.
    pub(crate) fn workers(&self) -> Vec<u32> {
        let children = format!("/proc/{0}/task/{0}/children", self.app.0.id());
        let children = std::fs::read_to_string(children).unwrap_or_default();
        children
            .split_whitespace()
            .map(|pid| pid.parse().expect("a number"))
            // Its guardian stays for the next jobs.
            .filter(|pid| {
                let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&line).contains("--legwork-worker")
            })
            .collect()
    }

    fn ask(&mut self, question: Value) -> Value {
        let mut line = String::new();
        writeln!(self.ask, "{question}").expect("the person listens");
        self.answers
            .read_line(&mut line)
            .expect("the person answers");
        assert!(
            !line.is_empty(),
            "the person is gone: {:?}",
            self.person.0.try_wait()
        );
        serde_json::from_str(&line).expect("an answer")
    }
}

fn strings(value: Value) -> Vec<String> {
    serde_json::from_value(value).unwrap_or_default()
}

/// A program on the desktop.
fn command(program: &str, environment: &[(&str, String)]) -> Command {
    let mut command = Command::new(program);
    command
        .env_remove("WAYLAND_DISPLAY")
        .env_remove("AT_SPI_BUS_ADDRESS")
        .envs(environment.iter().map(|(name, value)| (name, value)));
    command
}

/// Starts a daemon that prints its address.
fn first_line(command: &mut Command) -> (Running, String) {
    let mut daemon = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut line = String::new();
    BufReader::new(daemon.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (Running(daemon), line.trim().to_owned())
}
