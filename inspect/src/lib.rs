//! Describes what a process has open, and finds who holds the other ends.
//!
//! For each descriptor, this crate tells what it is: the wakeup eventfd of a main loop, the connection to the session
//! bus, the display. It is meant for diagnosis, to see what a child has inherited. The command `legwork doctor` shows
//! the same in a terminal.
//!
//! The process is only observed, while it runs: a descriptor that it closes meanwhile is left out. It is not stopped,
//! and nothing is read from its descriptors.
//!
//! | to find out | use |
//! |---|---|
//! | what is open, and what each descriptor is connected to | [`list`] |
//! | what a child that inherits it could do, and what some have done | [`DescriptorInfo::harm`] |
//! | who else holds it, or its other end | [`holders`](fn@holders) |
//! | whether it wakes a main loop that waits for it | [`readiness`](fn@readiness) |
//! | whether `/proc` belongs to this PID namespace | [`check_proc`] |
//!
//! ```
//! use std::os::fd::AsRawFd;
//!
//! use legwork_inspect::{End, Kind};
//!
//! let (reader, writer) = std::io::pipe()?;
//! let here = std::process::id();
//! let mut open = legwork_inspect::list(here)?;
//! open.retain(|descriptor| descriptor.number == reader.as_raw_fd());
//! assert_eq!(open[0].kind, Kind::Pipe);
//! assert!(open[0].close_on_exec);
//!
//! let holders = legwork_inspect::holders(here, &open);
//! let holder = &holders[&reader.as_raw_fd()][0];
//! assert_eq!((holder.number, holder.end), (writer.as_raw_fd(), End::Other));
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # The files
//!
//! `descriptor` assembles a [`DescriptorInfo`] from its `link` and its `fdinfo`, which determine its `kind` and its
//! `object`. For a socket, `socket` finds the peer by a `duplicate` or in the kernel's lists (`network`, with
//! `unix_table` and `internet_table`), and `service` recognizes the address. `harm`, `holders` and `readiness` answer
//! further questions.
//!
//! `/proc` is read through [`procfs`]. Files that are parsed here say why.

mod descriptor;
mod duplicate;
mod fdinfo;
mod harm;
mod holders;
mod internet_table;
mod kind;
mod link;
mod network;
mod object;
mod readiness;
mod service;
mod socket;
mod unix_table;

pub use descriptor::{DescriptorInfo, list};
pub use harm::{Harm, Scene};
pub use holders::{End, Holder, holders};
pub use kind::Kind;
pub use link::check_proc;
pub use object::Object;
pub use readiness::{Readiness, readiness};
pub use service::Service;
