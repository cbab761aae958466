//! External programs: what `gio::Subprocess` does, without the fork, and what its users have been
//! missing.
//!
//! [`Command`] is built like `std::process::Command` and gives a [`CommandHandle`], which is
//! awaited, watched, stopped, detached and dropped like the handle of a job. Everything happens on
//! the main context, without a helper thread.
//!
//! What the program writes is always drained, whoever reads it or not: a program never hangs
//! because nobody looked at its standard error. (Who takes an [`OutputStream`] reads it or drops
//! it: while it is held unread, the program waits.) Its end never waits for a pipe that a grandchild
//! still holds: what is left is read for a bounded time, and the outcome says when that cut
//! something off.
//!
//! Old line beside new line: [from `gio::Subprocess`][gio-table], [from `std::process`][std-table].
//!
//! [gio-table]: https://github.com/legwork-rs/legwork/blob/main/docs/from-gio-subprocess.md
//! [std-table]: https://github.com/legwork-rs/legwork/blob/main/docs/from-std-process.md
//!
//! - [`builder`]: what to run, with every option and its default.
//! - [`stdio`]: where the three standard descriptors lead.
//! - [`stop`]: how it is asked to end, step by step.
//! - [`start`]: from the builder to a running program.
//! - [`supervisor`]: one program, from its birth to its one outcome.
//! - [`road`]: what it writes, on its way to whoever reads.
//! - [`pipe_capacity`]: a larger pipe for what flows fast, and [`page_advice`]: the memory that it fills or empties.
//! - [`no_sigpipe`]: writing to a program that may have stopped reading.
//! - [`streams`]: that, as chunks, as lines, as GIO streams; and its standard input.
//! - [`lines`]: what it writes, split into lines; and [`progress`]: from those to a progress bar.
//! - [`handle`]: what the app holds.

mod builder;
mod handle;
mod lines;
mod no_sigpipe;
mod page_advice;
mod pipe_capacity;
pub mod progress;
mod road;
mod start;
mod stdio;
mod stop;
mod streams;
mod supervisor;

pub use builder::{Command, Limit, Secret};
pub use handle::{CommandFuture, CommandHandle, Ended, Output};
pub use stdio::Stdio;
pub use stop::Stop;
pub use streams::{Input, Line, Lines, OutputStream};
