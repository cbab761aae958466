//! What the child says: each frame in its turn, or a protocol fault.

use std::os::fd::AsFd;
use std::time::Instant;

use super::{BURST, END_WITHIN, Phase, SCRATCH, Supervisor, wake_all};
use crate::job::outcome::Answer;
use crate::main_loop::count_frame;
use crate::main_loop::hub::Slice;
use crate::model::State;
use crate::wire::control::{Fault, Received, RecvError, Scratch, Unclaimed, Wait};
use crate::wire::frame::{
    CAUSES_MAX, CrashReport, Failure, Kind, LOG_RECORDS_MAX, LogBatch, PanicReport, Progress,
    Refusal,
};
use crate::wire::page::Page;
use crate::wire::text::{RECORD_MAX, cut};

/// The page that came with the handshake.
fn shared_page(descriptors: Unclaimed) -> Result<Page, Fault> {
    let [memory] = &*descriptors else {
        let count = descriptors.len();
        let what = format!("the handshake came with {count} descriptors, and not with one");
        return Err(Fault(what));
    };
    let page = Page::adopt(memory).map_err(|why| Fault(format!("the shared page {why}")))?;
    // Memory of this size, which it is now known to be, is closed at once.
    drop(descriptors.claim());
    Ok(page)
}

impl Supervisor {
    /// Handles some frames; false when there are no more for now.
    pub(super) fn read_frames(&self, slice: &Slice) -> bool {
        let mut scratch = SCRATCH.take().unwrap_or_else(Scratch::new);
        drop(self.place.take());
        let mut more = true;
        for _ in 0..BURST {
            let hushed = matches!(self.phase.get(), Phase::Hushed | Phase::Ended);
            let ended = self.left.get().is_some_and(|left| left.frames == 0);
            more = !hushed && !ended && self.read_frame(&mut scratch);
            if !more || slice.is_over() {
                break;
            }
        }
        SCRATCH.set(Some(scratch));
        self.hold_place();
        more
    }

    /// While the handshake is to come.
    pub(super) fn hold_place(&self) {
        if self.phase.get() == Phase::Starting {
            // Any descriptor will do.
            self.place.set(self.hub.as_fd().try_clone_to_owned().ok());
        }
    }

    /// Handles one frame; false when there was none, or when there will be no other.
    pub(super) fn read_frame(&self, scratch: &mut Scratch) -> bool {
        let handled = match self.control.recv(scratch, Wait::No) {
            Ok(Received::Packet(packet)) => {
                count_frame();
                self.count_down(|left| &mut left.frames, packet.length);
                match Kind::from_worker(packet.kind) {
                    Some(kind) => self.frame(kind, &packet.payload, packet.descriptors),
                    None => Err(Fault(format!("a frame of unknown kind {}", packet.kind))),
                }
            }
            Ok(Received::Empty) => return false,
            Ok(Received::Closed) => {
                self.hush();
                return false;
            }
            Err(RecvError::Fault(fault)) => Err(fault),
            Err(RecvError::Io(error)) => Err(Fault(format!("receiving failed: {error}"))),
        };
        handled.is_ok() || {
            let mut facts = self.facts.borrow_mut();
            facts.fault = facts.fault.take().or(handled.err());
            drop(facts);
            self.force();
            self.hush();
            false
        }
    }

