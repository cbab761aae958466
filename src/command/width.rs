//! A wider pipe for what flows fast.
//!
//! A pipe holds 64 KiB, and whenever it is full or empty one side waits for the other. So one through which [`MUCH`] has
//! passed is made to hold [`WIDE`], by `fcntl(F_SETPIPE_SZ)`, see pipe(7). That is for what is written and read as fast as
//! it goes, input that is there already and output that is collected. Where somebody reads step by step the pipe is left
//! as it is: it is a part of how far the program can run ahead.
//!
//! The pipes of all of a user's programs together have 64 MiB, and who has spent it gets new pipes of two pages. So an app
//! has [`MOST`] wide ones at a time, which are 8 MiB. What the kernel refuses stays as it is.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};

/// What has to pass before (1 MiB).
const MUCH: usize = 1024 * 1024;
/// What a wide pipe holds (256 KiB).
const WIDE: usize = 256 * 1024;
/// How many an app has at a time.
const MOST: usize = 32;

/// How many there are.
static PLACES: AtomicUsize = AtomicUsize::new(0);

/// How wide a pipe is, and what has passed through it.
#[derive(Default)]
pub(super) struct Width {
    passed: usize,
    place: Option<Place>,
}

impl Width {
    /// So much has passed: widens the pipe once, where it can be.
    pub(super) fn passed(&mut self, pipe: impl AsFd, length: usize) {
        let before = self.passed;
        self.passed = before.saturating_add(length);
        if before < MUCH && self.passed >= MUCH {
            self.place = Place::take().filter(|_| widen(pipe));
        }
    }
}

/// Whether it was made wider. Some other descriptor, or a pipe that the program has made as wide itself, is not.
fn widen(pipe: impl AsFd) -> bool {
    fcntl_getpipe_size(&pipe).is_ok_and(|size| size < WIDE)
        && fcntl_setpipe_size(&pipe, WIDE).is_ok()
}

/// One of the [`MOST`].
struct Place(());

impl Place {
    fn take() -> Option<Place> {
        PLACES
            .fetch_update(Relaxed, Relaxed, |taken| {
                (taken < MOST).then_some(taken + 1)
            })
            .ok()
            .map(|_| Place(()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        PLACES.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use rustix::pipe::pipe;

    use super::*;

    fn widened(length: usize) -> (OwnedFd, Width) {
        let (reader, _) = pipe().unwrap();
        let mut width = Width::default();
        width.passed(&reader, length);
        (reader, width)
    }

    /// One test, as there is one number of places.
    #[test]
    fn a_pipe_is_widened_after_much_and_a_refusal_leaves_it_as_it_is() {
        let plain = fcntl_getpipe_size(pipe().unwrap().0).unwrap();
        if fcntl_setpipe_size(pipe().unwrap().0, WIDE).is_err() {
            println!("this user's pipes hold all they may already: none can be widened");
            return;
        }
        let (pipe_end, mut width) = widened(MUCH - 1);
        assert_eq!(fcntl_getpipe_size(&pipe_end).unwrap(), plain);
        width.passed(&pipe_end, 1);
        assert_eq!(fcntl_getpipe_size(&pipe_end).unwrap(), WIDE);

        // What is wide already is not made narrower.
        let (pipe_end, _) = pipe().unwrap();
        fcntl_setpipe_size(&pipe_end, 2 * WIDE).unwrap();
        Width::default().passed(&pipe_end, MUCH);
        assert_eq!(fcntl_getpipe_size(&pipe_end).unwrap(), 2 * WIDE);

        // What is no pipe is refused, and takes no place.
        let mut file = Width::default();
        file.passed(std::fs::File::open("/dev/null").unwrap(), MUCH);
        assert!(file.place.is_none());

        // One has a place already.
        let wide: Vec<_> = (1..MOST).map(|_| widened(MUCH)).collect();
        for (pipe_end, _) in &wide {
            assert_eq!(fcntl_getpipe_size(pipe_end).unwrap(), WIDE);
        }
        assert_eq!(fcntl_getpipe_size(widened(MUCH).0).unwrap(), plain);
        drop(wide);
        assert_eq!(fcntl_getpipe_size(widened(MUCH).0).unwrap(), WIDE);
    }
}
