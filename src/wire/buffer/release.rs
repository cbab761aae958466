//! Frees the memory of a buffer without blocking the thread that drops it.
//!
//! Unmapping a GiB takes 40 ms, and freeing its pages, with the last descriptor or mapping, 160 ms more. Therefore another
//! thread does it, which lives as long as there is something to release. If no thread can be started, the memory is
//! released on the spot: slower, never lost.

use std::sync::{Mutex, PoisonError};

use crate::process::{background, own};

use super::mapping::Mapping;
use super::memory::Sealed;

/// From this size on a mapping is released by the other thread: to unmap it takes longer than to pass it on, and a
/// thousand mappings of this size, dropped at once, take 50 ms.
const MAPPED: usize = 256 << 10;

/// The same for memory that was never mapped here. Usually it was sent, and the receiver frees the pages; if the receiver
/// is gone already, this size takes a millisecond.
const UNMAPPED: usize = 8 << 20;

/// What is left of a buffer.
struct Remains {
    memory: Option<Sealed>,
    mapping: Option<Mapping>,
}

/// What waits for the thread, and whether that runs.
struct Queue {
    waiting: Vec<Remains>,
    running: bool,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    waiting: Vec::new(),
    running: false,
});

/// Releases what is left of a buffer that the process `owner` has made or received.
pub(super) fn release(memory: Option<Sealed>, mapping: Option<Mapping>, owner: u32) {
    let remains = Remains { memory, mapping };
    // In a process that was forked from the owner, the queue may be locked for ever.
    if remains.is_quick() || own::id() != owner {
        drop(remains);
    } else {
        hand_over(remains, || background::run("legwork-release", work));
    }
}

fn hand_over(remains: Remains, start: impl FnOnce()) {
    let mut queue = lock();
    queue.waiting.push(remains);
    if queue.running {
        return;
    }
    queue.running = true;
    drop(queue);
    start();
}

/// Releases until nothing waits.
fn work() {
    loop {
        let mut queue = lock();
        let waiting = std::mem::take(&mut queue.waiting);
        queue.running = !waiting.is_empty();
        drop(queue);
        if waiting.is_empty() {
            return;
        }
        waiting.into_iter().for_each(Remains::release);
    }
}

fn lock() -> std::sync::MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Remains {
    fn is_quick(&self) -> bool {
        match (&self.mapping, &self.memory) {
            (Some(mapping), _) => mapping.len() < MAPPED,
            (None, Some(memory)) => memory.len() < UNMAPPED,
            (None, None) => true,
        }
    }

    fn release(self) {
        if let Some(mapping) = self.mapping {
            mapping.unmap_in_steps();
        }
        drop(self.memory);
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::BufferMut;

    /// Whether something is mapped here from memory of a buffer.
    fn is_mapped(start: usize) -> bool {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines()
            .any(|line| line.starts_with(&format!("{start:x}-")))
    }

    #[test]
    fn without_a_thread_memory_is_released_on_the_spot() {
        loop {
            let buffer = BufferMut::new(MAPPED).unwrap().seal().unwrap();
            let start = buffer.try_as_slice().unwrap().as_ptr().addr();
            assert!(is_mapped(start));
            let mut shared = buffer.shared.unwrap();
            let shared = std::sync::Arc::get_mut(&mut shared).unwrap();
            let remains = Remains {
                memory: shared.memory.take(),
                mapping: shared.mapping.take(),
            };

            let mut refused = false;
            hand_over(remains, || {
                background::run_by(work, |_| {
                    refused = true;
                    Err(io::ErrorKind::WouldBlock.into())
                });
            });
            // If another test's thread runs at this moment, that thread takes it.
            if refused {
                assert!(!is_mapped(start));
                assert!(!lock().running);
                return;
            }
        }
    }
}
