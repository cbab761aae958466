//! More capacity for a pipe through which much flows.
//!
//! A pipe holds 64 KiB, and whenever it is full or empty one side waits for the other. So a pipe that has carried
//! [`THRESHOLD`] bytes gets a capacity of [`CAPACITY`], by `fcntl(F_SETPIPE_SZ)`, see pipe(7). That is for data that is
//! written and read as fast as possible: input that is complete from the start, and output that is collected. Where
//! the app reads step by step the capacity stays as it is, because it decides how far the program can run ahead.
//!
//! All pipes of one user together have 64 MiB; a user who has spent them gets new pipes of two pages. So an app
//! enlarges [`MOST`] pipes at a time, which is 8 MiB. What the kernel refuses changes nothing.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};

/// How many bytes pass before a pipe is enlarged (1 MiB).
const THRESHOLD: usize = 1024 * 1024;
/// The capacity of an enlarged pipe (256 KiB).
const CAPACITY: usize = 256 * 1024;
/// How many enlarged pipes an app has at a time.
const MOST: usize = 32;

/// How many it has now.
static ENLARGED: AtomicUsize = AtomicUsize::new(0);

/// Counts what passes through one pipe, and enlarges it.
#[derive(Default)]
pub(super) struct PipeCapacity {
    passed: usize,
    permit: Option<Permit>,
}

impl PipeCapacity {
    /// Another `length` bytes have passed. Enlarges the pipe once, where that is possible.
    pub(super) fn passed(&mut self, pipe: impl AsFd, length: usize) {
        let before = self.passed;
        self.passed = before.saturating_add(length);
        if before < THRESHOLD && self.passed >= THRESHOLD {
            self.permit = Permit::take().filter(|_| enlarge(pipe));
        }
    }
}

/// Whether it was enlarged. Other descriptors are not, nor a pipe that the program itself has made as large.
fn enlarge(pipe: impl AsFd) -> bool {
    fcntl_getpipe_size(&pipe).is_ok_and(|size| size < CAPACITY)
        && fcntl_setpipe_size(&pipe, CAPACITY).is_ok()
}

/// The right to one of the [`MOST`].
struct Permit(());

impl Permit {
    fn take() -> Option<Permit> {
        ENLARGED
            .fetch_update(Relaxed, Relaxed, |count| {
                (count < MOST).then_some(count + 1)
            })
            .ok()
            .map(|_| Permit(()))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        ENLARGED.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use rustix::pipe::pipe;

    use super::*;

    fn after(length: usize) -> (OwnedFd, PipeCapacity) {
        let (reader, _) = pipe().unwrap();
        let mut capacity = PipeCapacity::default();
        capacity.passed(&reader, length);
        (reader, capacity)
    }

    /// One test, because the process has one count.
    #[test]
    fn a_pipe_is_enlarged_after_much_and_a_refusal_leaves_it_as_it_is() {
        let plain = fcntl_getpipe_size(pipe().unwrap().0).unwrap();
        if fcntl_setpipe_size(pipe().unwrap().0, CAPACITY).is_err() {
            println!("this user's pipes have all the memory they may have: none can be enlarged");
            return;
        }
        let (reader, mut capacity) = after(THRESHOLD - 1);
        assert_eq!(fcntl_getpipe_size(&reader).unwrap(), plain);
        capacity.passed(&reader, 1);
        assert_eq!(fcntl_getpipe_size(&reader).unwrap(), CAPACITY);

        // A larger one is not made smaller.
        let (reader, _) = pipe().unwrap();
        fcntl_setpipe_size(&reader, 2 * CAPACITY).unwrap();
        PipeCapacity::default().passed(&reader, THRESHOLD);
        assert_eq!(fcntl_getpipe_size(&reader).unwrap(), 2 * CAPACITY);

        // A file is refused, and takes no permit.
        let mut file = PipeCapacity::default();
        file.passed(std::fs::File::open("/dev/null").unwrap(), THRESHOLD);
        assert!(file.permit.is_none());

        // The first one has a permit already.
        let enlarged: Vec<_> = (1..MOST).map(|_| after(THRESHOLD)).collect();
        for (reader, _) in &enlarged {
            assert_eq!(fcntl_getpipe_size(reader).unwrap(), CAPACITY);
        }
        assert_eq!(fcntl_getpipe_size(after(THRESHOLD).0).unwrap(), plain);
        drop(enlarged);
        assert_eq!(fcntl_getpipe_size(after(THRESHOLD).0).unwrap(), CAPACITY);
    }
}
