//! Life and death of a child: waiting, signals, the end.
//!
//! A number is a poor name for a process: the moment somebody reaps it, the number may belong to a stranger. So
//! a [`Process`] is known by its pidfd, a descriptor that means this one process for ever. It becomes readable
//! when the process ends, which is how a main loop waits for it; waiting and signalling go through it as well.
//!
//! What this room promises:
//!
//! * Nobody else's child is ever reaped. Only the one behind the pidfd is waited for.
//! * An app that reaps ours, or ignores `SIGCHLD`, gets a [`WaitError`] that says so, and never a made-up status.
//! * A signal reaches this process or none. A group is signalled by pidfd where the kernel can (Linux 6.9),
//!   else by number, and then only while its leader is known to be unreaped.
//! * No zombie is left: dropping a [`Process`] kills what still runs, and reaps it.
//! * A copy of the app made by somebody's `fork` may drop a [`Process`], and nothing happens.
//!
//! ```
//! use legwork::process::{ExitStatus, Signal};
//! use legwork::spawn::{Plan, Program};
//!
//! let mut child = Plan::new(Program::name("sleep")).arg("1000").spawn()?;
//! child.signal(Signal::TERM)?;
//! let exit = child.wait()?;
//! assert_eq!(exit.status.to_string(), "SIGTERM");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`background`] has the short-lived threads for what may take long. This room knows no GLib.

pub(crate) mod background;
pub(crate) mod destroy;
mod exit;
mod handle;
mod leave;
mod mask;
pub(crate) mod own;
pub(crate) mod pidfd;
mod signal;

pub use exit::{Exit, ExitStatus, Usage, WaitError};
pub use handle::Process;
pub use signal::Signal;

pub(crate) use leave::leave;
pub(crate) use mask::block_every_signal;
pub(crate) use pidfd::check_child_signal;

/// A child, where whoever supervises it and whoever else must end it can both reach it.
pub(crate) type SharedProcess = std::sync::Arc<std::sync::Mutex<Option<Process>>>;
