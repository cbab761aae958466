//! A list that several threads work on: each takes the next item when it has finished one.
//!
//! The threads end at the end of the list, at the first error, or when one panics; the panic continues in the caller
//! with its message.

use std::{
    num::NonZero,
    panic,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

/// Calls `each` for every item, on as many threads as there are processors, or as many as `threads` allows.
pub(super) fn for_each<T, E>(
    items: &[T],
    threads: Option<NonZero<usize>>,
    each: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E>
where
    T: Sync,
    E: Send,
{
    let available = thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN);
    let threads = threads
        .unwrap_or(available)
        .min(available)
        .get()
        .min(items.len());
    let next = AtomicUsize::new(0);
    let ended = AtomicBool::new(false);
    let work = || {
        // Dropped when this thread panics or fails.
        let end = EndOthers(&ended);
        while !ended.load(Ordering::Relaxed)
            && let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed))
        {
            each(item)?;
        }
        std::mem::forget(end);
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let ends: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        ends.into_iter()
            .try_for_each(|end| end.unwrap_or_else(|panic| panic::resume_unwind(panic)))
    })
}

struct EndOthers<'a>(&'a AtomicBool);

impl Drop for EndOthers<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn every_item_is_taken_exactly_once() {
        let items: Vec<u64> = (1..=10_000).collect();
        let sum = AtomicU64::new(0);
        let done: Result<(), ()> = for_each(&items, None, |n| {
            sum.fetch_add(*n, Ordering::Relaxed);
            Ok(())
        });
        assert_eq!((done, sum.into_inner()), (Ok(()), 50_005_000));
    }

    #[test]
    fn an_empty_list_needs_no_thread() {
        assert_eq!(for_each(&[] as &[u8], None, |_| Err(())), Ok(()));
    }

    #[test]
    fn the_first_error_ends_it() {
        let items: Vec<u64> = (0..100_000).collect();
        let taken = AtomicU64::new(0);
        let end = for_each(&items, None, |n| {
            taken.fetch_add(1, Ordering::Relaxed);
            if *n == 10 { Err("ten") } else { Ok(()) }
        });
        assert_eq!(end, Err("ten"));
        assert!(taken.into_inner() < 100_000);
    }

    #[test]
    #[should_panic(expected = "the item was seven")]
    fn a_panic_keeps_its_message() {
        let _: Result<(), ()> = for_each(&[7], None, |n| {
            assert!(*n != 7, "the item was seven");
            Ok(())
        });
    }
}
