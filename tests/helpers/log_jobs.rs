//! Jobs that log and print, in the lean worker `log_worker`: by `log`, by `tracing`, to standard output and error.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use legwork::{Ctx, Descriptor, Job, Receive};
use serde::{Deserialize, Serialize};

use crate::jobs::Failure;

legwork::jobs! {
    /// All of them.
    pub static LOGGERS = [Speak, Flood];
}

/// Writes in one way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Speak {
    /// This many numbers, each by `log`, by `tracing`, on standard output and on standard error.
    Everywhere(u32),
    /// This many numbers, each by `log` and then on standard error (or, else, output).
    ByTurns(u32, bool),
    /// This many numbers from each of this many threads.
    FromThreads(u32, u32),
    /// One record of each level.
    AtEveryLevel,
    /// A record and a printed line of each text.
    Texts(Vec<String>),
    /// A record with this target.
    Target(String),
    /// These bytes, printed unchanged.
    Bytes(Vec<u8>),
    /// This many numbers, and then a panic.
    ThenPanic(u32),
    /// This many numbers, and then an abort.
    ThenAbort(u32),
}

impl Job for Speak {
    type Message = ();
    type Output = ();
    type Error = Failure;

    fn run(self, _: &Ctx<Self>) -> Result<(), Failure> {
        let numbers = |count| (0..count).for_each(|number: u32| log::info!("{number}"));
        match self {
            Speak::Everywhere(count) => {
                for number in 0..count {
                    log::info!("log {number}");
                    tracing::info!("tracing {number}");
                    println!("stdout {number}");
                    eprintln!("stderr {number}");
                }
            }
            Speak::ByTurns(count, to_errors) => {
                for number in 0..count {
                    log::info!("{number}");
                    if to_errors {
                        eprintln!("{number}");
                    } else {
                        println!("{number}");
                    }
                }
            }
            Speak::FromThreads(threads, count) => std::thread::scope(|scope| {
                for thread in 0..threads {
                    scope.spawn(move || {
                        (0..count).for_each(|number| log::info!("{thread} {number}"));
                    });
                }
            }),
            Speak::AtEveryLevel => {
                log::error!("error");
                tracing::error!(code = 7, name = "x", "error");
                log::warn!("warn");
                tracing::warn!("warn");
                log::info!("info");
                tracing::info!("info");
                log::debug!("debug");
                tracing::debug!("debug");
                log::trace!("trace");
                tracing::trace!("trace");
            }
            Speak::Texts(texts) => {
                for text in texts {
                    log::info!("{text}");
                    println!("{text}");
                }
            }
            Speak::Target(target) => log::info!(target: &target, "text"),
            Speak::Bytes(bytes) => std::io::stdout().write_all(&bytes)?,
            Speak::ThenPanic(count) => {
                numbers(count);
                panic!("on purpose");
            }
            Speak::ThenAbort(count) => {
                numbers(count);
                std::process::abort();
            }
        }
        Ok(())
    }
}

/// Logs or prints very much, reports that through a pipe that the app reads without its main loop, and waits until it
/// is told to end.
#[derive(Debug, Serialize, Deserialize)]
pub struct Flood {
    /// The number of records or lines.
    pub count: u32,
    /// The length of each.
    pub length: usize,
    /// Print instead of logging.
    pub print: bool,
    /// The pipe to which the time of the longest call is written, in nanoseconds.
    pub done: Descriptor,
}

/// Returns the text of one of the records of a [`Flood`].
pub fn drop_of(number: u32, length: usize) -> String {
    format!("{number:.<length$}")
}

impl Job for Flood {
    type Message = ();
    type Output = ();
    type Error = Failure;

    fn run(self, cx: &Ctx<Self>) -> Result<(), Failure> {
        let mut longest = Duration::ZERO;
        for number in 0..self.count {
            let text = drop_of(number, self.length);
            let start = Instant::now();
            if self.print {
                println!("{text}");
            } else {
                log::info!("{text}");
            }
            longest = longest.max(start.elapsed());
        }
        let nanoseconds = longest.as_nanos() as u64;
        File::from(OwnedFd::from(self.done)).write_all(&nanoseconds.to_ne_bytes())?;
        while cx.recv()?.is_some() {
            log::info!("and on");
        }
        Ok(())
    }
}

impl Receive for Flood {
    type Request = ();
}
