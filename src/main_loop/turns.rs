//! In which order a hub handles what is ready: fair at any number of children.

use std::cell::RefCell;
use std::collections::VecDeque;

/// Events that epoll has reported, and for which no entry has been called yet.
pub(super) struct Turns<E>(RefCell<VecDeque<E>>);

impl<E> Turns<E> {
    pub(super) fn new() -> Self {
        Turns(RefCell::default())
    }

    /// Calls for one event after the other until the slice is over. `look` asks epoll for more, once, and only when all
    /// events of the last look are handled: epoll goes on after those that it reported then, so each child has its turn,
    /// whatever their number.
    pub(super) fn take(
        &self,
        look: impl FnOnce(&mut VecDeque<E>),
        call: impl Fn(E),
        is_over: impl Fn() -> bool,
    ) {
        let mut look = Some(look);
        loop {
            let next = self.0.borrow_mut().pop_front();
            match (next, look.take()) {
                (Some(event), unused) => {
                    look = unused;
                    call(event);
                }
                (None, Some(look)) => look(&mut self.0.borrow_mut()),
                (None, None) => break,
            }
            if is_over() {
                break;
            }
        }
    }
}
