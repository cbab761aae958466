//! Large data between app and worker: sealed memory, handed over by descriptor.
//!
//! Bytes in a frame are copied into it, into the socket, out of it and out of the frame. A
//! [`Buffer`] is filled by one side, sealed, and mapped by the other: what travels is a descriptor.
//! It is a memfd (memfd_create(2)), and its seals are what makes it a `&[u8]`: once they are on,
//! nobody, its maker included, can change a byte or take a page away.
//!
//! What it promises:
//!
//! - **A received buffer is checked before it is mapped** ([`memory`]), whoever sent it. Reading it
//!   cannot raise SIGBUS, cannot see bytes change, and cannot cost the reader memory that the
//!   sender had not taken.
//! - **A thread that drops one goes on at once** ([`release`]). To unmap a GiB and give it back
//!   takes a fifth of a second, and the thread that drops it may be the one that draws.
//! - **Many small ones cost no descriptors.** A received buffer of at most [`SMALL`](shared::SMALL) bytes lets go
//!   of its own as soon as it is mapped: a thousand thumbnails would use up all that an app has.
//!
//! Why it is filled and read the way it is stands in `docs/performance.md`, with the figures.

mod making;
mod mapping;
mod memory;
mod release;
mod shared;

#[cfg(test)]
mod tests;

pub use making::{BufferMut, BufferWriter};
pub use shared::Buffer;
