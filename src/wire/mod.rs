//! The wire: the bytes between the app and its child.
//!
//! Both sides use it, so it must not use GLib. It has four parts:
//!
//! - [`control`]: the control socket. Each child has one `SOCK_SEQPACKET` pair, so that a packet is a frame: it arrives
//!   whole or not at all, two threads may send without a lock, and the descriptors that arrive with a frame belong to
//!   it.
//! - [`frame`]: the frames and their layouts.
//! - [`page`]: a page of memory that both sides map, for state that must be known without a frame: which jobs were asked
//!   to stop, how many messages the app has taken, and the progress.
//! - [`attach`] and [`buffer`]: values to bytes and back, with descriptors and large memory beside the bytes; [`path`]
//!   for names that are not UTF-8.
//!
//! Small parts: [`schema`] hashes the shape of a type, on which both sides must agree; [`limits`] cuts long texts, [`nul`]
//! takes NUL out of them; [`file_size`] knows the limit for memory that is a file.
//!
//! A peer is not trusted. Every length is checked before memory is taken for it, every count before it is used, and
//! every seal before memory is mapped. Whatever is invalid is a [`Fault`](control::Fault), which ends one job and nothing
//! else.

pub(crate) mod attach;
pub(crate) mod buffer;
pub(crate) mod control;
pub(crate) mod file_size;
pub(crate) mod frame;
pub(crate) mod limits;
pub(crate) mod nul;
pub(crate) mod page;
pub mod path;
pub(crate) mod schema;
