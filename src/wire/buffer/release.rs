//! Gives memory back without making the thread wait that drops it.
//!
//! Unmapping a GiB takes 40 ms, and giving its pages back, when the last descriptor or mapping goes,
//! 160 ms more. What is dropped from a main loop goes to a thread that lives as long as there is
//! something to release. Where no thread can be had it is released in place: slower, never lost.

use std::sync::{Mutex, PoisonError};

use crate::process::{background, own};

use super::mapping::Mapping;
use super::memory::Sealed;

/// From this size on a mapping is handed over: it takes longer than handing it over does, and a list
/// of a thousand of this size, dropped at once, takes 50 ms.
const MAPPED: usize = 256 << 10;

/// The same for memory that was never mapped here. It is a buffer that was sent, and the other side
/// gives its pages back, but if that is gone already: then this size takes a millisecond.
const UNMAPPED: usize = 8 << 20;

/// What is left of a buffer.
struct Remains {
    memory: Option<Sealed>,
    mapping: Option<Mapping>,
}

/// What waits for the thread, and whether there is one.
struct Queue {
    waiting: Vec<Remains>,
    running: bool,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    waiting: Vec::new(),
    running: false,
});

/// Releases what is left of a buffer that process `owner` has made or received.
pub(super) fn release(memory: Option<Sealed>, mapping: Option<Mapping>, owner: u32) {
    let remains = Remains { memory, mapping };
    // In a process that somebody else forked from the owner, the queue may be locked for ever.
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
    fn where_no_thread_can_be_had_it_is_released_in_place() {
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
            // Other tests may have a thread at work right now, which then takes this too.
            if refused {
                assert!(!is_mapped(start));
                assert!(!lock().running);
                return;
            }
        }
    }
}
