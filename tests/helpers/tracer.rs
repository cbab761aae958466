//! A process that is followed from one system call to the next (ptrace(2)), to be killed at each of them or to have each
//! of them fail.
//!
//! Followed are the process's first thread, and the children that it makes in the way of vfork(2) until they execute
//! something; or, instead of it, a worker that it starts. A process is traced by the thread that has begun to.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// How long a process may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// An app that does something for every line that it reads, and answers with a line.
pub struct App {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    watchdog: Option<std::sync::mpsc::Sender<()>>,
}

impl App {
    /// Starts the app, in an environment that bears a mark.
    pub fn start(what: &str, mark: &str) -> App {
        let mut process = Command::new(crate::program("app_at_an_instant"))
            .arg(what)
            .env(MARK, mark)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (watchdog, called_off) = std::sync::mpsc::channel();
        let pid = pid_of(&process);
        std::thread::spawn(move || {
            if called_off.recv_timeout(PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                eprintln!("{pid} has hung for {PATIENCE:?}, and is killed");
                let _ = kill(pid, Signal::SIGKILL);
            }
        });
        let mut app = App {
            input: process.stdin.take(),
            output: BufReader::new(process.stdout.take().unwrap()),
            process,
            watchdog: Some(watchdog),
        };
        assert_eq!(app.answer(), "ready");
        app
    }

    /// Sends it a line. It may be gone: then it has no answer.
    pub fn go(&mut self) {
        let _ = self.input.as_mut().unwrap().write_all(b"go\n");
    }

    /// What it says; empty when it has ended without a word.
    pub fn answer(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Ends it.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.end();
    }

    /// Ends its input, and tells whether it has ended well.
    pub fn end(mut self) -> bool {
        self.input = None;
        // One that has died while it was traced has been reaped by then.
        let status = self.process.wait();
        self.watchdog = None;
        status.is_ok_and(|status| status.success())
    }
}

fn pid_of(process: &Child) -> Pid {
    Pid::from_raw(process.id().cast_signed())
}

/// The variable by which all are found that an app has left.
const MARK: &str = "LEGWORK_TEST_MARK";

/// The processes with this mark: an app, and all that it has started.
pub fn marked(mark: &str) -> Vec<(u32, String)> {
    let wanted = format!("{MARK}={mark}\0");
    let has_it = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment
            .windows(wanted.len())
            .any(|part| part == wanted.as_bytes())
    };
    let name = |pid: u32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        (pid, name.trim_end().to_owned())
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    pids.filter(has_it).map(name).collect()
}

/// Whom to follow.
#[derive(Clone, Copy, PartialEq)]
pub enum Who {
    /// The app's first thread, with its children until they execute something.
    App,
    /// The first thread of the first worker, from the system call by which it looks whether it is one.
    Worker,
    /// The same of a guardian, until it waits for what happens. The app does not answer before.
    Guardian,
}

/// A system call that is about to be made, or has been.
#[derive(Clone, Copy)]
pub struct Stop {
    pid: Pid,
    /// Its number.
    pub call: i64,
    /// It is about to be made.
    pub before: bool,
    /// The first two values that it is passed.
    pub arguments: [u64; 2],
}

/// The processes that are followed.
pub struct Trace {
    app: Pid,
    who: Who,
    /// With the call that each is in.
    followed: BTreeMap<Pid, Option<Stop>>,
    stopped: Option<Pid>,
    worker: Option<Pid>,
}

impl Trace {
    /// Sends the app that waits for a line one, and follows what it does. All of them go on by themselves at the end.
    pub fn follow<T: Send>(app: &mut App, who: Who, act: impl FnOnce(&mut Trace) -> T + Send) -> T {
        // They are let go at the end of the thread that traces them.
        std::thread::scope(|scope| {
            let traced = scope.spawn(|| {
                let mut trace = Trace::begin(pid_of(&app.process), who);
                app.go();
                act(&mut trace)
            });
            traced.join().unwrap()
        })
    }

    fn begin(app: Pid, who: Who) -> Trace {
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACEEXEC;
        ptrace::seize(app, options).unwrap();
        ptrace::interrupt(app).unwrap();
        Trace {
            app,
            who,
            followed: [(app, None)].into(),
            stopped: None,
            worker: None,
        }
    }

