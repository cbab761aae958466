//! The app's side of what both sides know: GObjects for user interfaces, and GLib's view of a
//! [`Buffer`](crate::Buffer).
//!
//! Handles are generic and GObjects cannot be; so each handle has one plain [`Status`] beside it,
//! with properties to bind widgets to. The model knows nothing of processes or sockets: [`job`](crate::job)
//! and [`command`](crate::command) set it.

mod bytes;
mod status;

pub use status::{State, Status};
