//! How a program is stopped: by signals, in the steps that the app has named, or not at all, when only
//! the waiting is to end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use rustix::io::Errno;

use super::{Reason, Stopping, Supervisor};
use crate::child::{Error, ErrorKind};
use crate::command::stop::Act;
use crate::model::State;
use crate::process::{Signal, own};

impl Supervisor {
    pub(in crate::command) fn signal(&self, signal: Signal) -> std::io::Result<()> {
        if signal == Signal::STOP || signal == Signal::CONT {
            self.held.set(signal == Signal::STOP);
            self.renew_stall();
        }
        self.with_process(|process| {
            if process.leads_group() {
                process.signal_group(signal)
            } else {
                process.signal(signal)
            }
        })
        .unwrap_or_else(|| Err(Errno::SRCH.into()))
    }

    pub(super) fn force(&self) {
        // Refused only when nobody is left.
        let _ = self.signal(Signal::KILL);
    }

    pub(super) fn stop(&self, reason: Reason) {
        if self.app != own::id() {
            return;
        }
        {
            let mut life = self.life.borrow_mut();
            if life.ended {
                return;
            }
            if life.end.is_some() {
                // It has ended by itself. Nobody waits any longer for pipes that somebody else holds.
                drop(life);
                self.due.borrow_mut().drained = Some(Instant::now());
                self.set_alarm();
                return;
            }
            if life.stop.is_some() {
                return;
            }
            life.stop = Some(Stopping { reason, next: 0 });
        }
        {
            let mut due = self.due.borrow_mut();
            due.deadline = None;
            due.stall = None;
        }
        self.status.set_state(State::Stopping);
        self.next_step();
    }

    pub(in crate::command) fn cancel_now(&self) {
        self.stop(Reason::Asked);
    }

    /// Set before its bell rings, it means that nobody waits any more.
    pub(in crate::command) fn let_go(&self) -> Arc<AtomicBool> {
        self.let_go.clone()
    }

    /// Whether it runs on without anybody who waits for it.
    pub(in crate::command) fn is_let_go(&self) -> bool {
        self.life.borrow().let_go
    }

    /// Gives the outcome now, and goes on watching over the program.
    pub(super) fn stop_waiting(&self) {
        {
            let mut life = self.life.borrow_mut();
            if life.ended || life.stop.is_some() {
                return;
            }
            life.let_go = true;
        }
        let error = Error::new(
            ErrorKind::Cancelled,
            &self.rules.label,
            "no longer waited for; it runs on",
        );
        let _ = self.outcome.put(Err(error));
        self.outcome.close();
    }

    /// Takes the next step of the stop, or the last.
    pub(super) fn next_step(&self) {
        let at = {
            let mut life = self.life.borrow_mut();
            if life.ended {
                return;
            }
            let Some(stop) = &mut life.stop else { return };
            stop.next += 1;
            stop.next - 1
        };
        let step = self.rules.stop.0.get(at);
        let again = match step {
            Some(step) => {
                match &step.act {
                    Act::Signal(signal) => drop(self.signal(*signal)),
                    Act::Input(bytes) if self.hears() => self.append_input(bytes, false),
                    // What it cannot be told in its own words it is told as any program.
                    Act::Input(_) => drop(self.signal(Signal::TERM)),
                    Act::CloseInput => self.append_input(&[], true),
                }
                // A stopped program reads nothing, and sees no signal but SIGKILL, before it goes on.
                let _ = self.signal(Signal::CONT);
                Instant::now().checked_add(step.grace)
            }
            None => {
                self.force();
                None
            }
        };
        self.due.borrow_mut().step = again;
        self.set_alarm();
    }
}
