//! From `main` to the jobs, one after the other, and the end of the process.
//!
//! A process is a worker if and only if its descriptor 3 is a `SOCK_SEQPACKET` socket whose other end belongs to the
//! same user and in which an app's Hello waits. No argument and no variable makes an app a worker. A program that runs
//! with privileges of its own (set-user-ID, file capabilities) never is one.
#![allow(unsafe_code)]

use std::error::Error;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::time::Duration;

use rustix::io::retry_on_intr;
use rustix::net::{AddressFamily, RecvFlags, SocketType, sockopt};

use super::jobs::Jobs;
use super::link::{Assigned, Link};
use super::{answer, crash, exec, panic, watch};
use crate::guardian;
use crate::process::leave;
use crate::wire::control::{Control, HEADER, Received, Scratch, Wait};
use crate::wire::frame::{
    CONTROL_FD, FIRST_JOB, Hello, Kind, MAGIC, PROTOCOL, ROLE_AT, Refusal, Role,
};
use crate::wire::page::Page;

static CHECKS_FOR_WORKER: AtomicBool = AtomicBool::new(false);
static CHECKS_FOR_HELPER: AtomicBool = AtomicBool::new(false);

/// Whether this program's `main` has called [`Jobs::run_if_worker`]. Otherwise the app cannot be its own worker.
pub(crate) fn main_checks_for_worker() -> bool {
    CHECKS_FOR_WORKER.load(Acquire)
}

/// Whether this program's `main` has called that or [`init`]. Otherwise the app cannot help its own programs.
pub(crate) fn main_checks_for_helper() -> bool {
    CHECKS_FOR_HELPER.load(Acquire)
}

/// The first line of `main` in an app that runs programs, and no jobs.
///
/// Legwork starts the app's own program once more as the guardian, which kills the app's programs when the app dies, and
/// for a [`Command`](crate::Command) whose umask, nice value, limits or privileges are to be changed. In such a process
/// this function does that, and ends the process; in the app it returns at once (after one system call). Without it, or
/// [`Command::helper`](crate::Command::helper), programs outlive an app that is killed.
///
/// An app with jobs calls [`Jobs::run_if_worker`] in its place, which does the same.
///
/// ```no_run
/// fn main() -> Result<(), legwork::Error> {
///     legwork::init();
///     let commits = legwork::Command::new("git").args(["log", "--oneline"]).output();
///     let commits = legwork::glib::MainContext::default().block_on(commits)?;
///     println!("{}", String::from_utf8_lossy(&commits.stdout));
///     Ok(())
/// }
/// ```
pub fn init() {
    static NO_JOBS: Jobs = Jobs::new("", "", &[]);
    CHECKS_FOR_HELPER.store(true, Release);
    // A worker belongs to a table of jobs, whose turn may come.
    if role().is_some_and(|role| role != Role::Worker as u8)
        && let Some(control) = control_socket()
    {
        NO_JOBS.serve(control);
    }
}

impl Jobs {
    /// Runs the jobs that this process was started for, and ends the process. In a process that is not a worker, it
    /// returns at once (after one system call).
    ///
    /// Call it first in `main`, before GTK is initialized and before any thread is started: the code before it
    /// runs in every worker as well.
    ///
    /// A process is a worker if an app's first frame waits in the socket at its descriptor 3, whatever its arguments
    /// and its environment are. A set-user-ID program never is one. A worker ends by _exit(2): destructors of `main`'s
    /// variables and `atexit` handlers do not run.
    pub fn run_if_worker(&'static self) {
        CHECKS_FOR_WORKER.store(true, Release);
        CHECKS_FOR_HELPER.store(true, Release);
        if let Some(control) = control_socket() {
            self.serve(control);
        }
    }

    /// The whole `main` of a worker program of its own. If the process was not started by an app, it prints a
    /// sentence that says so, and exits with status 2.
    ///
    /// ```no_run
    /// # mod jobs {
    /// #     legwork::jobs! { pub static JOBS = []; }
    /// # }
    /// fn main() {
    ///     jobs::JOBS.run_worker()
    /// }
    /// ```
    pub fn run_worker(&'static self) -> ! {
        self.run_if_worker();
        let _ = writeln!(
            std::io::stderr(),
            "This program is a worker: it is started by an app that has a job for it."
        );
        std::process::exit(2)
    }

    fn serve(&'static self, control: Control) -> ! {
        // A child that was started from /proc/self/exe is called `exe` until it is renamed.
        // SAFETY: PR_SET_NAME copies the string.
        unsafe { libc::prctl(libc::PR_SET_NAME, c"legwork-worker".as_ptr()) };
        let mut scratch = Scratch::new();
        let (hello, mut brought) = match control.recv(&mut scratch, Wait::Yes) {
            Ok(Received::Packet(packet)) if packet.kind == Kind::Hello as u8 => {
                let Some(hello) = Hello::decode(&packet.payload) else {
                    leave(1)
                };
                (hello, packet.descriptors.claim())
            }
            _ => leave(1),
        };
        if hello.protocol != PROTOCOL {
            refuse(&control, &Refusal::Protocol(PROTOCOL));
        }
        if hello.role == Role::Guardian as u8 {
            guardian::run(control, scratch, brought);
        }
        if hello.role == Role::Exec as u8 {
            exec::run(control, scratch, brought);
        }
        drop(scratch);
        leave_terminal();
        let build = match self.build_id() {
            Ok(build) => build,
            Err(error) => refuse(&control, &Refusal::Setup(error.to_string())),
        };
        if hello.build != build {
            refuse(&control, &Refusal::Build(build));
        }
        // The first is the app's pidfd; the others belong to the first job's input.
        let app = (!brought.is_empty()).then(|| brought.remove(0));
        let link = match set_up(control, app, &hello) {
            Ok(link) => link,
            Err((control, error)) => refuse(&control, &Refusal::Setup(error.to_string())),
        };
        // Of this thread alone: the watcher does not yield.
        if let Some(class) = hello.class
            && let Err(errno) = class.set(0)
        {
            let error = io::Error::from_raw_os_error(errno);
            let why = format!("its priority could not be lowered: {error}");
            refuse(&link.control, &Refusal::Setup(why));
        }
        let first = hello.start.map(|start| (FIRST_JOB, start, brought));
        self.run_jobs(link, first, hello.jobs)
    }

