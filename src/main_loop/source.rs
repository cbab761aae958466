//! A `GSource` for one descriptor and one time.
//!
//! glib's own source for a descriptor may not recurse: GLib removes its descriptor from the poll set
//! before every dispatch and adds it again afterwards, which is two more writes to the wakeup descriptor,
//! and a callback that runs a nested main loop hears nothing. This one may recurse, so what it calls must
//! cope with being called again meanwhile. And it has its own alarm clock: GLib's
//! (`g_source_set_ready_time`) wakes the loop whenever it is set, even by the loop's own thread.
//!
//! GLib locks a source's context for nearly everything that is done with the source, even to unref it,
//! and does not check whether the context is being freed at that moment, which may happen on any thread
//! (glib issue 803; 2.74 has it). So nobody keeps a source here: it belongs to its context, is controlled
//! by what it shares with the hub, and ends by its own return value or with its context.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Instant;

use glib::translate::{FromGlibPtrFull, IntoGlib};
use glib::{ControlFlow, MainContext, Source, ffi};

static FUNCS: Funcs = Funcs(ffi::GSourceFuncs {
    // For the time; GLib checks the descriptor by itself.
    prepare: Some(prepare),
    check: Some(check),
    dispatch: Some(dispatch),
    finalize: Some(finalize),
    closure_callback: None,
    closure_marshal: None,
});

/// When a source is to be called, in microseconds of `g_get_monotonic_time`; negative is never.
#[derive(Debug)]
pub(crate) struct Clock(AtomicI64);

impl Clock {
    pub(crate) fn new() -> Arc<Clock> {
        Arc::new(Clock(AtomicI64::new(-1)))
    }

    /// Sets when the source is called; `None` is never. For the thread that runs the context: it checks
    /// the time before it sleeps again, and is not woken.
    pub(crate) fn set(&self, at: Option<Instant>) {
        let time = at.map_or(-1, |at| {
            // SAFETY: has no precondition.
            let now = unsafe { ffi::g_get_monotonic_time() };
            let wait = at.saturating_duration_since(Instant::now()).as_micros() + 1;
            // A time that 64 bits cannot represent is as good as never.
            i64::try_from(wait).map_or(-1, |wait| now.saturating_add(wait))
        });
        self.0.store(time, Relaxed);
    }

    /// Has the source called in the next iteration, whatever the time. For the same thread as [`set`](Self::set).
    #[cfg(feature = "dbus")]
    pub(crate) fn ring(&self) {
        self.0.store(0, Relaxed);
    }
}

/// What GLib allocates.
#[repr(C)]
struct Clocked {
    source: ffi::GSource,
    /// Of an [`Arc`], which is dropped with the source.
    clock: *const Clock,
}

struct Funcs(ffi::GSourceFuncs);
// SAFETY: plain function pointers, and one that is never set.
unsafe impl Sync for Funcs {}

type Handler = Box<dyn Fn() -> ControlFlow + Send>;

