//! A child after its start: waiting, signals, the exit.
//!
//! A process id does not identify a process: once the process is reaped, another one can get the
//! same id. So a [`Process`] is identified by its pidfd, a descriptor that always refers to this
//! one process. It becomes readable when the process ends, which is how a main loop waits for it;
//! waits and signals use it as well.
//!
//! What this room promises:
//!
//! * No other child of the app is ever reaped. Only the process of the pidfd is waited for.
//! * Where an app reaps ours, or ignores `SIGCHLD`, the true status is known on Linux 6.15 and newer;
//!   else there is a [`WaitError`] that says so, and never a wrong status.
//! * A signal reaches this process or none. A group is signalled by pidfd where the kernel can
//!   (Linux 6.9), else by number, and then only while its leader is known to be unreaped.
//! * No zombie is left: dropping a [`Process`] kills what still runs, and reaps it.
//! * A forked copy of the app may drop a [`Process`], and nothing happens.
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
//! [`background`] has the short-lived threads for what may take long, [`cgroup`] what a process may have for itself
//! and all that it starts, and [`class`] how much a thread yields to others. This room does not know GLib.

pub(crate) mod background;
#[cfg_attr(not(feature = "desktop"), allow(dead_code))]
pub(crate) mod cgroup;
pub(crate) mod class;
pub(crate) mod destroy;
mod exit;
mod handle;
#[cfg(feature = "app")]
mod held;
mod leave;
mod mask;
pub(crate) mod own;
pub(crate) mod pidfd;
mod signal;

pub use exit::{Exit, ExitStatus, Usage, WaitError};
pub use handle::Process;
pub use signal::Signal;

#[cfg(feature = "app")]
pub(crate) use held::is_held;
pub(crate) use leave::{leave, leave_with_group};
pub(crate) use mask::block_every_signal;
pub(crate) use pidfd::check_child_signal;

/// A child that its supervisor shares with whatever else must be able to end it.
pub(crate) type SharedProcess = std::sync::Arc<std::sync::Mutex<Option<Process>>>;
