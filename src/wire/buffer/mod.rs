//! Large data between app and worker: sealed memory, sent as a descriptor.
//!
//! The bytes of a frame are copied four times on their way. A [`Buffer`] is filled by one side, sealed, and mapped by the
//! other: only a descriptor is sent. The memory is a memfd (memfd_create(2)), and its seals make a `&[u8]` of it possible:
//! once it is sealed no process, including the one that made it, can change a byte or take a page away.
//!
//! What it promises:
//!
//! - **A received buffer is checked before it is mapped** ([`memory`]), whoever sent it. Reading it cannot raise SIGBUS,
//!   cannot see bytes change, and cannot cost the reader memory that the sender had not taken.
//! - **A thread that drops a buffer does not wait** ([`release`]). To unmap a GiB and free it takes a fifth of a second,
//!   and the thread may be the main thread.
//! - **Many small ones cost no descriptors.** A received buffer of at most [`SMALL`](shared::SMALL) bytes closes its
//!   descriptor once it is mapped: otherwise a thousand thumbnails would exhaust an app's descriptors.
//!
//! `docs/performance.md` explains the ways to fill and to read it, with figures.

mod making;
mod mapping;
mod memory;
mod release;
mod shared;

#[cfg(test)]
mod tests;

pub use making::{BufferMut, BufferWriter};
pub use shared::Buffer;