/// Attaches a source to `context` that calls `handler` when `fd` is readable or the clock's time has
/// come. The handler is dropped when the source is destroyed, on whichever thread that happens.
///
/// The descriptor must stay open until then.
pub(crate) fn attach(
    context: &MainContext,
    fd: BorrowedFd<'_>,
    clock: Arc<Clock>,
    name: &'static std::ffi::CStr,
    priority: i32,
    handler: impl Fn() -> ControlFlow + Send + 'static,
) {
    let handler: Box<Handler> = Box::new(Box::new(handler));
    // SAFETY: the functions are static and are only read (the parameter is not const for
    // historical reasons); the size is that of what begins with a GSource.
    let source =
        unsafe { ffi::g_source_new((&raw const FUNCS.0).cast_mut(), size_of::<Clocked>() as u32) };
    // SAFETY: the memory is as large as `Clocked`, and zeroed; nobody else knows it yet.
    unsafe { (*source.cast::<Clocked>()).clock = Arc::into_raw(clock) };
    // SAFETY: the source is new and ours. GLib keeps the handler until it calls `drop_handler`.
    unsafe {
        ffi::g_source_set_callback(
            source,
            None,
            Box::into_raw(handler).cast(),
            Some(drop_handler),
        );
    }
    // SAFETY: as above; the name is copied.
    unsafe { ffi::g_source_set_name(source, name.as_ptr()) };
    // SAFETY: as above.
    unsafe { ffi::g_source_set_priority(source, priority) };
    // SAFETY: as above.
    unsafe { ffi::g_source_set_can_recurse(source, ffi::GTRUE) };
    // SAFETY: as above. The returned tag is needed only to change the condition later.
    unsafe { ffi::g_source_add_unix_fd(source, fd.as_raw_fd(), ffi::G_IO_IN) };
    // SAFETY: the one reference that g_source_new gave is handed over.
    let source = unsafe { Source::from_glib_full(source) };
    // The caller holds the context while this reference is let go of.
    source.attach(Some(context));
}

/// The clock of a source.
///
/// # Safety
///
/// [`attach`] has created it, and it is not finalized during `'a`.
unsafe fn clock<'a>(source: *mut ffi::GSource) -> &'a Clock {
    // SAFETY: as the caller says.
    let clock = unsafe { (*source.cast::<Clocked>()).clock };
    // SAFETY: the source holds on to it.
    unsafe { &*clock }
}

/// How long it is until the source's time, in microseconds; negative when there is none.
///
/// # Safety
///
/// As [`clock`].
unsafe fn rest(source: *mut ffi::GSource) -> i64 {
    // SAFETY: as the caller says.
    let at = unsafe { clock(source) }.0.load(Relaxed);
    if at < 0 {
        return -1;
    }
    // SAFETY: the source belongs to a context, which is being iterated.
    let now = unsafe { ffi::g_source_get_time(source) };
    at.saturating_sub(now).max(0)
}

unsafe extern "C" fn prepare(source: *mut ffi::GSource, timeout: *mut i32) -> ffi::gboolean {
    // SAFETY: GLib calls this with a source of ours.
    let rest = unsafe { rest(source) };
    // The loop sleeps for whole milliseconds, rounded up.
    let milliseconds = match rest {
        ..0 => -1,
        _ => i32::try_from(rest.saturating_add(999) / 1000).unwrap_or(i32::MAX),
    };
    // SAFETY: GLib's, to be filled in.
    unsafe { *timeout = milliseconds };
    (rest == 0).into_glib()
}

unsafe extern "C" fn check(source: *mut ffi::GSource) -> ffi::gboolean {
    // SAFETY: GLib calls this with a source of ours.
    let rest = unsafe { rest(source) };
    (rest == 0).into_glib()
}

unsafe extern "C" fn dispatch(
    _: *mut ffi::GSource,
    _: ffi::GSourceFunc,
    handler: ffi::gpointer,
) -> ffi::gboolean {
    // SAFETY: what `new` has set; GLib holds on to it while it dispatches.
    let handler = unsafe { &*handler.cast::<Handler>() };
    // A panic in the app's code cannot unwind through C: it aborts the process, as in all of glib's
    // callbacks.
    handler().into_glib()
}

unsafe extern "C" fn finalize(source: *mut ffi::GSource) {
    // SAFETY: GLib calls this with a source of ours of which nobody knows any more.
    let clock = unsafe { (*source.cast::<Clocked>()).clock };
    // SAFETY: `attach` has leaked it; GLib calls this once.
    drop(unsafe { Arc::from_raw(clock) });
}

unsafe extern "C" fn drop_handler(handler: ffi::gpointer) {
    // SAFETY: the box that `new` has leaked; GLib calls this once.
    drop(unsafe { Box::from_raw(handler.cast::<Handler>()) });
}
