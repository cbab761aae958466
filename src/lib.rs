//! Background jobs and external programs in child processes, for GTK and GLib apps.
//!
//! A *job* is a value with a [`run`](Job::run) method. Legwork starts a child process, sends it the
//! value, runs it there, and brings progress, messages, log records and the one outcome back to
//! the app's own `GMainContext`. The child is born by one `posix_spawn`, holds no descriptor of
//! the app's but those it was handed, can be stopped at any instant, and may crash: that is an
//! error with a name, and the app lives on.
//!
//! Most work needs none of this: [`gio::spawn_blocking`] is one line, and a thread is cheaper than
//! a process. Take a process for what has to be killed, what may crash, and what must share
//! nothing with the app. The project's `README.md` says when, what is promised, and where the
//! limits are; `docs/gotchas.md` says why it is hard.
//!
//! # A whole program
//!
//! ```no_run
//! use std::error::Error;
//! use std::path::PathBuf;
//!
//! use legwork::prelude::*;
//! use legwork::{Ctx, glib};
//! use serde::{Deserialize, Serialize};
//!
//! /// The job. What it owns is its input; what it implements is sent to the child and back.
//! #[derive(Serialize, Deserialize)]
//! struct CountLines {
//!     #[serde(with = "legwork::path")] // the name of a file need not be UTF-8
//!     files: Vec<PathBuf>,
//! }
//!
//! impl legwork::Job for CountLines {
//!     type Message = (String, usize); // sent while it runs; none is lost
//!     type Output = usize; // the answer
//!     type Error = Box<dyn Error + Send + Sync>;
//!
//!     fn run(self, cx: &Ctx<Self>) -> Result<usize, Self::Error> {
//!         cx.set_total(self.files.len() as u64);
//!         let mut sum = 0;
//!         for file in &self.files {
//!             cx.check()?; // an error once the app has asked the job to stop
//!             let lines = std::fs::read_to_string(file)?.lines().count();
//!             cx.send((file.display().to_string(), lines))?;
//!             cx.advance(1);
//!             sum += lines;
//!         }
//!         Ok(sum)
//!     }
//! }
//!
//! legwork::jobs! { static JOBS = [CountLines]; }
//!
//! fn main() -> Result<(), legwork::Error> {
//!     JOBS.run_if_worker(); // the child ends here; in the app it returns at once
//!
//!     let files = std::env::args_os().skip(1).map(PathBuf::from).collect();
//!     glib::MainContext::default().block_on(async {
//!         let mut job = CountLines { files }.spawn();
//!         while let Some((file, lines)) = job.message().await {
//!             println!("{file}: {lines}");
//!         }
//!         println!("{} lines", job.await?);
//!         Ok(())
//!     })
//! }
//! ```
//!
//! In a GTK app the `async` block goes to `glib::spawn_future_local`, and the properties of
//! [`status()`](JobHandle::status) are bound to widgets. The README has such a window, whole.
//!
//! # What is where
//!
//! | to | take |
//! |---|---|
//! | run an external program | [`Command`], [`Stdio`], [`Stop`], [`progress`] |
//! | write a job | [`Job`], [`Ctx`], [`jobs!`]; [`Receive`] for one that is talked to |
//! | start it | [`Spawn::spawn`], [`Spawn::builder`]; [`Worker`] for a program of its own |
//! | wait for it | `.await` the [`JobHandle`]: `Result<Output, `[`Error`]`>` |
//! | show it | [`Status`], a GObject |
//! | stop it | [`JobHandle::cancel`], [`cancellable`](JobHandle::cancellable), [`stop_with`](JobHandle::stop_with), drop it |
//! | talk to it | [`JobHandle::message`], [`on_message`](JobHandle::on_message), [`Sender`] |
//! | hand over much data | [`Buffer`], [`BufferMut`], [`BufferWriter`]; [`Descriptor`] for an open file |
//! | hand over paths | [`path`] |
//! | read its log | GLib's structured log has it already; or [`JobHandle::logs`] |
//!
//! # Threads and contexts
//!
//! A job or program belongs to the main context that was the thread's default at the spawn. Handles and
//! [`Status`] stay on that thread; [`Messages`], [`Logs`], [`Buffer`], [`Error`] and a job's
//! `gio::Cancellable` may go anywhere. Each type's page says so, and what happens when it is
//! dropped. Legwork has no thread of its own in the app.
//!
//! # Testing
//!
//! A job's own logic is tested in the test's process, by [`Job::run_here`]: no child, no main
//! loop. A test of the app's side, which wants a real child, names a worker program, because a
//! test program's `main` is the harness's and would run every test again:
//!
//! ```ignore
//! let worker = Worker::program(env!("CARGO_BIN_EXE_my-worker")); // its main: JOBS.run_worker()
//! let job = CountLines { files }.builder().worker(&worker).spawn();
//! ```
//!
//! # Looking into a worker
//!
//! What a job prints, and what it says through the `log` crate (and `tracing`, with the feature of
//! that name), goes into the app's log in a domain named as the job's label: to see all of it, run
//! the app with `G_MESSAGES_DEBUG=all`. A panic or a fatal signal comes back in the [`Error`],
//! with place and backtrace; its `Debug` is the whole report. A job under a debugger is
//! [`wait_for_debugger`](JobBuilder::wait_for_debugger).
//!
//! # Features
//!
//! | feature | default | |
//! |---|---|---|
//! | `app` | yes | the app's side; brings GLib and GIO |
//! | `log` | yes | records of the `log` crate arrive in the app |
//! | `tracing` | no | events of the `tracing` crate arrive in the app |
//!
//! Without `app` what is left is a worker's side, without GLib. A worker program built with it
//! does not link GLib either, as it uses nothing of it.
//!
//! # The house
//!
//! For those who read the source. Each room opens with a page that says what it is for.
//!
//! | room | |
//! |---|---|
//! | [`spawn`] | birth: the plan, the descriptor map, the one `posix_spawn` call |
//! | [`process`] | life and death: pidfd, exit, signals |
//! | [`guardian`] | who ends what the app leaves behind: the app's end, and the guardian's own |
//! | [`wire`] | bytes between the two sides: frames, the control socket, sealed memory |
//! | [`worker`] | the child's side: from `main` to the job and its end |
//! | [`main_loop`] | the wire meets the `GMainContext` |
//! | [`child`] | what every child has in common on the app's side: its error, its cancellable, its worker program |
//! | [`job`] | the app's side of one job: handle, events, outcome |
//! | [`command`] | external programs: pipes, steps of stopping, progress, outcome |
//! | [`model`] | GObjects for user interfaces |
//!
//! `spawn`, `process`, `guardian`, `wire` and `worker` know no GLib. `spawn`, `process` and `guardian`
//! may be used by themselves, to start a program that inherits nothing.
//!
//! Beside the library, and used by nothing in it, lie the crates `legwork-inspect`, what a process has
//! open and who holds the other ends, and `legwork-cli`, the command `legwork`.

