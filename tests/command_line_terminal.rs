//! The command `legwork run` between bash and a program, on a terminal: it is to be as env(1) is, which goes
//! through each scene as well.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use legwork::process::{ExitStatus, Process, Signal};
use legwork::spawn::{Plan, Program};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

const PATIENCE: Duration = Duration::from_secs(20);

/// What is put before a program: env(1), and the command.
fn wrappers() -> [String; 2] {
    let legwork = env!("CARGO_BIN_EXE_command_legwork");
    ["env".into(), format!("{legwork} run --")]
}

/// A bash on a terminal of its own.
struct Bash {
    terminal: OwnedFd,
    process: Process,
    shown: String,
    seen: usize,
}

impl Bash {
    fn start(arguments: &[&str]) -> Self {
        let terminal =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let path: CString = ptsname(&terminal, Vec::new()).unwrap();
        let plan = Plan::new(Program::name("bash"))
            .args(["--norc", "--noprofile"])
            .args(arguments)
            .env("PS1", "$ ")
            .env("TERM", "dumb")
            .terminal(path);
        let process = plan.spawn().unwrap();
        Self {
            terminal,
            process,
            shown: String::new(),
            seen: 0,
        }
    }

    fn interactive() -> Self {
        let mut bash = Self::start(&["-i"]);
        bash.expect("$ ");
        bash
    }

    fn types(&self, keys: &str) {
        rustix::io::write(&self.terminal, keys.as_bytes()).unwrap();
    }

    /// Reads what is shown for a while; false at its end.
    fn read(&mut self, time: Duration) -> bool {
        let mut polled = [PollFd::new(&self.terminal, PollFlags::IN)];
        let time = Timespec::try_from(time).unwrap();
        if poll(&mut polled, Some(&time)).unwrap() == 0 {
            return true;
        }
        let mut buffer = [0; 4096];
        match rustix::io::read(&self.terminal, &mut buffer) {
            Ok(length @ 1..) => {
                self.shown
                    .push_str(&String::from_utf8_lossy(&buffer[..length]));
                true
            }
            _ => false,
        }
    }

    /// Waits until it shows this, after what was waited for before.
    #[track_caller]
    fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.shown[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            let open = self.read(Duration::from_millis(50));
            assert!(
                open && Instant::now() < deadline,
                "no {text:?} in {:?}",
                self.shown
            );
        }
    }

    /// Waits for its end, and for all that it shows.
    #[track_caller]
    fn end(mut self) -> (ExitStatus, String) {
        let deadline = Instant::now() + PATIENCE;
        while self.read(Duration::from_millis(50)) {
            assert!(Instant::now() < deadline, "it goes on: {:?}", self.shown);
        }
        (self.process.wait().unwrap().status, self.shown)
    }
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_fg_goes_on() {
    for wrapper in wrappers() {
        let mut bash = Bash::interactive();
        bash.types(&format!("{wrapper} sh -c 'echo u\"\"p; exec sleep 25'\n"));
        bash.expect("up");
        bash.types("\x1a");
        bash.expect("Stopped");
        bash.types("echo BA\"\"CK\n");
        bash.expect("BACK");
        bash.types("fg\n");
        bash.expect("sleep 25");
        std::thread::sleep(Duration::from_millis(200));
        bash.types("\x1a");
        bash.expect("Stopped");
        bash.types("bg; kill %1; wait %1; echo co\"\"de $?\n");
        bash.expect("code 143");
        bash.types(&format!("{wrapper} sleep 25\n"));
        bash.expect("sleep 25");
        std::thread::sleep(Duration::from_millis(200));
        bash.types("\x03");
        bash.expect("$ ");
        bash.types("echo co\"\"de $?\n");
        bash.expect("code 130");
    }
}

#[test]
fn a_program_that_ignores_ctrl_z_is_not_stopped() {
    for wrapper in wrappers() {
        let mut bash = Bash::interactive();
        let script = "trap \"\" TSTP; echo u\"\"p; read line; echo go\"\"t $line";
        bash.types(&format!("{wrapper} sh -c '{script}'\n"));
        bash.expect("up");
        bash.types("\x1a");
        std::thread::sleep(Duration::from_millis(200));
        bash.types("on\n");
        bash.expect("got on");
    }
}

#[test]
fn every_program_of_a_pipeline_may_use_the_terminal() {
    let pager = "n=$(wc -l); echo $n li\"\"nes > /dev/tty; read key < /dev/tty; echo go\"\"t $key";
    for wrapper in wrappers() {
        let mut bash = Bash::interactive();
        let first = format!("{wrapper} sh -c 'sleep 0.3; seq 100'");
        let middle = format!("{wrapper} cat");
        bash.types(&format!("{first} | {middle} | {wrapper} sh -c '{pager}'\n"));
        bash.expect("100 lines");
        bash.types("k\n");
        bash.expect("got k");
    }
}

#[test]
fn ctrl_c_ends_the_script_and_not_only_the_program() {
    for wrapper in wrappers() {
        let script =
            format!("for i in 1 2 3; do echo round $i; {wrapper} sleep 3; done; echo WENT-ON");
        let mut bash = Bash::start(&["-c", &script]);
        bash.expect("round 1");
        std::thread::sleep(Duration::from_millis(300));
        bash.types("\x03");
        let (status, shown) = bash.end();
        assert_eq!(status.signal(), Some(Signal::INT), "{shown}");
        assert!(!shown.contains("round 2"), "{shown}");
    }
}

#[test]
fn ctrl_c_comes_once() {
    for wrapper in wrappers() {
        let script = format!(
            "trap : INT; {wrapper} sh -c 'n=0; trap \"n=\\$((n+1))\" INT; echo up; i=0; \
             while [ $i -lt 30 ]; do sleep 0.05; i=$((i+1)); done; echo INTs: $n'"
        );
        let mut bash = Bash::start(&["-c", &script]);
        bash.expect("up");
        std::thread::sleep(Duration::from_millis(200));
        bash.types("\x03");
        bash.expect("INTs: 1");
    }
}

#[test]
fn a_terminal_of_its_own_is_as_large_as_the_one_it_runs_on() {
    let legwork = env!("CARGO_BIN_EXE_command_legwork");
    for plumbing in ["", "| cat", "< /dev/null | cat", "< /dev/null 2>&1 | cat"] {
        let mut bash = Bash::interactive();
        let size = Winsize {
            ws_row: 40,
            ws_col: 120,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&bash.terminal, size).unwrap();
        bash.types(&format!("{legwork} run --pty -- stty size {plumbing}\n"));
        bash.expect("40 120");
    }
}

#[test]
fn the_end_of_the_terminal_is_the_end_of_the_program() {
    for wrapper in wrappers() {
        let mut bash = Bash::interactive();
        bash.types(&format!(
            "{wrapper} sh -c 'echo pi\"\"d $$; exec sleep 25'\n"
        ));
        bash.expect("pid ");
        bash.expect("\n");
        let line = bash.shown[..bash.seen].trim_end().rsplit(' ').next();
        let pid: u32 = line.unwrap().parse().unwrap();
        drop(bash.terminal);
        let deadline = Instant::now() + Duration::from_secs(10);
        while legwork_tests::context::is_alive(pid) {
            assert!(Instant::now() < deadline, "it outlives its terminal");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
