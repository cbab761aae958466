//! The exec helper, until it has become the program.

use std::os::fd::AsFd;

use super::{Helper, NotStarted, Supervisor};
use crate::model::State;
use crate::wire::control::{Received, Scratch, Wait};
use crate::wire::frame::{ExecRefusal, Kind};

impl Supervisor {
    /// Hears what the helper says, until its socket's end tells that it has become the program.
    pub(super) fn read_helper(&self) {
        let nonsense =
            || NotStarted::Helper("its helper said something that cannot be right".to_owned());
        let mut scratch = Scratch::new();
        loop {
            let fault = {
                let mut slot = self.helper.borrow_mut();
                let Some(helper) = slot.as_mut() else { return };
                match helper.control.recv(&mut scratch, Wait::No) {
                    Ok(Received::Empty) => return,
                    Ok(Received::Closed) => {
                        let done = slot.take();
                        drop(slot);
                        self.helper_gone(done);
                        return;
                    }
                    Ok(Received::Packet(packet)) => match Kind::from_worker(packet.kind) {
                        Some(Kind::Ready) => {
                            helper.ready = true;
                            None
                        }
                        Some(Kind::Refused) => {
                            let refusal: Result<ExecRefusal, _> =
                                postcard::from_bytes(&packet.payload);
                            Some(match refusal {
                                Ok(ExecRefusal { step, errno }) => {
                                    NotStarted::Step(helper.target.explain(&step, errno))
                                }
                                Err(_) => NotStarted::Helper("its helper gave up".to_owned()),
                            })
                        }
                        _ => Some(nonsense()),
                    },
                    Err(_) => Some(nonsense()),
                }
            };
            if let Some(fault) = fault {
                self.life.borrow_mut().not_started.get_or_insert(fault);
            }
        }
    }

    pub(super) fn helper_gone(&self, helper: Option<Helper>) {
        let Some(helper) = helper else { return };
        self.hub.unwatch(helper.control.as_fd());
        self.due.borrow_mut().helper = None;
        let (started, failed) = {
            let mut life = self.life.borrow_mut();
            if !helper.ready {
                life.not_started.get_or_insert_with(|| {
                    NotStarted::Helper(
                        "its helper let go before the program was executed. Does the helper's \
                         main begin with run_if_worker() or run_worker()?"
                            .to_owned(),
                    )
                });
            }
            let failed = life.not_started.is_some();
            (!failed && life.stop.is_none(), failed)
        };
        self.set_alarm();
        if failed {
            // What lives on is not the program.
            self.force();
        }
        if started {
            self.status.set_state(State::Running);
        }
    }
}
