//! The options of a job, with their defaults.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::child::Worker;
use crate::child::gate::SharedGate;
use crate::child::observer::Observers;
use crate::process::class::Class;

#[derive(Debug)]
pub(super) struct Options {
    pub(super) worker: Worker,
    pub(super) label: Option<String>,
    pub(super) deadline: Option<Duration>,
    pub(super) stall: Option<Duration>,
    pub(super) grace: Duration,
    pub(super) handshake: Duration,
    pub(super) message_capacity: u32,
    pub(super) log_level: Option<u8>,
    pub(super) forward_logs: bool,
    pub(super) wait_for_debugger: bool,
    pub(super) session_bus: bool,
    pub(super) env: Vec<(OsString, Option<OsString>)>,
    pub(super) current_dir: Option<PathBuf>,
    pub(super) gate: Option<SharedGate>,
    pub(super) class: Option<Class>,
    pub(super) cancellables: Vec<gio::Cancellable>,
    pub(super) observers: Observers,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            worker: Worker::default(),
            label: None,
            deadline: None,
            stall: None,
            grace: Duration::from_secs(2),
            handshake: Duration::from_secs(10),
            message_capacity: 64,
            log_level: None,
            forward_logs: true,
            wait_for_debugger: false,
            session_bus: false,
            env: Vec::new(),
            current_dir: None,
            gate: None,
            class: None,
            cancellables: Vec::new(),
            observers: Observers::default(),
        }
    }
}

impl Options {
    pub(super) fn log_level(&self) -> u8 {
        #[cfg(feature = "log")]
        let of_the_app = Some(::log::max_level() as u8).filter(|level| *level > 0);
        #[cfg(not(feature = "log"))]
        let of_the_app = None;
        self.log_level.or(of_the_app).unwrap_or(3)
    }

    /// No clock runs for a worker that waits for a debugger.
    fn unless_debugged(&self, time: Duration) -> Option<Duration> {
        (!self.wait_for_debugger).then_some(time)
    }

    pub(super) fn handshake(&self) -> Option<Duration> {
        self.unless_debugged(self.handshake)
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.deadline.and_then(|time| self.unless_debugged(time))
    }

    pub(super) fn stall(&self) -> Option<Duration> {
        self.stall.and_then(|time| self.unless_debugged(time))
    }
}
