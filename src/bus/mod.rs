//! D-Bus without a helper thread: feature `dbus`.

mod context;
mod error;
mod executor;
mod io;
mod local;
mod net;
mod open;
mod readiness;
mod sleep;
mod stalled;
mod task;
mod timers;

pub use context::MainContext;
pub use error::{ConnectError, ConnectStep};
pub use io::RegisteredIoSource;
pub use local::Local;
pub use open::{Open, address, session, system};
pub use sleep::Sleep;
pub use task::Task;
