//! The part of a job that knows its types: messages and the answer, decoded, on their way to the app.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;

use super::run::{OnEnd, Sink};
use super::taken::Taken;
use crate::child::{Error, ErrorKind};
use crate::main_loop::mailbox::{self, Outlet, PutError};
use crate::model::State;
use crate::text::{Text, text};
use crate::wire::attach;
use crate::wire::control::Fault;
use crate::worker::Listed;

/// The part of a job's life that knows its types.
pub(super) struct Typed<J: Listed> {
    messages: Outlet<J::Message>,
    callback: RefCell<Callback<J::Message>>,
    /// How many messages may wait.
    capacity: usize,
    taken: Arc<Taken>,
    outcome: Outlet<Result<J::Output, Error>>,
    /// The job has ended while the callback is running.
    ending: RefCell<Option<Box<dyn FnOnce()>>>,
    label: String,
}

/// Messages on their way into a callback.
enum Callback<M> {
    /// There is none: messages go into the mailbox.
    None,
    Idle(Box<dyn FnMut(M)>),
    /// It is running now, and perhaps a nested main loop in it. What comes meanwhile waits.
    Busy(VecDeque<M>),
}

impl<J: Listed> Typed<J> {
    pub(super) fn new(
        label: String,
        capacity: usize,
        taken: Arc<Taken>,
        messages: Outlet<J::Message>,
        outcome: Outlet<Result<J::Output, Error>>,
    ) -> Self {
        Typed {
            messages,
            callback: RefCell::new(Callback::None),
            capacity,
            taken,
            outcome,
            ending: RefCell::default(),
            label,
        }
    }

    /// Hands a message to the callback; gives it back when there is none.
    fn call_back(&self, message: J::Message) -> Result<(), PutError<J::Message>> {
        let callback = {
            let mut slot = self.callback.borrow_mut();
            match &mut *slot {
                Callback::None => return Err(PutError::Closed(message)),
                Callback::Busy(waiting) if waiting.len() >= self.capacity => {
                    return Err(PutError::Full);
                }
                Callback::Busy(waiting) => {
                    waiting.push_back(message);
                    return Ok(());
                }
                Callback::Idle(_) => {
                    match std::mem::replace(&mut *slot, Callback::Busy(VecDeque::new())) {
                        Callback::Idle(callback) => callback,
                        Callback::None | Callback::Busy(_) => unreachable!("just looked at"),
                    }
                }
            }
        };
        self.run(callback, message);
        Ok(())
    }

    /// Calls `callback` with this message, and with those that have come to wait meanwhile.
    fn run(&self, mut callback: Box<dyn FnMut(J::Message)>, message: J::Message) {
        let mut next = Some(message);
        let mut replaced = false;
        while let Some(message) = next {
            self.taken.one_more();
            callback(message);
            next = match &mut *self.callback.borrow_mut() {
                Callback::Busy(waiting) => waiting.pop_front(),
                // It has put another in its place.
                Callback::Idle(_) | Callback::None => {
                    replaced = true;
                    None
                }
            };
        }
        if !replaced {
            self.callback.replace(Callback::Idle(callback));
        }
        let ending = self.ending.take();
        if let Some(end) = ending {
            end();
        }
    }

    /// From now on messages go to `callback`. One that is running finishes its message.
    pub(super) fn set_callback(&self, callback: Box<dyn FnMut(J::Message)>) {
        let old = self.callback.replace(Callback::None);
        match old {
            Callback::Busy(mut waiting) => match waiting.pop_front() {
                Some(message) => {
                    self.callback.replace(Callback::Busy(waiting));
                    self.run(callback, message);
                }
                None => {
                    self.callback.replace(Callback::Idle(callback));
                }
            },
            old => {
                self.callback.replace(Callback::Idle(callback));
                drop(old);
            }
        }
    }

    fn is_busy(&self) -> bool {
        matches!(*self.callback.borrow(), Callback::Busy(_))
    }
}

/// The run's strong reference to what the handle sees weakly.
pub(super) struct TypedSink<J: Listed>(pub(super) Rc<Typed<J>>);

impl<J: Listed> Sink for TypedSink<J> {
    fn message(&self, bytes: &[u8], descriptors: Vec<OwnedFd>) -> Result<(), Fault> {
        let message: J::Message = attach::decode(bytes, descriptors)
            .map_err(|error| Fault(format!("a message cannot be read: {error}")))?;
        let put = match self.0.call_back(message) {
            Err(PutError::Closed(message)) => self.0.messages.put(message),
            called => called,
        };
        match put {
            Ok(()) => Ok(()),
            // Nobody reads them: they are taken by being dropped.
            Err(PutError::Closed(message)) => {
                self.0.taken.one_more();
                drop(message);
                Ok(())
            }
            Err(PutError::Full) => Err(Fault(
                "more messages were sent than its capacity allows".to_owned(),
            )),
        }
    }

    fn waker_slots(&self) -> [Arc<mailbox::WakerSlot>; 2] {
        [self.0.messages.waker_slot(), self.0.outcome.waker_slot()]
    }

    fn end(&self, outcome: Result<(Vec<u8>, Vec<OwnedFd>), Error>, on_end: OnEnd) {
        let typed = self.0.clone();
        let outcome = outcome.and_then(|(bytes, descriptors)| {
            attach::decode::<J::Output>(&bytes, descriptors).map_err(|error| {
                Error::new(
                    ErrorKind::Protocol,
                    &typed.label,
                    text!(
                        "the worker's output cannot be read: {error}",
                        error = Text::of(&error)
                    ),
                )
            })
        });
        let end = move || {
            let (state, error) = end_of(&outcome);
            typed.messages.close();
            // The callback may own anything, handles too: dropped with nothing borrowed.
            drop(typed.callback.replace(Callback::None));
            // Nobody waits for it when the handle is gone.
            let _ = typed.outcome.put(outcome);
            typed.outcome.close();
            on_end(state, error);
        };
        if self.0.is_busy() {
            // This is a nested main loop. What waits for the callback comes before the end.
            self.0.ending.replace(Some(Box::new(end)));
        } else {
            end();
        }
    }
}

/// How a job ended, for its status.
pub(super) fn end_of<T>(outcome: &Result<T, Error>) -> (State, Option<String>) {
    match outcome {
        Ok(_) => (State::Finished, None),
        Err(error) if error.is_cancelled() => (State::Cancelled, None),
        Err(error) => (State::Failed, Some(error.to_string())),
    }
}
