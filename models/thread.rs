//! Threads of shuttle's, and a futex for them.

pub use shuttle::thread::*;

pub mod futex {
    use crate::io::Errno;
    use crate::sync::atomic::{AtomicU32, Ordering::SeqCst};
    use shuttle::sync::{Condvar, Mutex};

    pub struct Flags;

    impl Flags {
        pub fn empty() -> Self {
            Self
        }
    }

    shuttle::lazy_static! {
        static ref LOCK: Mutex<()> = Mutex::new(());
        static ref WOKEN: Condvar = Condvar::new();
    }

    pub fn wait(word: &AtomicU32, _: Flags, value: u32, _: Option<()>) -> Result<(), Errno> {
        let guard = LOCK.lock().unwrap();
        if word.load(SeqCst) != value {
            return Err(Errno::AGAIN);
        }
        drop(WOKEN.wait(guard));
        Ok(())
    }

    pub fn wake(_: &AtomicU32, _: Flags, _: u32) -> Result<(), Errno> {
        let _guard = LOCK.lock().unwrap();
        WOKEN.notify_all();
        Ok(())
    }
}
