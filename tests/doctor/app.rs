//! The programs that the doctor inspects, and the doctor.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};

use legwork::process::Process;
use legwork::spawn::{Plan, Program};
use legwork_tests::bus::SessionBus;
use legwork_tests::display::Display;
use serde_json::Value;

pub(crate) fn legwork() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_command_legwork"));
    command.arg("doctor").stdin(Stdio::null());
    command
}

pub(crate) fn doctor(arguments: &[&str]) -> Output {
    legwork().args(arguments).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A helper program that has said that it is ready.
pub(crate) struct Helper {
    process: Process,
    figures: Vec<(String, u64)>,
}

impl Helper {
    pub(crate) fn start(plan: Plan) -> Self {
        let (reader, writer) = std::io::pipe().unwrap();
        let process = plan.stdout(writer).spawn().unwrap();
        let mut figures = Vec::new();
        for line in BufReader::new(reader).lines() {
            let line = line.unwrap();
            if line == "ready" {
                break;
            }
            let figure = line
                .strip_prefix("figure ")
                .and_then(|line| line.split_once(' '));
            if let Some((name, value)) = figure {
                figures.push((name.to_owned(), value.parse().unwrap()));
            }
        }
        Self { process, figures }
    }

    pub(crate) fn figure(&self, name: &str) -> u64 {
        let found = self.figures.iter().find(|(known, _)| known == name);
        let found = found.unwrap_or_else(|| panic!("no {name} in {:?}", self.figures));
        found.1
    }

    pub(crate) fn pid(&self) -> String {
        self.process.pid().to_string()
    }

    pub(crate) fn examine(&self, options: &[&str]) -> Output {
        legwork().args(options).arg(self.pid()).output().unwrap()
    }
}

/// A running `careless_app`, with what it needs around it.
pub(crate) struct App {
    app: Helper,
    pub(crate) server: TcpListener,
    _accepted: TcpStream,
    _display: Display,
    _bus: SessionBus,
    _folder: tempfile::TempDir,
}

impl std::ops::Deref for App {
    type Target = Helper;

    fn deref(&self) -> &Helper {
        &self.app
    }
}

impl App {
    pub(crate) fn start(how: &str) -> Self {
        let (display, bus) = (Display::get(), SessionBus::get());
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let inhibit = folder.path().join("systemd/inhibit");
        std::fs::create_dir_all(&inhibit).unwrap();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, inhibit.join("7.ref"), mode).unwrap();
        let mut plan = Plan::new(Program::path(env!("CARGO_BIN_EXE_careless_app")))
            .arg(how)
            .arg(server.local_addr().unwrap().to_string())
            .arg(folder.path())
            .env(Display::VARIABLE, display.name())
            .env(SessionBus::VARIABLE, bus.address());
        if how == "careless" {
            plan = plan
                .env("WAYLAND_SOCKET", "77")
                .env("LISTEN_FDS", "1")
                .env("DBUS_STARTER_ADDRESS", bus.address())
                .env("BORG_PASSPHRASE_FD", "3")
                .env("XDG_ACTIVATION_TOKEN", "secret-token");
        }
        Self {
            app: Helper::start(plan),
            // So that its connection has another end.
            _accepted: server.accept().unwrap().0,
            server,
            _display: display,
            _bus: bus,
            _folder: folder,
        }
    }
}

pub(crate) fn descriptor(report: &Value, is: impl Fn(&Value) -> bool) -> &Value {
    let all = report["descriptors"].as_array().unwrap();
    all.iter()
        .find(|one| is(one))
        .unwrap_or_else(|| panic!("{report:#}"))
}
