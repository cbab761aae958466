//! The part of a job that knows its types: hands messages and the answer to the app, and decodes them where they are taken.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::run::{OnEnd, Sink};
use super::taken::{Arrived, Taken};
use crate::child::{Error, ErrorKind};
use crate::main_loop::mailbox::{self, Outlet, PutError};
use crate::model::State;
use crate::process::background;
use crate::text::{Text, text};
use crate::wire::attach::DecodeError;
use crate::wire::control::Fault;
use crate::worker::Listed;

/// The part of a job's life that knows its types.
pub(super) struct Typed<J: Listed> {
    messages: Outlet<Arrived>,
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
    Busy(VecDeque<Arrived>),
}

impl<J: Listed> Typed<J> {
    pub(super) fn new(
        label: String,
        capacity: usize,
        taken: Arc<Taken>,
        messages: Outlet<Arrived>,
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

    /// Takes a message: to the callback, to whoever reads the mailbox, or to nobody.
    fn take(&self, message: Arrived) -> Result<(), Fault> {
        let mut slot = self.callback.borrow_mut();
        match &*slot {
            Callback::None => {
                drop(slot);
                return self.put(message);
            }
            Callback::Busy(waiting) if waiting.len() >= self.capacity => return Err(too_many()),
            Callback::Busy(_) | Callback::Idle(_) => self.taken.admit(&message)?,
        }
        if let Callback::Busy(waiting) = &mut *slot {
            waiting.push_back(message);
            return Ok(());
        }
        let idle = std::mem::replace(&mut *slot, Callback::Busy(VecDeque::new()));
        drop(slot);
        if let Callback::Idle(callback) = idle {
            self.run(callback, message);
        }
        Ok(())
    }

    fn put(&self, message: Arrived) -> Result<(), Fault> {
        if self.messages.is_closed() {
            return self.discard(message);
        }
        self.taken.admit(&message)?;
        match self.messages.put(message) {
            Ok(()) => Ok(()),
            Err(PutError::Full) => Err(too_many()),
            // Closed on another thread meanwhile.
            Err(PutError::Closed(message)) => {
                self.taken.one_more(&message);
                Ok(())
            }
        }
    }

    /// Nobody reads it: it is taken by being dropped. It must be valid all the same. What comes with it may take any time
    /// to close.
    fn discard(&self, message: Arrived) -> Result<(), Fault> {
        self.taken.one_more_at_once();
        let may_block = message.has_descriptors();
        let message: J::Message = message.decode_message()?;
        if may_block {
            background::run("legwork-close", move || drop(message));
        }
        Ok(())
    }

    /// Calls `callback` with this message, and with those that have come to wait meanwhile.
    fn run(&self, mut callback: Box<dyn FnMut(J::Message)>, message: Arrived) {
        let mut next = Some(message);
        let mut replaced = false;
        while let Some(message) = next {
            self.taken.one_more(&message);
            match message.decode_message() {
                Ok(message) => callback(message),
                Err(fault) => self.taken.refuse(fault),
            }
            next = match &mut *self.callback.borrow_mut() {
                Callback::Busy(waiting) if self.taken.fault().is_none() => waiting.pop_front(),
                Callback::Busy(_) => None,
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
        let mut old = self.callback.replace(Callback::None);
        if let Callback::Busy(waiting) = &mut old
            && let Some(message) = waiting.pop_front()
        {
            self.callback.replace(old);
            return self.run(callback, message);
        }
        self.callback.replace(Callback::Idle(callback));
        drop(old);
    }

    fn is_busy(&self) -> bool {
        matches!(*self.callback.borrow(), Callback::Busy(_))
    }
}

/// The run's strong reference to what the handle sees weakly.
pub(super) struct TypedSink<J: Listed>(pub(super) Rc<Typed<J>>);

fn too_many() -> Fault {
    Fault("more messages were sent than its capacity allows".to_owned())
}

impl<J: Listed> Sink for TypedSink<J> {
    fn message(&self, message: Arrived) -> Result<(), Fault> {
        self.0.take(message)
    }

    fn waker_slots(&self) -> [Arc<mailbox::WakerSlot>; 2] {
        [self.0.messages.waker_slot(), self.0.outcome.waker_slot()]
    }

    fn end(&self, outcome: Result<Arrived, Error>, on_end: OnEnd) {
        let typed = self.0.clone();
        let unreadable = |error: DecodeError| {
            let error = Text::of(&error);
            let text = text!("the worker's output cannot be read: {error}", error = error);
            Error::new(ErrorKind::Protocol, &typed.label, text)
        };
        let outcome = match outcome {
            // Nobody waits for it.
            Ok(_) if typed.outcome.is_closed() => Ok(None),
            Ok(output) => output.decode().map(Some).map_err(unreadable),
            Err(error) => Err(error),
        };
        let end = move || {
            let (state, error) = end_of(&outcome);
            typed.messages.close();
            // The callback may own anything, handles too: dropped with nothing borrowed.
            drop(typed.callback.replace(Callback::None));
            if let Some(outcome) = outcome.transpose() {
                // Nobody waits for it when the handle is gone.
                let _ = typed.outcome.put(outcome);
            }
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
pub(super) fn end_of<T>(outcome: &Result<T, Error>) -> (State, Option<Error>) {
    match outcome {
        Ok(_) => (State::Finished, None),
        Err(error) if error.is_cancelled() => (State::Cancelled, Some(error.copy())),
        Err(error) => (State::Failed, Some(error.copy())),
    }
}
