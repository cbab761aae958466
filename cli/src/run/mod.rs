//! `legwork run`: a program, started as the library starts programs, for shells and tests.
//!
//! It links no GLib: its own start is most of what it costs. It starts the program by a
//! [`Plan`], has the guardian watch over it, and then sleeps in one `poll` for the program's end,
//! for signals to hand on, and for the time that is up.

mod arguments;
mod stream;

use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use legwork::process::{Exit, ExitStatus, Process, Signal};
use legwork::spawn::{SpawnError, Step};
use nix::sys::signal::{SigSet, Signal as NixSignal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub(crate) use arguments::{Arguments, seconds};
pub(crate) use stream::Foreground;
use stream::Terminal;

/// What a shell's `timeout` says when the time was up.
const TIMED_OUT: u8 = 124;
/// What it says when it failed itself.
pub(crate) const OWN_FAILURE: u8 = 125;
/// What a shell says of a program that cannot be executed.
const NOT_EXECUTABLE: u8 = 126;
/// What a shell says of a program that is not there.
const NOT_FOUND: u8 = 127;

/// The signals that ask for an end, handed on to the program.
const HANDED_ON: [NixSignal; 6] = [
    NixSignal::SIGINT,
    NixSignal::SIGTERM,
    NixSignal::SIGHUP,
    NixSignal::SIGQUIT,
    NixSignal::SIGUSR1,
    NixSignal::SIGUSR2,
];

/// Runs the program, and says how it ended as an exit code.
pub(crate) fn main(arguments: Arguments) -> ExitCode {
    let events = Events(arguments.json);
    match run(arguments, &events) {
        Ok(code) => ExitCode::from(code),
        Err(Failure::Spawn(error)) => {
            events.print(&serde_json::json!({
                "event": "failed",
                "step": error.step().to_string(),
                "errno": error.errno(),
                "error": error.to_string(),
            }));
            eprintln!("legwork: {error}");
            ExitCode::from(code_of(&error))
        }
        Err(Failure::Own(words)) => {
            events.print(&serde_json::json!({ "event": "failed", "error": words }));
            eprintln!("legwork: {words}");
            ExitCode::from(OWN_FAILURE)
        }
    }
}

/// Why there is no program, or no more of it is known.
pub(crate) enum Failure {
    Spawn(SpawnError),
    Own(String),
}

impl From<SpawnError> for Failure {
    fn from(error: SpawnError) -> Self {
        Failure::Spawn(error)
    }
}

impl From<String> for Failure {
    fn from(words: String) -> Self {
        Failure::Own(words)
    }
}

/// "Cannot do this: why", as a failure.
pub(crate) fn cannot<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> String {
    move |error| format!("{what}: {error}")
}

/// The exit code for a start that failed, as shells have it.
pub(crate) fn code_of(error: &SpawnError) -> u8 {
    match (error.step(), error.errno()) {
        (Step::Program, Some(libc::ENOENT | libc::ENOTDIR)) => NOT_FOUND,
        (Step::Program | Step::Interpreter | Step::Execute, _) => NOT_EXECUTABLE,
        _ => OWN_FAILURE,
    }
}

/// Lines of JSON, or silence.
pub(crate) struct Events(bool);

impl Events {
    pub(crate) const fn silent() -> Self {
        Self(false)
    }

    fn print(&self, event: &serde_json::Value) {
        if self.0 {
            println!("{event}");
        }
    }
}

fn run(arguments: Arguments, events: &Events) -> Result<u8, Failure> {
    arguments.change_this_process()?;
    let signals = hold_signals()?;

    let mut terminal = None;
    if arguments.pty {
        terminal = Some(Terminal::open().map_err(cannot("a terminal cannot be made"))?);
    }
    let times = (arguments.timeout, arguments.grace);
    let plan = arguments.plan(terminal.as_ref())?;
    let mut process = plan.spawn()?;
    if let Err(error) = legwork::guardian::watch_over(&process, legwork::spawn::Program::Current) {
        // The program runs: that it may outlive us is no reason to end it.
        eprintln!("legwork: {error}; should legwork be killed, the program stays behind");
    }
    events.print(&serde_json::json!({ "event": "started", "pid": process.pid() }));
    let foreground = Foreground::give_to(&process);
    if let Some(terminal) = &mut terminal {
        terminal.begin();
    }

    let (exit, timed_out) = attend(&mut process, &signals, terminal.as_mut(), times, events)?;

    drop(terminal);
    drop(foreground);
    let signal = exit.status.signal();
    events.print(&serde_json::json!({
        "event": "ended",
        "code": exit.status.code(),
        "signal": signal.map(|signal| signal.name().into_owned()),
        "core_dumped": matches!(exit.status, ExitStatus::Signal { core_dumped: true, .. }),
        "timed_out": timed_out,
        "user_seconds": exit.usage.user_time.as_secs_f64(),
        "system_seconds": exit.usage.system_time.as_secs_f64(),
    }));
    if timed_out {
        return Ok(TIMED_OUT);
    }
    Ok(match exit.status {
        ExitStatus::Code(code) => code as u8,
        ExitStatus::Signal { signal, .. } => 128 + signal.as_raw() as u8,
    })
}

/// Holds the signals that are handed on, from before the program is there: none of them is lost. The program starts
/// with an empty mask.
pub(crate) fn hold_signals() -> Result<SignalFd, String> {
    let mut handed_on: SigSet = HANDED_ON.into_iter().collect();
    handed_on.add(NixSignal::SIGWINCH);
    handed_on
        .thread_block()
        .map_err(cannot("signals cannot be held"))?;
    SignalFd::with_flags(&handed_on, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(cannot("signals cannot be heard"))
}

/// Waits for the program's end, and does what comes up meanwhile.
pub(crate) fn attend(
    process: &mut Process,
    signals: &SignalFd,
    mut terminal: Option<&mut Terminal>,
    (timeout, grace): (Option<Duration>, Duration),
    events: &Events,
) -> Result<(Exit, bool), Failure> {
    let mut due = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut timed_out = false;
    loop {
        let wait = due.map(|due| due.saturating_duration_since(Instant::now()));
        let wait = wait.and_then(|wait| Timespec::try_from(wait).ok());
        let (ended, signalled) = {
            let mut fds = vec![
                PollFd::from_borrowed_fd(process.pidfd(), PollFlags::IN),
                PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
            ];
            if let Some(terminal) = &terminal {
                terminal.add_to(&mut fds);
            }
            match poll(&mut fds, wait.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => (),
                Err(error) => return Err(cannot("waiting failed")(error).into()),
            }
            (!fds[0].revents().is_empty(), !fds[1].revents().is_empty())
        };
        if let Some(terminal) = terminal.as_deref_mut() {
            terminal.copy();
        }
        if ended {
            let exit = process
                .wait()
                .map_err(cannot("how the program ended cannot be known"))?;
            if let Some(terminal) = terminal {
                terminal.copy();
            }
            return Ok((exit, timed_out));
        }
        if signalled {
            hand_on(process, signals, terminal.as_deref(), events);
        }
        if due.is_some_and(|due| due <= Instant::now()) {
            if timed_out {
                let _ = process.kill();
                due = None;
            } else {
                events.print(&serde_json::json!({ "event": "timeout" }));
                timed_out = true;
                let _ = to_all(process, Signal::TERM);
                let _ = to_all(process, Signal::CONT);
                due = Instant::now().checked_add(grace);
            }
        }
    }
}

/// Passes what was signalled to this command on to the program.
pub(crate) fn hand_on(
    process: &Process,
    signals: &SignalFd,
    terminal: Option<&Terminal>,
    events: &Events,
) {
    while let Ok(Some(info)) = signals.read_signal() {
        let Some(signal) = Signal::from_raw(info.ssi_signo as i32) else {
            continue;
        };
        if info.ssi_signo as i32 == libc::SIGWINCH {
            if let Some(terminal) = terminal {
                terminal.take_size();
            }
            continue;
        }
        events.print(&serde_json::json!({ "event": "signal", "signal": signal.name() }));
        let _ = to_all(process, signal);
    }
}

fn to_all(process: &Process, signal: Signal) -> io::Result<()> {
    if process.leads_group() {
        process.signal_group(signal)
    } else {
        process.signal(signal)
    }
}
