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
//! | run an external program | [`Command`], [`Stdio`], [`Stop`], [`progress`]; [`init`] in an app without jobs |
//! | write a job | [`Job`], [`Ctx`], [`jobs!`]; [`Receive`] for one that is talked to |
//! | start it | [`Spawn::spawn`], [`Spawn::builder`]; [`Worker`] for a program of its own |
//! | wait for it | `.await` the [`JobHandle`]: `Result<Output, `[`Error`]`>` |
//! | show it | [`Status`], a GObject |
//! | stop it | [`JobHandle::cancel`], [`cancellable`](JobHandle::cancellable), [`stop_with`](JobHandle::stop_with), drop it |
//! | limit it, with all that it starts | `desktop::Scope`, `desktop::Qos` |
//! | pause it, signal it | [`Control`], which also stops it while its handle is awaited |
//! | talk to it | [`JobHandle::message`], [`on_message`](JobHandle::on_message), [`Sender`] |
//! | hand over much data | [`Buffer`], [`BufferMut`], [`BufferWriter`]; [`Descriptor`] for an open file |
//! | hand over paths | [`path`] |
//! | show it in the desktop | `desktop`, with the feature of that name: the dock, KDE's list of jobs, inhibitors, notifications |
//! | let a program's window come to the front | `Command::activate_from`, with the same feature |
//! | know when memory runs short | `desktop::memory`, with the same feature |
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
//! | `desktop` | no | the session sees jobs and programs, and stops them; scopes with limits; needs GIO alone |
//! | `dbus` | no | `bus`: zbus on the app's main context, and D-Bus between an app and its children; brings zbus |
//!
//! Without `app` what is left is a worker's side, without GLib. A worker program built with it
//! does not link GLib either, as it uses nothing of it.
//!
//! # The house
//!
//! For those who read or change the source. Each room begins with a page that says what it is for, and
//! what it must not know. Dependencies point downwards in this table; *app* is the app's side, which
//! knows GLib, *child* is the worker's side, which must not.
//!
//! | room | side | its files |
//! |---|---|---|
//! | `job` | app | a typed job: `builder` has the setters and `options` the defaults (deadline, grace, capacity); `start` starts a worker for it; `handle`, `channel` and `log` are what the app holds; `run` is one job in its worker (deadline, stopping, progress, log, and whose waits end on other threads when the context goes away); `worker/` is one worker process: its `mod` has the handshake, how many frames are read in a row, and the exit, `frames` says which frame may come when, `prints` is what it prints, `link` the socket and the page; `outcome` decides which outcome it is; `sink`, `requests`, `taken` and `lines` are their parts |
//! | `command` | app | an external program: `builder`, `stdio` and `stop` are its options (which steps of stopping, after how long); `start` with `host`, `standards`, `terminal`, `secrets` and `exec_helper` starts it; `handle` and `streams` are what the app holds; `supervisor/` has the parts of a running program; `progress` reads progress from lines; `outcome` decides which outcome it is |
//! | `model` | app | [`Status`], a GObject for user interfaces |
//! | `desktop` | app | what the session sees of a child, by its [`Status`] and its [`Control`] alone: a file per surface (`launcher`, `job_view`, `inhibit`, `notice`, `hold`, `background`), and `jobs1/`, a list of the jobs on the session bus; `connection`, `follow`, `throttle`, `task`, `bus`, `portal`, `known` and `availability` are their parts; `memory` tells when it runs short; `scope/` is a unit of systemd for a child (`admission` is one child, `manager` what is said to systemd, `limits` what holds, `memory` how an end for want of memory is noticed, `name` how units are called), `qos` how much it yields to others |
//! | `bus` | app | feature `dbus`: `executor` runs zbus's tasks on a context, with `timers`, `readiness` and `stalled`; `context` is the runtime, of `task`, `sleep`, `io` and `net`; `open` and `error` are connections to buses; `peer`, with `handshake` and `socket`, one to a child, and `ending` a call that ends with it; `local` a widget in an object that is `Send` |
//! | `child` | app | common to jobs and programs: `observer` is who is told that one has started, `gate` what it waits at before its first instruction; `error` is [`Error`] with its questions, `seat` a child's place in the hub, `owner`, `control` and `cancel` what handles and others can do to it, `worker` which program is the worker |
//! | `main_loop` | app | `hub` and `source` are the one epoll descriptor and the one `GSource` of a context, what happens when that goes away (the children are killed, those who wait are woken), and the slice of an iteration; `turns` the order in which what is ready is handled; `alarms` are the deadlines of all children, `countdown` the time that a child has to react; `mailbox` is a channel to a future; `guardian` what is done when that has ended |
//! | `worker` | child | `boot` is from `main` over the jobs to the end; `answer` is one job, from its input to its answer; `job` and `jobs` are what a job is and the table of them; `ctx`, `run` and `link` what a running job can do, its own state and that of the process; `watch` is the watching thread; `log`, `tracing`, `panic` and `crash` (with `modules`, for frames without names) are what arrives without the job's doing; `exec` is the exec helper |
//! | `wire` | both | `frame` is what is said, field by field (a change also needs another `PROTOCOL`, and `docs/protocol.md`); `control` the socket; `page` the memory that both map; `limits` how long texts may be, `file_size` how large such memory; `nul` takes NUL out of texts; `attach` values with descriptors; `buffer` sealed memory; `path` paths of any bytes; `schema` the fingerprint of types |
//! | [`guardian`] | both | who kills what the app leaves behind: `app` is the app's end, `process` the guardian's own |
//! | [`spawn`] | both | birth: `plan` is what to start; `program` finds it in PATH, `loader` the app's own file; `environment` and `map` are its variables and descriptors; `attributes` are its signals and group; `checked` and `directory` look before it; `posix_spawn` is the one call; `error` and `diagnosis` say why it failed |
//! | [`process`] | both | life and death: `handle`, `pidfd` (also whether an end can be known at all: SIGCHLD), `exit` (also why an end is unknown), `signal`, `held` (stopped or frozen by others), `own` (this process, and not a copy of it), `mask`, `leave`; `cgroup` and `class` (how much a thread yields to others); `destroy` and `background` for what takes long |
//! | `threads` | app | what the compiler says of a handle on another thread |
//! | `text` | both | how sentences are made of templates and translated; each sentence stands where its fault is noticed |
//!
//! `spawn`, `process` and `guardian` may be used by themselves, to start a program that inherits nothing.
//!
//! Beside the library, and used by nothing in it: the crates `inspect/` (`legwork-inspect`: what a
//! process has open, and who holds the other ends), `cli/` (the command `legwork`), `demo-app/`,
//! `benches/`, `tests/` (a file per promise or scene, named after it), `models/` (files of the library with their
//! threads in many orders), `fuzz/` and `xtask/`. What app and worker say to each other is in `docs/protocol.md`.