    pub(super) fn frame(
        &self,
        kind: Kind,
        payload: &[u8],
        descriptors: Unclaimed,
    ) -> Result<(), Fault> {
        fn parsed<'a, T: serde::Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T, Fault> {
            match postcard::take_from_bytes(bytes) {
                Ok((value, [])) => Ok(value),
                Ok(_) => Err(Fault(format!("{what} has bytes behind its end"))),
                Err(error) => Err(Fault(format!("{what} cannot be read: {error}"))),
            }
        }
        if !descriptors.is_empty() && !matches!(kind, Kind::Ready | Kind::Message | Kind::Done) {
            return Err(Fault(format!("{kind:?} came with descriptors")));
        }
        if !self.is_its_turn(kind)? {
            return Ok(());
        }
        match kind {
            Kind::Ready | Kind::Panicked if !payload.is_empty() => {
                return Err(Fault(format!("{kind:?} has bytes behind its end")));
            }
            Kind::Ready => {
                self.taken.tell_by(shared_page(descriptors)?);
                self.running();
            }
            Kind::Refused => {
                let refusal: Refusal = parsed("the refusal", payload)?;
                self.facts.borrow_mut().refusal = Some(refusal);
                self.expect_end();
            }
            Kind::Message => self.sink.message(payload, descriptors.claim())?,
            Kind::Progress => {
                let Progress { done, total, text } = parsed("progress", payload)?;
                self.facts.borrow_mut().progress = (done, total);
                let text = text.map(|text| cut(text, RECORD_MAX));
                self.status.set_progress(done, total, text);
            }
            Kind::Log => {
                let batch: LogBatch = parsed("a batch of log records", payload)?;
                if batch.records.len() > LOG_RECORDS_MAX {
                    return Err(Fault("too many log records at once".to_owned()));
                }
                self.log_batch(batch);
            }
            Kind::Panic => {
                let report: PanicReport = parsed("the report of a panic", payload)?;
                self.facts.borrow_mut().panic = Some(report);
            }
            Kind::Crash => {
                let report = CrashReport::decode(payload)
                    .ok_or_else(|| Fault("the report of a crash cannot be read".to_owned()))?;
                self.facts.borrow_mut().crash = Some(report);
            }
            Kind::CrashFrames => {
                let text = String::from_utf8_lossy(payload).into_owned();
                self.facts.borrow_mut().crash_frames = Some(text);
            }
            Kind::Done => self.answered(Answer::Done(payload.to_vec(), descriptors)),
            Kind::Failed => {
                let failure: Failure = parsed("the job's error", payload)?;
                match failure.chain.len() {
                    0 => return Err(Fault("the job's error says nothing".to_owned())),
                    1..=CAUSES_MAX => self.answered(Answer::Failed(failure)),
                    _ => return Err(Fault("the job's error has too many causes".to_owned())),
                }
            }
            Kind::Panicked => self.answered(Answer::Panicked),
            Kind::Hello | Kind::Input | Kind::Request | Kind::EndOfRequests | Kind::Guard => {
                return Err(Fault(format!("{kind:?} is for the app to say")));
            }
        }
        Ok(())
    }

    /// Whether a frame of this kind may come now, and is still wanted.
    pub(super) fn is_its_turn(&self, kind: Kind) -> Result<bool, Fault> {
        // What may be said at any time: a program has more threads than the job's.
        let aside = matches!(
            kind,
            Kind::Log | Kind::Panic | Kind::Crash | Kind::CrashFrames
        );
        let starting = self.phase.get() == Phase::Starting;
        let facts = self.facts.borrow();
        match kind {
            _ if facts.refusal.is_some() && !aside => {
                Err(Fault(format!("{kind:?} came after the refusal")))
            }
            // The worker's watcher may have been about to say how far the job was.
            Kind::Progress if facts.answer.is_some() => Ok(false),
            _ if facts.answer.is_some() && !aside => {
                Err(Fault(format!("{kind:?} came after the answer")))
            }
            // It takes nothing from the answer.
            Kind::Panic | Kind::Crash | Kind::CrashFrames => Ok(facts.answer.is_none()),
            Kind::Log => Ok(true),
            Kind::Ready if !starting => Err(Fault("a second handshake".to_owned())),
            Kind::Refused if !starting => Err(Fault("a refusal after the handshake".to_owned())),
            Kind::Ready | Kind::Refused => Ok(true),
            _ if starting => Err(Fault(format!("{kind:?} came before the handshake"))),
            _ => Ok(true),
        }
    }

    pub(super) fn running(&self) {
        self.phase.set(Phase::Running);
        self.facts.borrow_mut().ready = true;
        self.due.borrow_mut().handshake = None;
        self.set_alarm();
        self.worker.has_proved_itself();
        if self.facts.borrow().stop.is_none() {
            self.status.set_state(State::Running);
        }
    }

    pub(super) fn answered(&self, answer: Answer) {
        self.facts.borrow_mut().answer = Some(answer);
        self.expect_end();
    }

    /// The child has said its last word: soon it must be gone.
    pub(super) fn expect_end(&self) {
        {
            let mut due = self.due.borrow_mut();
            due.handshake = None;
            due.deadline = None;
            due.end = Some(Instant::now() + END_WITHIN);
        }
        self.set_alarm();
    }

    /// The control socket is not looked at any more.
    pub(super) fn hush(&self) {
        if matches!(self.phase.get(), Phase::Hushed | Phase::Ended) {
            return;
        }
        self.phase.set(Phase::Hushed);
        self.hub.unwatch(self.control.as_fd());
        self.expect_end();
        wake_all(&self.waiting);
    }
}
