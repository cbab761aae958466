//! The wire meets the `GMainContext`.
//!
//! One epoll descriptor watches all of a context's Legwork descriptors, and one `GSource` watches that:
//! a source per descriptor would make every iteration of the app's loop slower with every idle child
//! (measured: 7 µs with none, 270 µs with a thousand; with one epoll descriptor it is 7 µs with a
//! thousand). There is no helper thread, and nothing wakes the loop when nothing happens. A context that
//! has had a child has two more descriptors: the epoll descriptor, and an eventfd by which other threads
//! ask for an end. They stay, as does the source, until the context or the hub's thread is gone: creating
//! them for every single child would take a twentieth of its start. If another thread has freed the
//! context, they are closed by the next start on the hub's thread, or when that ends.
//!
//! The source runs at [`PRIORITY`], just below drawing, and handles at most a bounded slice per
//! iteration: a child that floods the app delays itself and not the frames.
//!
//! - [`hub`]: the source, its entries, its one alarm clock, which rings for the first of the [`alarms`]; [`turns`] has the order.
//! - [`countdown`]: the time that a child has for something.
//! - [`source`]: the `GSource` itself.
//! - [`mailbox`]: a bounded channel whose wakers never run under a lock.
//! - [`guardian`]: what is done when the guardian has ended, and what the log is told of it.
//!
//! # Threads
//!
//! A hub belongs to the thread that started its first child, and to the context that was the
//! thread's default then. If another thread runs the context later, Legwork logs a critical warning once,
//! and stops what runs.
//!
//! A context is freed by whichever thread drops the last reference, possibly while the hub's thread is at
//! work or ending. So nothing here keeps a source or calls GLib with one, unless the context is held.

mod alarms;
pub(crate) mod countdown;
pub(crate) mod guardian;
pub(crate) mod hub;
pub(crate) mod mailbox;
pub(crate) mod source;
mod turns;

pub use alarms::Alarms;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// The priority of Legwork's sources. GTK draws at 120: drawing comes first, whatever arrives.
pub const PRIORITY: i32 = 125;

/// How long one iteration of a main loop handles what arrives from children, at most. The rest waits for
/// the next iteration. A single callback of the app may take longer.
pub const SLICE: Duration = Duration::from_millis(2);

static WAKEUPS: AtomicU64 = AtomicU64::new(0);
static FRAMES: AtomicU64 = AtomicU64::new(0);
static WORKERS: AtomicU64 = AtomicU64::new(0);

/// What Legwork has done to the app's main loops so far, in all contexts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// How often a loop was woken by a child.
    pub wakeups: u64,
    /// How many frames children have sent.
    pub frames: u64,
    /// How many children there are now.
    pub workers: u64,
}

/// Reads the counters. May be called from any thread, and costs no system call.
///
/// ```
/// let before = legwork::counters();
/// // ... a second later:
/// let wakeups = legwork::counters().wakeups - before.wakeups;
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