    /// Runs one job after the other, and ends the process after the last.
    fn run_jobs(&self, link: &'static Link, first: Option<Assigned>, limit: u32) -> ! {
        let (mut next, mut ended, mut status) = (first, 0, 0);
        while let Some((number, start, descriptors)) = next.or_else(|| link.next_job()) {
            let answer = match self.entry(start.index, &start.name) {
                Some(entry) => (entry.run)(link, number, &start, descriptors),
                None => answer::refused(Refusal::UnknownJob),
            };
            status = answer.finish(link, number);
            ended += 1;
            if ended == limit {
                break;
            }
            next = None;
        }
        leave(status)
    }
}

/// Makes the shared page, starts the watcher, has panics, crashes and log records sent to the app from now on, and
/// completes the handshake.
fn set_up(
    control: Control,
    app: Option<OwnedFd>,
    hello: &Hello,
) -> Result<&'static Link, (Control, Box<dyn Error>)> {
    let resources = (|| {
        let app = app.ok_or("the app did not send its pidfd")?;
        let (page, memory) = Page::create()?;
        let wake = rustix::event::eventfd(
            0,
            rustix::event::EventfdFlags::CLOEXEC | rustix::event::EventfdFlags::NONBLOCK,
        )?;
        Ok((app, page, memory, wake))
    })();
    let (app, page, memory, wake) = match resources {
        Ok(resources) => resources,
        Err(error) => return Err((control, error)),
    };
    let link = Link::establish(control, page, wake);
    let setup = |error: io::Error, what: &str| -> ! {
        refuse(&link.control, &Refusal::Setup(format!("{what}: {error}")))
    };
    if let Err(error) = watch::start(link, app) {
        setup(error, "the watcher thread could not be started");
    }
    if hello.wait_for_debugger {
        wait_for_debugger();
    }
    panic::install();
    crash::install();
    #[cfg(feature = "log")]
    super::log::install(link, hello.log_level);
    #[cfg(feature = "tracing")]
    super::tracing::install(link, hello.log_level);
    let ready = (link.control).send(Kind::Ready, &[], &[memory.as_fd()], Wait::Yes);
    if let Err(error) = ready {
        setup(error, "the shared page could not be sent");
    }
    Ok(link)
}

/// Tells the app that this process cannot be its worker, and ends it.
fn refuse(control: &Control, refusal: &Refusal) -> ! {
    let bytes = postcard::to_allocvec(refusal).unwrap_or_default();
    let _ = control.send(Kind::Refused, &bytes, &[], Wait::Yes);
    leave(1)
}

/// The role of this process, if it was started with a control socket.
fn role() -> Option<u8> {
    // SAFETY: it is only borrowed, for calls that fail with EBADF when it is not open.
    let fd = unsafe { BorrowedFd::borrow_raw(CONTROL_FD) };
    if sockopt::socket_domain(fd).ok()? != AddressFamily::UNIX
        || sockopt::socket_type(fd).ok()? != SocketType::SEQPACKET
        || sockopt::socket_peercred(fd).ok()?.uid != rustix::process::geteuid()
        || secure()
    {
        return None;
    }
    let mut start = [0; HEADER + ROLE_AT + 1];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let (_, length) = retry_on_intr(|| rustix::net::recv(fd, &mut start, flags)).ok()?;
    let is_hello = length >= HEADER + MAGIC.len()
        && start[0] == Kind::Hello as u8
        && start[HEADER..].starts_with(&MAGIC);
    is_hello.then_some(start[HEADER + ROLE_AT])
}

/// The control socket, if this process was started with one.
fn control_socket() -> Option<Control> {
    role()?;
    // SAFETY: the descriptor is open, and at the start of `main` nothing else owns it: the app gave it to this process
    // as its control socket.
    let fd = unsafe { OwnedFd::from_raw_fd(CONTROL_FD) };
    // Programs that the job starts must not hold the socket open.
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).ok()?;
    Some(Control::from_fd(fd))
}

/// Gives up the terminal in which the app was started, and which the job and its programs would wait for in vain; see
/// tty_ioctl(2). In a session of its own a worker would have none either, but setsid(2) makes each start take longer.
fn leave_terminal() {
    let Ok(terminal) = std::fs::File::open("/dev/tty") else {
        return;
    };
    // SAFETY: it takes no argument, and the descriptor is open.
    unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCNOTTY) };
}

/// Sleeps until a debugger has attached to this process.
fn wait_for_debugger() {
    eprintln!(
        "worker {pid} waits for a debugger: gdb -p {pid}",
        pid = std::process::id()
    );
    let traced = || {
        std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
            status
                .lines()
                .find_map(|line| line.strip_prefix("TracerPid:"))
                .is_some_and(|pid| pid.trim() != "0")
        })
    };
    while !traced() {
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Whether this program runs with privileges that its user does not have (getauxval(3), `AT_SECURE`).
fn secure() -> bool {
    // SAFETY: it reads a number that the kernel gave to the process, and has no precondition.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}