    /// The next stop of those that are followed; `None` when the app answers, or is gone, or when the guardian has
    /// started.
    pub fn next_stop(&mut self) -> Option<Stop> {
        loop {
            if let Some(pid) = self.stopped.take() {
                // It may have been killed meanwhile.
                let _ = ptrace::syscall(pid, None);
            }
            // Those of this thread alone: other tests have children, too.
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            let status = waitpid(None, Some(flags)).unwrap();
            let pid = status.pid().unwrap();
            match status {
                WaitStatus::PtraceSyscall(_) => {
                    self.stopped = Some(pid);
                    let stop = self.look(pid);
                    if pid == self.app
                        && stop.before
                        && stop.call == libc::SYS_write
                        && stop.arguments[0] == 1
                    {
                        if self.who != Who::Guardian {
                            return None;
                        }
                        self.stopped = None;
                    } else if self.concerns(&stop) {
                        let waits = [
                            libc::SYS_epoll_wait,
                            libc::SYS_epoll_pwait,
                            libc::SYS_epoll_pwait2,
                        ];
                        let has_started = self.who == Who::Guardian && waits.contains(&stop.call);
                        return (!has_started).then_some(stop);
                    }
                }
                WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC) if pid != self.app => {
                    if self.who == Who::App || self.worker.is_some() {
                        self.followed.remove(&pid);
                        let _ = ptrace::detach(pid, None);
                    } else {
                        self.stopped = Some(pid);
                    }
                }
                WaitStatus::PtraceEvent(..) => {
                    self.followed.entry(pid).or_default();
                    self.stopped = Some(pid);
                }
                WaitStatus::Stopped(_, signal) => drop(ptrace::syscall(pid, signal)),
                _ => {
                    self.followed.remove(&pid);
                    if pid == self.app || self.who == Who::Guardian && self.worker == Some(pid) {
                        return None;
                    }
                }
            }
        }
    }

    fn look(&mut self, pid: Pid) -> Stop {
        let registers = ptrace::getregs(pid).unwrap();
        let inside = self.followed.entry(pid).or_default();
        match inside.take() {
            Some(before) => Stop {
                before: false,
                ..before
            },
            None => {
                let stop = Stop {
                    pid,
                    call: registers.orig_rax.cast_signed(),
                    before: true,
                    arguments: [registers.rdi, registers.rsi],
                };
                *inside = Some(stop);
                stop
            }
        }
    }

    /// Whether a stop is one of those that are asked for.
    fn concerns(&mut self, stop: &Stop) -> bool {
        if self.who == Who::App {
            return true;
        }
        let looks = stop.before && stop.call == libc::SYS_getsockopt && stop.arguments[0] == 3;
        if looks && self.worker.is_none() && stop.pid != self.app {
            self.worker = Some(stop.pid);
        }
        self.worker == Some(stop.pid)
    }

    /// Has the call that is about to be made fail instead.
    pub fn fail(&mut self, stop: Stop, errno: Errno) {
        let pid = stop.pid;
        let mut registers = ptrace::getregs(pid).unwrap();
        registers.orig_rax = u64::MAX;
        ptrace::setregs(pid, registers).unwrap();
        ptrace::syscall(pid, None).unwrap();
        match waitpid(pid, Some(WaitPidFlag::__WALL)).unwrap() {
            WaitStatus::PtraceSyscall(_) => {
                let mut registers = ptrace::getregs(pid).unwrap();
                registers.rax = (-i64::from(errno as i32)).cast_unsigned();
                ptrace::setregs(pid, registers).unwrap();
                self.followed.insert(pid, None);
            }
            status => panic!("{status:?}"),
        }
    }

    /// Kills the app, or the worker that is followed, where it stands.
    pub fn kill(&self) {
        kill(self.worker.unwrap_or(self.app), Signal::SIGKILL).unwrap();
    }
}

/// Waits until nobody with this mark is there, and returns who still is after half a minute.
pub fn left(mark: &str) -> Vec<(u32, String)> {
    let start = Instant::now();
    loop {
        // Twice: the environment of one that executes something cannot be read for a moment.
        let first = marked(mark);
        std::thread::sleep(Duration::from_millis(5));
        let again = marked(mark);
        if first.is_empty() && again.is_empty() || start.elapsed() > PATIENCE {
            return again;
        }
    }
}
