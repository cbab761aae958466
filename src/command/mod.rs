//! External programs: what `gio::Subprocess` does, without the fork, and what its users have been
//! missing.
//!
//! [`Command`] is built like `std::process::Command` and gives a [`CommandHandle`], which is
//! awaited, watched, stopped, detached and dropped like the handle of a job. Everything happens on
//! the main context, without a helper thread.
//!
//! The app always reads what the program writes, whether anybody wants it or not: a program never
//! hangs because nobody looked at its standard error. (An [`OutputStream`] that was taken must be
//! read or dropped: while it is held unread, the program waits.) The end of a program never waits
//! for a pipe that a grandchild still holds: what is left is read for a bounded time, and the
//! outcome says if that cut something off.
//!
//! Old line beside new line: [from `gio::Subprocess`][gio-table], [from `std::process`][std-table].
//!
//! [gio-table]: https://github.com/legwork-rs/legwork/blob/main/docs/from-gio-subprocess.md
//! [std-table]: https://github.com/legwork-rs/legwork/blob/main/docs/from-std-process.md
//!
//! - [`builder`]: what to run, with every option and its default; [`stdio`] and [`stop`] are two of them.
//! - [`host`]: the environment for programs that are not the app's own.
//! - `activation`, with the feature `desktop`: a token for a program that opens windows.
//! - [`start`]: from that to a running program, by way of [`standards`], [`terminal`] and [`secrets`].
//! - [`exec_helper`]: a program in between, for what `posix_spawn` cannot do.
//! - [`supervisor`]: one program, from its start to its one [`outcome`].
//! - [`handle`]: what the app holds, with its [`streams`].
//! - [`lines`]: what the program writes, split into lines; and [`progress`]: from those to a progress bar.

#[cfg(feature = "desktop")]
mod activation;
mod builder;
mod exec_helper;
mod handle;
mod host;
mod lane;
mod lines;
mod outcome;
pub mod progress;
mod secrets;
mod standards;
mod start;
mod start_error;
mod stdio;
mod stop;
mod streams;
mod supervisor;
mod terminal;

pub use builder::{Command, Limit, Secret};
pub use handle::{CommandFuture, CommandHandle};
pub use outcome::{Ended, Output};
pub use stdio::Stdio;
pub use stop::Stop;
pub use streams::{Input, Line, Lines, OutputStream};
