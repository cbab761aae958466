//! Birth: how a child process comes into the world, without fork and without inheriting anything.
//!
//! A [`Plan`] says *what* to start: program, arguments, environment, working directory, group, and the
//! descriptors that the child gets. [`Plan::spawn`] builds and checks the plan whole in the parent and then
//! carries it out by one `posix_spawn` call, the only place in this crate where a process is born.
//!
//! What a plan promises:
//!
//! * **No fork.** The C library's `posix_spawn` borrows the parent's memory until the program is executed
//!   (`CLONE_VM | CLONE_VFORK`), so the cost does not grow with the memory the app holds, no
//!   `pthread_atfork` handler runs, and no code of ours runs between birth and exec.
//! * **Nothing inherited.** The child holds 0, 1, 2 and the descriptors named in the plan. Everything else is
//!   closed in the child's own table, close-on-exec or not, so it does not matter what other threads and
//!   libraries have open at that instant.
//! * **The app is not touched.** No flag of a descriptor, no signal disposition, no limit, no directory and
//!   no variable of the app changes, not even for a moment. All preparation is a list of actions that the
//!   child carries out on its own copy of the descriptor table.
//! * **A clean start.** Empty signal mask, every disposition default, no variable that names an inherited
//!   descriptor or a token for one use (see [`Plan::env`]).
//! * **A start that fails says where.** `posix_spawn` has one error number for a dozen steps. So the program and
//!   the working directory are looked up and checked in the parent, where each has an error of its own, and
//!   what is left is looked into after the failure. See [`SpawnError`].
//!
//! ```
//! use legwork::spawn::{Plan, Program};
//! use std::{io::Read, os::unix::net::UnixStream};
//!
//! let (mut ours, theirs) = UnixStream::pair()?;
//! let mut child = Plan::new(Program::name("sh"))
//!     .args(["-c", "echo hello >&7"])
//!     .fd(7, theirs)
//!     .spawn()?;
//!
//! let mut said = String::new();
//! ours.read_to_string(&mut said)?;
//! assert_eq!(said, "hello\n");
//! assert!(child.wait()?.success());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This room knows neither GLib nor jobs. What it hands back is a [`Process`](crate::process::Process).

mod birth;
mod diagnosis;
mod environment;
mod error;
mod inherited;
mod map;
mod plan;
mod program;

#[cfg(feature = "app")]
pub(crate) use birth::Room;
pub use environment::ONE_SHOT_VARIABLES;
pub use error::{Candidate, SpawnError, Step};
pub use map::{MAX_TARGET, Standard};
pub(crate) use plan::Mask;
#[cfg(feature = "app")]
pub(crate) use plan::Target;
pub use plan::{Group, Plan};
pub use program::Program;
