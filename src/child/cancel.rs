//! What stops children from any thread: a `gio::Cancellable`, or an object that is disposed of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};

use gio::prelude::*;

use crate::main_loop::hub::Canceller;

/// What undoes a [`follow`].
pub(crate) type Unfollow = Box<dyn FnOnce()>;

/// Calls `act` when `cancellable` is cancelled, on the thread that does it, and at once if it is
/// already.
///
/// A plain signal handler, not `g_cancellable_connect`: that one holds a lock while it calls, and
/// a handler which then disconnects waits for itself. To be undone when the child has ended, so
/// that a cancellable that lives as long as the app does not remember every child.
pub(crate) fn follow(
    cancellable: &gio::Cancellable,
    act: impl Fn() + Clone + Send + Sync + 'static,
) -> Unfollow {
    let acts = act.clone();
    let handler = cancellable.connect("cancelled", false, move |_| {
        acts();
        None
    });
    if cancellable.is_cancelled() {
        act();
    }
    let weak = cancellable.downgrade();
    Box::new(move || {
        if let Some(cancellable) = weak.upgrade() {
            cancellable.disconnect(handler);
        }
    })
}

/// Cancels when `object` is disposed, on whichever thread that is.
pub(crate) fn stop_with(object: &impl IsA<glib::Object>, canceller: Canceller) -> Unfollow {
    let disposed = Arc::<AtomicBool>::default();
    let says = disposed.clone();
    let notify = object.add_weak_ref_notify(move || {
        says.store(true, SeqCst);
        canceller.cancel();
    });
    Box::new(move || {
        // One that was disposed of and is still held has let go of it by itself.
        if !disposed.load(SeqCst) {
            notify.disconnect();
        }
    })
}
