//! How a child process is started, without fork and without inheriting anything.
//!
//! A [`Plan`] states *what* to start: program, arguments, environment, working directory, group,
//! and the descriptors that the child gets. [`Plan::spawn`] checks the whole plan in the parent and
//! then makes one `posix_spawn` call, the only place in this crate where a process is created.
//!
//! What a plan promises:
//!
//! * **No fork.** The C library's `posix_spawn` shares the parent's memory until the program is
//!   executed (`CLONE_VM | CLONE_VFORK`), so the cost does not grow with the memory that the app
//!   holds, no `pthread_atfork` handler runs, and no code of ours runs between clone and exec.
//! * **Nothing inherited.** The child holds 0, 1, 2 and the descriptors named in the plan.
//!   Everything else is closed in the child's own table, close-on-exec or not, so what other
//!   threads and libraries have open at that instant does not matter.
//! * **The app is not touched.** No flag of a descriptor, no signal disposition, no limit, no
//!   directory and no variable of the app changes, not even for a moment. The preparation is a list
//!   of actions that the child performs on its own copy of the descriptor table.
//! * **A clean start.** The signal mask is empty, every disposition is the default, and no variable
//!   names an inherited descriptor or a token for one use (see [`Plan::env`]).
//! * **A start that fails says where.** `posix_spawn` has one error number for a dozen steps. So
//!   the program and the working directory are checked in the parent, where each fault has an error
//!   of its own, and the other steps are checked after a failure. See [`SpawnError`].
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
//! This room knows neither GLib nor jobs. It returns a [`Process`](crate::process::Process).

mod attributes;
mod checked;
mod diagnosis;
mod directory;
mod environment;
mod error;
mod loader;
mod map;
mod plan;
mod posix_spawn;
mod program;

pub use attributes::Group;
pub(crate) use attributes::Mask;
pub use environment::{ONE_SHOT_VARIABLES, named_descriptors};
#[cfg(feature = "app")]
pub(crate) use error::describe;
pub use error::{Candidate, SpawnError, Step};
#[cfg(feature = "app")]
pub(crate) use loader::own_file;
pub use map::{MAX_TARGET, Standard};
pub use plan::Plan;
#[cfg(feature = "app")]
pub(crate) use plan::Target;
#[cfg(feature = "app")]
pub(crate) use posix_spawn::Reservation;
pub use program::Program;
