//! D-Bus without a helper thread: feature `dbus`.

mod context;
mod ending;
mod error;
mod executor;
mod handshake;
mod io;
mod local;
mod net;
mod open;
mod peer;
mod readiness;
mod sleep;
mod socket;
mod stalled;
mod task;
mod timers;

pub use context::MainContext;
pub use ending::{CallError, call};
pub use error::{ConnectError, ConnectStep};
pub use io::RegisteredIoSource;
pub use local::Local;
pub use open::{Open, address, session, system};
pub use peer::{Peer, PeerEnd, peer};
pub use sleep::Sleep;
pub use task::Task;
