//! A socket that an executor watches.
//!
//! epoll is edge-triggered here: a socket that nobody reads does not keep the loop awake. Room to write is watched for only
//! while somebody waits for it, or each message that the other end reads would wake the loop.

use std::cell::Cell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use rustix::event::epoll::{self, EventData, EventFlags};
use zbus::runtime::traits::PollIo;
use zbus::runtime::{Interest, IoSource};

use super::executor::{Executor, context_is_gone, lock};
use super::readiness::{Direction, Readiness};

thread_local! {
    static WAITS_TO_READ: Cell<bool> = const { Cell::new(false) };
}

/// Returns whether something that ran in `poll` is waiting to read from a socket, and what `poll` returned.
pub(super) fn waits_to_read<T>(poll: impl FnOnce() -> T) -> (T, bool) {
    let outer = WAITS_TO_READ.replace(false);
    let polled = poll();
    (polled, WAITS_TO_READ.replace(outer))
}

/// A registration of a socket or pipe with the main context. zbus has it from its runtime.
pub struct RegisteredIoSource {
    executor: Arc<Executor>,
    key: u64,
    readiness: Arc<Readiness>,
    watches_room: AtomicBool,
    /// Closed after it is no longer watched.
    source: IoSource,
}

impl RegisteredIoSource {
    pub(super) fn new(executor: &Arc<Executor>, source: IoSource) -> io::Result<Self> {
        if executor.is_gone() {
            return Err(context_is_gone());
        }
        let (key, readiness) = (executor.new_key(), Arc::<Readiness>::default());
        lock(&executor.sockets).insert(key, readiness.clone());
        // Dropped if it cannot be watched.
        let registered = Self {
            executor: executor.clone(),
            key,
            readiness,
            watches_room: AtomicBool::new(false),
            source,
        };
        epoll::add(
            &executor.epoll,
            &registered.source,
            EventData::new_u64(key),
            flags(false),
        )?;
        Ok(registered)
    }

    fn watch_room(&self, room: bool) -> io::Result<()> {
        self.watches_room.store(room, Relaxed);
        let data = EventData::new_u64(self.key);
        Ok(epoll::modify(
            &self.executor.epoll,
            &self.source,
            data,
            flags(room),
        )?)
    }
}

fn flags(room: bool) -> EventFlags {
    let mut flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
    flags.set(EventFlags::OUT, room);
    flags
}

impl PollIo for RegisteredIoSource {
    fn poll_io<T>(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut operation: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let direction = match interest {
            Interest::Readable => Direction::Read,
            Interest::Writable => Direction::Write,
            _ => return Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        };
        let note = || {
            if direction == Direction::Read {
                WAITS_TO_READ.set(true);
            }
        };
        // zbus reads for as long as there is something to read.
        if self.executor.pace(cx, direction).is_pending() {
            note();
            return Poll::Pending;
        }
        loop {
            let events = self.readiness.events(direction);
            match operation() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                result => {
                    if direction == Direction::Write && self.watches_room.load(Relaxed) {
                        let _ = self.watch_room(false);
                    }
                    return Poll::Ready(result);
                }
            }
            if self.executor.is_gone() {
                return Poll::Ready(Err(context_is_gone()));
            }
            if !self.readiness.wait(direction, events, cx.waker().clone()) {
                continue;
            }
            // Reports at once what has become ready meanwhile.
            if direction == Direction::Write
                && let Err(error) = self.watch_room(true)
            {
                return Poll::Ready(Err(error));
            }
            if self.executor.is_gone() {
                return Poll::Ready(Err(context_is_gone()));
            }
            note();
            return Poll::Pending;
        }
    }
}

impl Drop for RegisteredIoSource {
    fn drop(&mut self) {
        // A forked copy shares the epoll descriptor.
        if self.executor.is_own() {
            let _ = epoll::delete(&self.executor.epoll, &self.source);
        }
        let forgotten = lock(&self.executor.sockets).remove(&self.key);
        drop(forgotten);
    }
}

impl std::fmt::Debug for RegisteredIoSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegisteredIoSource")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
