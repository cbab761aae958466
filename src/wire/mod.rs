//! The wire: the bytes between the app and its child.
//!
//! Both sides share this room, so it knows no GLib. It offers four things:
//!
//! - [`control`]: the control socket. One `SOCK_SEQPACKET` pair per child, so that a packet is a
//!   frame: it arrives whole or not at all, two threads may send without a lock between them, and
//!   the descriptors that came with a frame are the ones that belong to it.
//! - [`frame`]: which frames there are, and what stands in them.
//! - [`page`]: one page of memory that both sides map, for what is too small for a frame: how many
//!   messages the app has taken.
//! - [`attach`] and [`buffer`]: values to bytes and back, with descriptors and large memory
//!   travelling beside the bytes; [`path`] for names that are not UTF-8.
//!
//! Small parts: [`schema`] is the shape of a type, which both sides must agree on; [`limits`] cuts
//! what is too long.
//!
//! A peer is not trusted. Every length is checked before memory is taken for it, every count
//! before it is used, and every seal before memory is mapped. What does not fit is a
//! [`Fault`](control::Fault), which ends one job and nothing else.

pub(crate) mod attach;
pub(crate) mod buffer;
pub(crate) mod control;
pub(crate) mod frame;
pub(crate) mod limits;
pub(crate) mod page;
pub mod path;
pub(crate) mod schema;
