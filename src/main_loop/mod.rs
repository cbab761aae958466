//! The wire meets the `GMainContext`.
//!
//! All of a context's Legwork descriptors stand behind one epoll descriptor, and that behind one
//! `GSource`: a source per descriptor would make every iteration of the app's loop dearer with
//! every idle child (measured: 7 µs with none, 270 µs with a thousand; behind one epoll
//! descriptor it is 7 µs with a thousand). There is no helper thread, and nothing wakes the loop
//! when nothing happens. A context that has had a child has two descriptors for them beside their
//! own: the epoll descriptor, and an eventfd behind it by which other threads ask for an end. They
//! stay, as does the source, until the context or the hub's thread goes: to make them anew for
//! every child that is alone would take a twentieth of its start. Those of a context that another
//! thread has freed are closed by the next start on the hub's thread, or by its end.
//!
//! The source runs at [`PRIORITY`], just below drawing, and handles at most a bounded slice per
//! iteration: a child that floods the app delays itself and not the frames.
//!
//! - [`hub`]: the source, its entries, its one alarm clock.
//! - [`source`]: the `GSource` itself.
//! - [`mailbox`]: a bounded channel whose wakers never run under a lock.
//! - [`guardian`]: what is done when the guardian has ended, and what the log is told of it.
//!
//! # Threads
//!
//! A hub belongs to the thread that started its first child, and to the context that was the
//! thread's default then. A context that is later run by another thread cannot serve it; Legwork
//! says so once, with a critical warning, and what runs is stopped.
//!
//! A context may be freed by whichever thread lets go of it last, while the hub's thread is at work
//! or ends. So nothing here keeps a source or calls GLib with one, unless the context is held.

pub(crate) mod guardian;
pub(crate) mod hub;
pub(crate) mod mailbox;
mod source;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The priority of Legwork's source. GTK draws at 120: drawing goes first, whatever arrives.
pub const PRIORITY: i32 = 125;

/// How long one iteration handles what arrives from children at most. What is left waits for the
/// next; a single callback of the app's that takes longer is the app's own.
pub const SLICE: Duration = Duration::from_millis(2);

static WAKEUPS: AtomicU64 = AtomicU64::new(0);
static FRAMES: AtomicU64 = AtomicU64::new(0);
static WORKERS: AtomicU64 = AtomicU64::new(0);

/// What Legwork has done to the app's main loops so far, all contexts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// How often a loop ran because of a child.
    pub wakeups: u64,
    /// How many frames children have sent.
    pub frames: u64,
    /// How many children are there now.
    pub workers: u64,
}

/// Reads the counters. From any thread, at no cost.
///
/// ```
/// let before = legwork::main_loop::counters();
/// // ... a second later:
/// let wakeups = legwork::main_loop::counters().wakeups - before.wakeups;
/// assert_eq!(wakeups, 0); // no child, no wakeup
/// ```
pub fn counters() -> Counters {
    Counters {
        wakeups: WAKEUPS.load(Relaxed),
        frames: FRAMES.load(Relaxed),
        workers: WORKERS.load(Relaxed),
    }
}

pub(crate) fn count_frame() {
    FRAMES.fetch_add(1, Relaxed);
}
