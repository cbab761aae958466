//! Jobs that run in the benchmark's own program, which uses GLib.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use glib::MainContext;
use legwork::{Ctx, Job, SendError};
use legwork_benches::clock;
use serde::{Deserialize, Serialize};

legwork::jobs! {
    /// The jobs of this program when it is its own worker.
    pub(crate) static JOBS = [FirstLineWithGlib, IdleWithGlib, UsesGlib];
}

/// Returns the time at its first line.
#[derive(Serialize, Deserialize)]
pub(crate) struct FirstLineWithGlib;

impl Job for FirstLineWithGlib {
    type Message = ();
    type Output = u64;
    type Error = Infallible;

    fn run(self, _: &Ctx<Self>) -> Result<u64, Infallible> {
        Ok(clock::now())
    }
}

/// Says that it runs, and then does nothing until it is stopped.
#[derive(Serialize, Deserialize)]
pub(crate) struct IdleWithGlib;

impl Job for IdleWithGlib {
    type Message = ();
    type Output = ();
    type Error = SendError;

    fn run(self, cx: &Ctx<Self>) -> Result<(), SendError> {
        cx.send(())?;
        loop {
            std::thread::park();
        }
    }
}

/// Does continuously what a forked child does in scene S1: wakes the default main context of its process.
#[derive(Serialize, Deserialize)]
pub(crate) struct UsesGlib {
    /// How long.
    pub(crate) time: Duration,
    /// Messages to the app meanwhile, evenly spread.
    pub(crate) messages: u32,
}

impl Job for UsesGlib {
    type Message = ();
    type Output = ();
    type Error = SendError;

    fn run(self, cx: &Ctx<Self>) -> Result<(), SendError> {
        for _ in 0..self.messages {
            let started = Instant::now();
            while started.elapsed() < self.time / self.messages {
                MainContext::default().wakeup();
            }
            cx.send(())?;
        }
        Ok(())
    }
}