// Its pages speak of both sides.
#![cfg_attr(not(feature = "app"), allow(rustdoc::broken_intra_doc_links))]
// What the two sides share has parts that only an app that logs calls.
#![cfg_attr(
    not(all(feature = "app", feature = "log")),
    allow(dead_code, unused_imports)
)]

#[cfg(feature = "app")]
mod child;
#[cfg(feature = "app")]
mod command;
pub mod guardian;
#[cfg(feature = "app")]
mod job;
#[cfg(feature = "app")]
mod main_loop;
#[cfg(feature = "app")]
mod model;
pub mod process;
pub mod spawn;
mod text;
mod wire;
mod worker;

#[cfg(feature = "app")]
pub use child::{Error, ErrorKind, Panic, Worker};
#[cfg(feature = "app")]
pub use command::{
    Command, CommandFuture, CommandHandle, Ended, Input, Limit, Line, Lines, Output, OutputStream,
    Secret, Stdio, Stop, progress,
};
#[cfg(feature = "app")]
pub use job::{JobBuilder, JobFuture, JobHandle, Level, LogRecord, Logs, Messages, Sender, Spawn};
#[cfg(feature = "app")]
pub use main_loop::{Counters, PRIORITY, SLICE, counters};
#[cfg(feature = "app")]
pub use model::{State, Status};
pub use text::translate_with;
pub use wire::attach::Descriptor;
pub use wire::buffer::{Buffer, BufferMut, BufferWriter};
pub use wire::path;
pub use worker::{Cancelled, Ctx, Job, Jobs, Listed, Receive, RecvError, SendError};
#[cfg(feature = "app")]
pub use {gio, glib};

/// What [`jobs!`] expands to, and what the benchmark looks at. Not for use by hand: it may change with
/// every release.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "app")]
    pub use crate::main_loop::Alarms;
    pub use crate::worker::Entry;
}

/// What most files that start or write jobs need: `use legwork::prelude::*;`.
pub mod prelude {
    #[cfg(feature = "app")]
    pub use crate::job::Spawn as _;
    pub use crate::worker::{Job as _, Receive as _};
}
