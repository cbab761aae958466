//! D-Bus without a helper thread, and private connections between an app and its children: feature `dbus`.
//!
//! A child must never touch the app's own bus connection. So a connection is made for whoever needs one, here by
//! [zbus](https://docs.rs/zbus), whose types are part of this room's interface: an app that uses it depends on
//! `zbus = { version = "~6.2", default-features = false }` as well. GIO's connection, that of the `GApplication`, stays
//! what it is.
//!
//! - [`session`], [`system`] and [`address`] open connections to buses, on the main context of the thread;
//! - [`MainContext`] is what they run on: zbus's runtime on a `GMainContext`, without a thread;
//! - [`Local`] holds a widget in an object that zbus serves, as these are `Send`;
//! - [`peer`] connects an app and one child, and [`call`] awaits a call to it no longer than it lives.
//!
//! `docs/dbus.md` in the source shows all of it, also without jobs.
//!
//! # A stream that is not read
//!
//! zbus reads a connection in one task, which puts each message into the queue of every `MessageStream` and stream of
//! signals that wants it. While one such queue is full (64 messages), nothing else is read, replies to calls included. So
//! take from a stream, or drop it. One that has been full for 2 s is told to the log, as a warning of the domain `legwork`.
//!
//! # How it is built
//!
//! An [`executor`] belongs to a context and a priority: tasks, [`timers`], and sockets behind one epoll descriptor, with one
//! `GSource`, that of the children's hub. It differs from that hub in that every thread may use it, for zbus wants that. It does
//! not keep its context alive, and ends with it. [`task`], [`sleep`], [`io`] with [`readiness`], and [`net`] are what a
//! runtime hands out; [`context`] is the runtime; [`stalled`] notices the stream that is not read. [`open`] and [`error`]
//! are connections to buses; [`peer`](mod@peer), [`handshake`], [`socket`] and [`ending`] those to children. It knows of
//! children what their status says, and of workers their context.

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
