//! Files of the library, whose threads are run in many orders by [`shuttle`].
//!
//! The files are the library's own, unchanged. For them this crate is `std`, `rustix` and `async_channel`: it hands on what
//! those have, and has its own locks, atomics, futex and channel, at each use of which another thread may go on. What the
//! files need of the rest of the library is in [`around`], as small as it can be.
//!
//! shuttle takes every access for sequentially consistent. Whether weaker orderings suffice, no model here can say.

// The files bring unit tests, which are for real threads.
#![cfg(not(test))]

extern crate self as async_channel;
extern crate self as rustix;
extern crate self as std;
extern crate std as real;

pub use real::*;
pub use real_rustix::{buffer, cmsg_space, event, mm};

pub use queue::{Receiver, Sender, TrySendError, bounded};

mod around;
mod queue;
pub mod scenes;
pub mod sync;
pub mod thread;

pub mod fs {
    pub use real_rustix::fs::*;
}
pub mod io {
    pub use real::io::*;
    pub use real_rustix::io::{Errno, ioctl_fionread, pread, retry_on_intr, write};
}
pub mod net {
    pub use real_rustix::net::*;
}
pub mod process {
    pub(crate) use crate::around::{background, class, own};
    pub use real_rustix::process::*;
}

#[path = "../src/job/channel.rs"]
mod channel;
#[path = "../src/wire/control.rs"]
mod control;
#[path = "../src/wire/file_size.rs"]
mod file_size;
#[path = "../src/wire/frame.rs"]
mod frame;
#[path = "../src/wire/limits.rs"]
mod limits;
#[path = "../src/main_loop/mailbox.rs"]
mod mailbox;
#[path = "../src/wire/nul.rs"]
mod nul;
#[path = "../src/wire/page.rs"]
mod page;
#[path = "../src/job/taken.rs"]
mod taken;

// As the files name each other.
use around::{requests, run};
mod main_loop {
    pub(crate) use crate::{around::hub, mailbox};
}
mod wire {
    pub(crate) use crate::{around::attach, control, frame, page};
}
mod worker {
    pub use crate::around::{Receive, SendError};
}
