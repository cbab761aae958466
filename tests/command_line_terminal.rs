//! The command `legwork run` between bash and a program, on a terminal: it is to be as env(1) is, which goes
//! through each scene as well.

use std::ffi::CString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;
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
        Self::start_in(Path::new("."), arguments)
    }

    fn start_in(folder: &Path, arguments: &[&str]) -> Self {
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
            .env("LESS", "")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .current_dir(folder)
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

    fn resize(&self, ws_row: u16, ws_col: u16) {
        let size = Winsize {
            ws_row,
            ws_col,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.terminal, size).unwrap();
    }

    /// Types a line at the prompt.
    fn run(&self, line: &str) {
        self.types(&format!("{line}\n"));
    }

    #[track_caller]
    fn prompt(&mut self) {
        self.expect("$ ");
    }

    fn pause(&self) {
        thread::sleep(Duration::from_millis(400));
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

    /// Ctrl+Z, and again if it does not stop: less forgets a signal that comes right before it waits for a key.
    #[track_caller]
    fn stops(&mut self) {
        const STOPPED: &str = "Stopped";
        let deadline = Instant::now() + PATIENCE;
        while !self.shown[self.seen..].contains(STOPPED) && Instant::now() < deadline {
            self.types("\x1a");
            let again = Instant::now() + Duration::from_secs(2);
            while !self.shown[self.seen..].contains(STOPPED) && Instant::now() < again {
                self.read(Duration::from_millis(50));
            }
        }
        self.expect(STOPPED);
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
        bash.resize(40, 120);
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

/// Runs a scene with env(1) and with the command as `w`, and compares what it has seen.
#[track_caller]
fn same(scene: impl Fn(&mut Bash, &Path) -> String + Sync) {
    let [plain, wrapped] = thread::scope(|threads| {
        let run = |wrapper: String| {
            let scene = &scene;
            threads.spawn(move || {
                let folder = tempfile::tempdir().unwrap();
                let script = folder.path().join("w");
                fs::write(&script, format!("#!/bin/sh\nexec {wrapper} \"$@\"\n")).unwrap();
                fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
                let mut bash = Bash::start_in(folder.path(), &["-i"]);
                bash.prompt();
                bash.run("ulimit -c 0; PATH=$PWD:$PATH");
                bash.prompt();
                let seen = scene(&mut bash, folder.path());
                // The terminal is as it was, and no job is left.
                bash.run("stty -a; jobs");
                bash.prompt();
                seen + &bash.shown[bash.shown.rfind("stty -a").unwrap()..]
            })
        };
        let started = wrappers().map(run);
        started.map(|thread| thread.join().unwrap())
    });
    assert_eq!(plain, wrapped);
}

/// All that a bash has shown, without the numbers of processes.
fn all(bash: &Bash) -> String {
    let mut text = String::new();
    for part in bash.shown.split_inclusive(|c: char| !c.is_ascii_digit()) {
        let digits = part.trim_end_matches(|c: char| !c.is_ascii_digit());
        let is_process = digits.len() > 3 || text.ends_with("] ") && !digits.is_empty();
        let shown = if is_process { "N" } else { digits };
        text.push_str(shown);
        text.push_str(&part[digits.len()..]);
    }
    text
}

#[test]
fn stopped_continued_and_killed_as_with_env() {
    same(|bash, _| {
        for (keys, code) in [("\x03", "130"), ("\x1c", "131")] {
            bash.run("w sleep 25");
            bash.pause();
            bash.types("\x1a");
            bash.expect("Stopped");
            bash.prompt();
            bash.run("bg");
            bash.prompt();
            bash.run("jobs");
            bash.expect("Running");
            bash.prompt();
            bash.run("fg");
            bash.expect("w sleep 25");
            bash.pause();
            bash.types(keys);
            bash.prompt();
            bash.run("echo code $?");
            bash.expect(&format!("code {code}"));
            bash.prompt();
        }
        // By signals to the job alone, as scripts send them.
        bash.run("w sleep 25 &");
        bash.prompt();
        bash.run("sleep 0.3; kill -TSTP $!; sleep 0.3");
        bash.prompt();
        bash.run("jobs");
        bash.expect("Stopped");
        bash.prompt();
        bash.run("kill -CONT $!; sleep 0.3; jobs");
        bash.expect("Running");
        bash.prompt();
        bash.run("kill -USR1 $!; wait $!; echo code $?");
        bash.expect("code 138");
        bash.prompt();
        all(bash)
    });
}

#[test]
fn codes_and_substitutions_are_those_of_env() {
    same(|bash, _| {
        for line in [
            "w sh -c 'exit 7'; echo $?",
            "x=$(w sh -c 'echo a; exit 3'); echo $x $?",
            "printf '1\\n2\\n3\\n' | while read x; do w cat; done",
            "w sh -c 'kill -KILL $$'; echo $?",
            "w sh -c 'kill -PIPE $$'; echo $?",
            "w yes | w head -1 | w cat; echo ${PIPESTATUS[@]}",
            "if w false; then echo yes; else echo no; fi",
            "w sh -c 'ps -o tpgid=,pgid= -p $$' | awk '{print $1 == $2}'",
        ] {
            bash.run(line);
            bash.prompt();
        }
        all(bash)
    });
}

#[test]
fn in_the_background_the_terminal_is_waited_for_as_with_env() {
    same(|bash, _| {
        bash.run("w cat & sleep 1");
        bash.expect("Stopped");
        bash.prompt();
        bash.run("fg");
        bash.expect("w cat");
        bash.pause();
        bash.types("a line\n\x04");
        bash.prompt();
        bash.run("stty tostop; w sh -c 'echo lo\"\"ud' & sleep 1");
        bash.expect("Stopped");
        bash.prompt();
        bash.run("fg");
        bash.expect("loud");
        bash.prompt();
        bash.run("stty -tostop");
        bash.prompt();
        all(bash)
    });
}

#[test]
fn less_is_as_with_env() {
    same(|bash, folder| {
        let lines: String = (1..=200).map(|number| format!("line {number}\n")).collect();
        fs::write(folder.join("text"), lines).unwrap();
        bash.run("TERM=xterm w less text");
        bash.expect("line 23");
        bash.types(" ");
        bash.expect("line 46");
        bash.resize(40, 100);
        bash.pause();
        // The key after another size, or after Ctrl+C, may be lost on less.
        bash.types("g");
        bash.pause();
        bash.types("g=");
        bash.expect("lines 1-39/200");
        bash.stops();
        bash.prompt();
        bash.run("fg");
        bash.expect("line 39");
        // What less does with it is its own affair.
        bash.types("\x03");
        bash.pause();
        bash.types("G");
        bash.pause();
        bash.types("G");
        bash.expect("(END)");
        bash.types("q");
        bash.prompt();
        bash.run("echo code $?");
        bash.expect("code 0");
        bash.prompt();
        String::new()
    });
}

#[test]
fn vim_is_as_with_env() {
    same(|bash, folder| {
        bash.run("TERM=xterm w vim -u NONE -N -n text");
        bash.expect("[New");
        bash.types("ihello\x1b");
        bash.expect("hello");
        bash.types("\x1a");
        bash.expect("Stopped");
        bash.prompt();
        bash.resize(40, 100);
        bash.run("fg");
        bash.expect("hello");
        bash.types(":set lines?\r");
        bash.expect("lines=40");
        bash.resize(30, 90);
        bash.pause();
        bash.types(":set lines? columns?\r");
        bash.expect("lines=30");
        bash.types("\r:!stty size\r");
        bash.expect("30 90");
        bash.types("\r:wq\r");
        bash.prompt();
        bash.run("echo code $?");
        bash.expect("code 0");
        bash.prompt();
        fs::read_to_string(folder.join("text")).unwrap()
    });
}

#[test]
fn top_is_as_with_env() {
    same(|bash, _| {
        bash.run("TERM=xterm w top -d 30");
        bash.expect("PID");
        bash.types("\x1a");
        bash.expect("Stopped");
        bash.prompt();
        bash.run("fg");
        bash.expect("PID");
        bash.resize(40, 100);
        bash.expect("PID");
        bash.types("q");
        bash.prompt();
        // Its code after another size is 0 or 1, left to chance.
        String::new()
    });
}

#[test]
fn a_prompt_for_a_password_is_as_with_env() {
    same(|bash, _| {
        let ask =
            r#"w python3 -c 'import getpass; print("g" "ot", getpass.getpass("Pass" "word: "))'"#;
        bash.run(ask);
        bash.expect("Password: ");
        bash.types("secret\n");
        bash.expect("got secret");
        bash.prompt();
        // From the terminal, though its input is a pipe.
        bash.run(&format!("echo x | {ask}"));
        bash.expect("Password: ");
        bash.pause();
        bash.types("\x1a");
        bash.expect("Stopped");
        bash.prompt();
        bash.run("fg");
        bash.expect("getpass");
        bash.pause();
        bash.types("other\n");
        bash.expect("got other");
        bash.prompt();
        bash.run(ask);
        bash.expect("Password: ");
        bash.pause();
        bash.types("\x03");
        bash.prompt();
        bash.run("echo code $?");
        bash.prompt();
        all(bash)
    });
}

#[test]
fn git_with_a_pager_is_as_with_env() {
    same(|bash, folder| {
        let script = "git init -q . && for i in $(seq 50); do git -c user.name=a -c user.email=b commit -q \
                      --allow-empty -m \"commit $i\"; done";
        let made = Command::new("sh")
            .args(["-c", script])
            .current_dir(folder)
            .status();
        assert!(made.unwrap().success());
        bash.run("TERM=xterm GIT_PAGER=less w git log --format=%s");
        bash.expect("commit 30");
        bash.pause();
        // It has git no longer write, and the pager go on.
        bash.types("\x03");
        bash.pause();
        bash.types("\x1a");
        bash.expect("Stopped");
        bash.prompt();
        // The pager is no child of bash, which does not wait for it to leave the terminal.
        bash.pause();
        bash.run("fg");
        bash.expect("commit 30");
        bash.pause();
        bash.types("q");
        bash.prompt();
        bash.run("echo code $?");
        bash.prompt();
        let code = bash.shown.rfind("code ").unwrap();
        bash.shown[code..].to_owned()
    });
}

#[test]
fn make_with_jobs_is_as_with_env() {
    same(|bash, folder| {
        let rules = "all: a b c\na b c:\n\t@echo sta\"\"rt; sleep 25; echo end\n";
        fs::write(folder.join("Makefile"), rules).unwrap();
        for stop in [false, true] {
            bash.run("w make -j3");
            for _ in 0..3 {
                bash.expect("start");
            }
            if stop {
                bash.types("\x1a");
                bash.expect("Stopped");
                bash.prompt();
                bash.run("fg");
                bash.expect("w make -j3");
            }
            bash.pause();
            bash.types("\x03");
            bash.prompt();
            bash.run("echo code $?");
            bash.prompt();
        }
        // Which of the three is told first is left to chance, and so is whether make, when it is interrupted, dies of
        // the signal or ends with 2 because it waits for a child once too often.
        let lines = bash.shown.lines().map(|line| match line {
            "code 2" | "code 130" => "interrupted",
            _ => line,
        });
        let lines = lines.filter(|line| !line.is_empty() && !line.contains("make: "));
        let mut lines = lines.collect::<Vec<_>>();
        lines.sort_unstable();
        lines.join("\n")
    });
}

#[test]
fn a_pipeline_of_three_is_as_with_env() {
    same(|bash, _| {
        bash.run("w sleep 25 | w cat | w cat");
        bash.pause();
        bash.types("\x1a");
        bash.expect("Stopped");
        bash.prompt();
        bash.run("fg");
        bash.expect("w sleep 25 | w cat | w cat");
        bash.pause();
        bash.types("\x03");
        bash.prompt();
        bash.run("echo ${PIPESTATUS[@]}");
        bash.prompt();
        bash.run("w seq 1000 | w grep 7 | TERM=xterm w less");
        bash.expect("\r\n7");
        bash.types("G");
        bash.expect("(END)");
        bash.types("q");
        bash.prompt();
        bash.run("echo ${PIPESTATUS[@]}");
        bash.prompt();
        let codes = bash
            .shown
            .lines()
            .filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
        codes
            .filter(|line| line.contains(' '))
            .collect::<Vec<_>>()
            .join("\n")
    });
}

#[test]
fn a_shell_is_as_with_env() {
    same(|bash, _| {
        bash.run("PS1='in''> ' w bash --norc --noprofile -i");
        bash.expect("in> ");
        bash.run("sleep 25");
        bash.pause();
        bash.types("\x1a");
        bash.expect("Stopped");
        bash.expect("in> ");
        bash.run("fg");
        bash.pause();
        bash.types("\x03");
        bash.expect("in> ");
        bash.run("suspend");
        bash.expect("Stopped");
        bash.prompt();
        bash.run("jobs");
        bash.expect("Stopped");
        bash.prompt();
        bash.run("fg");
        bash.pause();
        bash.run("echo back");
        bash.expect("\r\nback");
        bash.expect("in> ");
        bash.run("exit 3");
        bash.prompt();
        bash.run("echo code $?");
        bash.expect("code 3");
        bash.prompt();
        all(bash)
    });
}

#[test]
fn another_size_is_told_once() {
    let script = r#"
import signal, os, time
signal.signal(signal.SIGWINCH, lambda *_: print("si" "ze", *os.get_terminal_size(), flush=True))
print("u" "p", flush=True)
input()
"#;
    same(|bash, folder| {
        fs::write(folder.join("size.py"), script).unwrap();
        bash.run("w python3 size.py");
        bash.expect("up");
        bash.pause();
        bash.resize(40, 100);
        bash.expect("size 100 40");
        bash.pause();
        bash.types("\n");
        bash.prompt();
        all(bash)
    });
}

#[test]
fn who_outlives_the_terminal_is_as_with_env() {
    let outcome = wrappers().map(|wrapper| {
        let folder = tempfile::tempdir().unwrap();
        let mut bash = Bash::start_in(folder.path(), &["-i"]);
        bash.prompt();
        let program = |name: &str, then: &str| {
            format!("{wrapper} sh -c 'echo $$ > {name}; {then} exec sleep 44'")
        };
        bash.run(&format!("nohup {} > out 2>&1 &", program("nohup", "")));
        bash.prompt();
        bash.run(&format!("{} &", program("background", "")));
        bash.prompt();
        bash.run(&program("stopped", "kill -STOP $$;"));
        bash.expect("Stopped");
        bash.prompt();
        let (first, last) = (program("first", ""), program("last", ""));
        bash.run(&format!("{first} | {wrapper} cat | {last}"));
        let names = ["nohup", "background", "stopped", "first", "last"];
        let pid = |name: &str| -> Option<u32> {
            let text = fs::read_to_string(folder.path().join(name)).ok()?;
            text.trim().parse().ok()
        };
        legwork_tests::until("all are there", || {
            names.iter().all(|name| pid(name).is_some())
        });
        bash.pause();
        drop(bash.terminal);
        let is_alive = |name: &str| pid(name).is_some_and(legwork_tests::context::is_alive);
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end && names.iter().filter(|name| is_alive(name)).count() > 1 {
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(Duration::from_millis(300));
        let alive = names.map(|name| (name, is_alive(name)));
        for name in names.iter().filter(|name| is_alive(name)) {
            legwork_tests::raw::kill(pid(name).unwrap());
        }
        alive
    });
    assert_eq!(outcome[0], outcome[1]);
    assert_eq!(
        outcome[0].map(|(_, alive)| alive),
        [true, false, false, false, false]
    );
}
