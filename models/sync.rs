//! Locks of shuttle's, and atomics that are plain words, as they have to be in memory that two processes map.

pub use real::sync::{Arc, LockResult, OnceLock, PoisonError, Weak};
pub use shuttle::sync::{Condvar, Mutex, MutexGuard};

pub mod atomic {
    use real::sync::atomic as plain;
    pub use real::sync::atomic::{Ordering, fence};

    /// Another thread may go on here.
    fn switch() {
        shuttle::sync::atomic::AtomicBool::new(false).load(Ordering::SeqCst);
    }

    macro_rules! atomics {
        ($($name:ident($of:ty): $($method:ident($($argument:ident: $type:ty),*) -> $result:ty),*;)*) => {$(
            #[derive(Debug, Default)]
            #[repr(transparent)]
            pub struct $name(plain::$name);

            impl $name {
                pub const fn new(value: $of) -> Self {
                    Self(plain::$name::new(value))
                }
                $(pub fn $method(&self, $($argument: $type),*) -> $result {
                    switch();
                    self.0.$method($($argument),*)
                })*
            }
        )*};
    }

    atomics! {
        AtomicBool(bool): load(o: Ordering) -> bool, store(v: bool, o: Ordering) -> (), swap(v: bool, o: Ordering) -> bool;
        AtomicU32(u32): load(o: Ordering) -> u32, store(v: u32, o: Ordering) -> (),
            fetch_add(v: u32, o: Ordering) -> u32, fetch_sub(v: u32, o: Ordering) -> u32;
        AtomicU64(u64): load(o: Ordering) -> u64, store(v: u64, o: Ordering) -> (), fetch_add(v: u64, o: Ordering) -> u64,
            compare_exchange(a: u64, b: u64, o: Ordering, p: Ordering) -> Result<u64, u64>;
        AtomicUsize(usize): load(o: Ordering) -> usize,
            fetch_add(v: usize, o: Ordering) -> usize, fetch_sub(v: usize, o: Ordering) -> usize;
    }
}