// Its pages speak of both sides.
#![cfg_attr(not(feature = "app"), allow(rustdoc::broken_intra_doc_links))]
// What the two sides share has parts that only an app that logs calls.
#![cfg_attr(
    not(all(feature = "app", feature = "log")),
    allow(dead_code, unused_imports)
)]

#[cfg(feature = "dbus")]
pub mod bus;
#[cfg(feature = "app")]
mod child;
#[cfg(feature = "app")]
mod command;
#[cfg(feature = "desktop")]
pub mod desktop;
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
#[cfg(feature = "app")]
mod threads;
mod wire;
mod worker;

#[cfg(feature = "app")]
pub use child::{Control, Error, ErrorKind, Panic, Worker};
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
pub use worker::{Cancelled, Ctx, Job, Jobs, Listed, Receive, RecvError, SendError, init};
#[cfg(feature = "app")]
pub use {gio, glib};

/// What [`jobs!`] expands to, and what the benchmark looks at. Not for use by hand: it may change with
/// every release.
#[doc(hidden)]
pub mod __private {
    #[cfg(feature = "app")]
    pub use crate::main_loop::Alarms;
    pub use crate::worker::{Entry, name_of};
}

/// What the fuzz targets call; no part of the interface.
#[cfg(fuzzing)]
#[doc(hidden)]
#[path = "../fuzz/inside/mod.rs"]
pub mod fuzz;

/// What most files that start or write jobs need: `use legwork::prelude::*;`.
pub mod prelude {
    #[cfg(feature = "app")]
    pub use crate::job::Spawn as _;
    pub use crate::worker::{Job as _, Receive as _};
}
