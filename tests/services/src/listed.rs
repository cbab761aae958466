//! An app with a list of jobs, the helper program `listed_app`, and what the bus says of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use legwork::gio::{self, DBusConnection, DBusSignalRef, SignalSubscription};
use legwork::glib::variant::ObjectPath;
use legwork::glib::{self, MainContext, Variant};

/// How long something may take that takes no time.
const PATIENCE: Duration = Duration::from_secs(20);
const MANAGER: &str = "org.freedesktop.DBus.ObjectManager";
/// Where an app has its jobs.
pub const PATH: &str = "/org/legwork/Jobs1";
/// The interface of one of them.
pub const JOB: &str = "org.legwork.Jobs1.Job";

/// A running `listed_app`; it is killed when this is dropped.
#[derive(Debug)]
pub struct App {
    child: Child,
    lines: Receiver<String>,
    is_remote: bool,
}

impl App {
    /// Starts `program` on the bus at `address`.
    pub fn start(program: &str, address: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments);
        command.env("DBUS_SESSION_BUS_ADDRESS", address);
        Self::from(command)
    }

    /// Waits for the next line that begins with `word`, and returns the rest of it.
    pub fn wait(&self, word: &str) -> String {
        let begin = Instant::now();
        while let Some(left) = PATIENCE.checked_sub(begin.elapsed()) {
            let Ok(line) = self.lines.recv_timeout(left) else {
                break;
            };
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
        panic!("the app has not said {word:?}");
    }

    /// Tells the app a line.
    pub fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{line}").expect("the app reads");
    }

    /// Asks the app for a figure or a state.
    pub fn ask(&mut self, word: &str) -> String {
        self.tell(word);
        self.wait(word)
    }

    /// Asks until the answer is what is expected.
    pub fn until_available(&mut self, availability: &str) {
        until(&format!("the list is {availability}"), || {
            self.ask("availability").starts_with(availability)
        });
    }

    /// Returns whether another instance is the application.
    pub fn is_remote(&self) -> bool {
        self.is_remote
    }

    /// Returns its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it by SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl From<Command> for App {
    fn from(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the app");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let is_remote = false;
        let mut app = Self {
            child,
            lines,
            is_remote,
        };
        app.is_remote = app.wait("ready") == "true";
        app
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Iterates the main context until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let (begin, context) = (Instant::now(), MainContext::default());
    while !is_so() {
        assert!(
            begin.elapsed() < PATIENCE,
            "it has not happened that {what}"
        );
        while context.iteration(false) {}
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Iterates the main context for so long.
pub fn listen(time: Duration) {
    let begin = Instant::now();
    until("the time is over", || begin.elapsed() >= time);
}

/// Calls a method.
pub fn call(
    bus: &DBusConnection,
    name: &str,
    path: &str,
    (interface, method): (&str, &str),
    arguments: Option<&Variant>,
) -> Result<Variant, glib::Error> {
    bus.call_sync(
        Some(name),
        path,
        interface,
        method,
        arguments,
        None,
        gio::DBusCallFlags::NONE,
        20_000,
        gio::Cancellable::NONE,
    )
}

/// Calls a method of a job without arguments.
pub fn act(bus: &DBusConnection, name: &str, path: &str, method: &str) -> Result<(), glib::Error> {
    call(bus, name, path, (JOB, method), None).map(drop)
}

/// Returns the names on the bus that are for jobs.
pub fn names(bus: &DBusConnection) -> Vec<String> {
    let bus_name = "org.freedesktop.DBus";
    let names = call(
        bus,
        bus_name,
        "/org/freedesktop/DBus",
        (bus_name, "ListNames"),
        None,
    );
    let (mut names,) = names.unwrap().get::<(Vec<String>,)>().unwrap();
    names.retain(|name| name.contains("LegworkJobs") || name.starts_with("org.legwork.Jobs."));
    names.sort();
    names
}

/// A job's properties.
pub type Properties = BTreeMap<String, Variant>;

/// Returns the jobs of an app by their paths, as its object manager says.
pub fn jobs(bus: &DBusConnection, name: &str) -> BTreeMap<String, Properties> {
    let answer = call(bus, name, PATH, (MANAGER, "GetManagedObjects"), None).unwrap();
    type Managed = BTreeMap<ObjectPath, BTreeMap<String, Properties>>;
    let (managed,) = answer.get::<(Managed,)>().expect("a{oa{sa{sv}}}");
    let job = |mut interfaces: BTreeMap<String, Properties>| interfaces.remove(JOB).unwrap();
    let jobs = managed.into_iter();
    jobs.map(|(path, interfaces)| (path.as_str().to_owned(), job(interfaces)))
        .collect()
}

/// Waits until an app has this many jobs, and returns them.
pub fn wait_for_jobs(
    bus: &DBusConnection,
    name: &str,
    many: usize,
) -> BTreeMap<String, Properties> {
    until("the app has its name", || {
        names(bus).iter().any(|other| other == name)
    });
    until("the app has its jobs", || jobs(bus, name).len() == many);
    jobs(bus, name)
}

/// A signal: when it came, its sender, name and arguments.
#[derive(Debug, Clone)]
pub struct Signal {
    /// When it was dispatched here.
    pub at: Instant,
    /// The path of the object.
    pub path: String,
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub arguments: Variant,
}

/// The signals of all jobs and of their managers, from now on.
#[derive(Debug)]
pub struct Signals {
    seen: Rc<RefCell<Vec<Signal>>>,
    _subscription: SignalSubscription,
}

impl Signals {
    /// Listens on `bus`.
    pub fn of(bus: &DBusConnection) -> Self {
        let seen = Rc::<RefCell<Vec<Signal>>>::default();
        let sink = seen.clone();
        let note = move |signal: DBusSignalRef<'_>| {
            if signal.object_path.starts_with(PATH) {
                sink.borrow_mut().push(Signal {
                    at: Instant::now(),
                    path: signal.object_path.to_owned(),
                    name: signal.signal_name.to_owned(),
                    arguments: signal.parameters.clone(),
                });
            }
        };
        let flags = gio::DBusSignalFlags::NONE;
        let subscription = bus.subscribe_to_signal(None, None, None, None, None, flags, note);
        // The bus has the rule once it answers what was asked after it.
        names(bus);
        Signals {
            seen,
            _subscription: subscription,
        }
    }

    /// Returns those with this name until now.
    pub fn named(&self, name: &str) -> Vec<Signal> {
        let seen = self.seen.borrow();
        seen.iter()
            .filter(|signal| signal.name == name)
            .cloned()
            .collect()
    }
}
