//! A ceiling on memory: a target that takes more for one input aborts, and libFuzzer keeps the input.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

/// Counts what is taken since the input was begun.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static TAKEN: AtomicIsize = AtomicIsize::new(0);
static CEILING: AtomicIsize = AtomicIsize::new(isize::MAX);

fn count(bytes: isize) {
    if TAKEN.fetch_add(bytes, Relaxed) + bytes > CEILING.load(Relaxed) {
        CEILING.store(isize::MAX, Relaxed);
        eprintln!("more memory is taken than this target may take");
        std::process::abort();
    }
}

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller says.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller says.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller says.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// Handles one input, for which at most so many bytes may be taken at once.
pub fn below(ceiling: usize, handle: impl FnOnce()) {
    TAKEN.store(0, Relaxed);
    CEILING.store(ceiling as isize, Relaxed);
    handle();
    CEILING.store(isize::MAX, Relaxed);
}
