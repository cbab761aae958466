//! Who waits for one socket, and whether it has become ready meanwhile.

use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use rustix::event::epoll::EventFlags;

/// A direction of a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Read = 0,
    Write = 1,
}

/// See the module.
#[derive(Default)]
pub(super) struct Readiness(Mutex<State>);

#[derive(Default)]
struct State {
    /// How often each direction has become ready.
    events: [u64; 2],
    waiting: [Option<Waker>; 2],
}

impl Readiness {
    /// Returns how often the direction has become ready: to be asked before the socket is tried.
    pub(super) fn events(&self, direction: Direction) -> u64 {
        self.state().events[direction as usize]
    }

    /// Waits, unless the direction has become ready since `events` was asked for. Whoever waited before is replaced.
    pub(super) fn wait(&self, direction: Direction, events: u64, waker: Waker) -> bool {
        let mut state = self.state();
        if state.events[direction as usize] != events {
            return false;
        }
        let replaced = state.waiting[direction as usize].replace(waker);
        drop(state);
        drop(replaced);
        true
    }

    /// epoll has reported this. Wakes those who wait, with nothing locked.
    pub(super) fn is_ready(&self, flags: EventFlags) {
        let ended = EventFlags::HUP | EventFlags::ERR;
        let mut woken = [None, None];
        let mut state = self.state();
        for (direction, bits) in [
            (Direction::Read, EventFlags::IN | EventFlags::RDHUP | ended),
            (Direction::Write, EventFlags::OUT | ended),
        ] {
            if flags.intersects(bits) {
                state.events[direction as usize] += 1;
                woken[direction as usize] = state.waiting[direction as usize].take();
            }
        }
        drop(state);
        woken.into_iter().flatten().for_each(Waker::wake);
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
