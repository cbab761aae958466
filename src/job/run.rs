//! One job in a worker, on the app's side: from its start to its one outcome.
//!
//! It knows nothing of the job's types; what concerns them goes to a [`Sink`]. It is its worker's
//! [`Tenant`], and says when that has to be killed. Nothing of it is borrowed while the app's code
//! runs (a sink, a property's notification, a waker), so that code may do anything with the handle,
//! also drop it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::log::{Level, LogRecord, OUTPUTS, Ring};
use super::outcome::{Answer, Facts, ProcessFacts, StopReason};
use super::requests::{Encoded, Requests};
use super::taken::{Arrived, Taken};
use super::worker::{Progression, Tenant, WorkerProcess, parsed};
use crate::child::Error;
use crate::child::control::{Notice, Supervised};
use crate::child::seat::Seat;
use crate::main_loop::countdown::Countdown;
use crate::main_loop::hub::HangUp;
use crate::main_loop::mailbox;
use crate::model::{State, Status};
use crate::process::{Signal, is_held};
use crate::wire::control::{Fault, Payload, Unclaimed};
use crate::wire::frame::{CAUSES_MAX, CrashReport, Failure, JobNumber, Kind, LogEntry, Progress};
use crate::wire::limits::{PROGRESS_MAX, cut};
use crate::wire::nul::lossy;
use crate::worker::{Cancelled, SendError};

/// Called when the app has been told of a job's end, with how it ended.
pub(super) type OnEnd = Box<dyn FnOnce(State, Option<Error>)>;

/// Where the typed part of a job's life goes.
pub(super) trait Sink {
    /// A message. An error ends the job with a protocol fault.
    fn message(&self, message: Arrived) -> Result<(), Fault>;
    /// What ends the waiting for messages and outcome from another thread.
    fn waker_slots(&self) -> [Arc<mailbox::WakerSlot>; 2];
    /// The one outcome. Nothing comes after it. `on_end` is called with how it ended once everything
    /// before it has been delivered: at once, unless a callback that is running is yet to return.
    fn end(&self, outcome: Result<Arrived, Error>, on_end: OnEnd);
}

/// See the module.
pub(super) struct Run {
    worker: Rc<WorkerProcess>,
    number: JobNumber,
    label: String,
    taken: Arc<Taken>,
    deadline: Option<Duration>,
    stall: Option<Duration>,
    grace: Duration,
    status: Status,
    sink: Box<dyn Sink>,
    forward_logs: bool,
    records: Arc<OnceLock<Arc<Ring>>>,
    /// Another thread has asked the job to stop.
    asked_to_stop: Arc<AtomicBool>,
    requests: Requests,
    facts: RefCell<Facts>,
    due: RefCell<Due>,
    /// Something was heard of it since that was last looked at.
    heard: Cell<bool>,
    ended: Cell<bool>,
}

/// When something has to happen by itself.
#[derive(Debug, Default)]
struct Due {
    deadline: Option<Instant>,
    /// Something has to have been heard of it.
    stall: Option<Countdown>,
    /// Its grace is over.
    force: Option<Countdown>,
}

/// What a job that is about to run consists of, beside its worker.
pub(super) struct Parts {
    pub(super) label: String,
    pub(super) taken: Arc<Taken>,
    pub(super) deadline: Option<Duration>,
    pub(super) stall: Option<Duration>,
    pub(super) grace: Duration,
    pub(super) status: Status,
    pub(super) sink: Box<dyn Sink>,
    pub(super) forward_logs: bool,
    /// What other threads use of it.
    pub(super) shared: Shared,
}

/// What of a job is there before its worker is, and is used by other threads.
#[derive(Default)]
pub(super) struct Shared {
    records: Arc<OnceLock<Arc<Ring>>>,
    requests: Requests,
}

impl Shared {
    /// What ends all waiting for the job on another thread than its own.
    pub(super) fn hang_up(&self, sink: &dyn Sink) -> HangUp {
        let (records, wakers) = (self.records.clone(), self.requests.wakers().clone());
        let slots = sink.waker_slots();
        Box::new(move || {
            slots.iter().for_each(|slot| slot.hang_up());
            if let Some(ring) = records.get() {
                ring.end();
            }
            wakers.wake_all();
        })
    }
}

impl Run {
    /// The job runs in `worker` from now on, under this number.
    pub(super) fn new(worker: &Rc<WorkerProcess>, number: JobNumber, parts: Parts) -> Rc<Run> {
        let deadline = parts
            .deadline
            .and_then(|time| Instant::now().checked_add(time));
        Rc::new(Run {
            worker: worker.clone(),
            number,
            label: parts.label,
            taken: parts.taken,
            deadline: parts.deadline,
            stall: parts.stall,
            grace: parts.grace,
            status: parts.status,
            sink: parts.sink,
            forward_logs: parts.forward_logs,
            records: parts.shared.records,
            asked_to_stop: Arc::default(),
            requests: parts.shared.requests,
            facts: RefCell::default(),
            due: RefCell::new(Due {
                deadline,
                ..Due::default()
            }),
            heard: Cell::new(false),
            ended: Cell::new(false),
        })
    }

    /// Sends a request if there is room for it now.
    pub(super) fn try_send(&self, request: &Encoded) -> Result<bool, SendError> {
        if self.is_stopping() {
            Err(Cancelled.into())
        } else if self.is_open() {
            (self.requests).try_send(&self.worker, self.number, request)
        } else {
            Err(SendError::ended())
        }
    }

    /// Sends a request, or is called again when there is room.
    pub(super) fn poll_send(
        &self,
        request: &Encoded,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        match self.try_send(request) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => {
                self.requests.wait(&self.worker, cx.waker());
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// No more requests will come.
    pub(super) fn end_requests(&self) {
        if self.is_open() && !self.seat().is_copy() {
            self.requests.end(&self.worker, self.number);
        }
    }

    /// Whether it has not ended, and can be talked to.
    fn is_open(&self) -> bool {
        !self.ended.get() && self.worker.is_open()
    }

    /// Whether it was asked to stop.
    fn is_stopping(&self) -> bool {
        self.facts.borrow().stop.is_some() || self.asked_to_stop.load(SeqCst)
    }

    /// The child's process id, while the job lives.
    pub(super) fn pid(&self) -> Option<u32> {
        self.worker.seat().pid().filter(|_| !self.ended.get())
    }

    /// The records from now on, for somebody who reads them.
    pub(super) fn records(&self) -> Arc<Ring> {
        self.records.get_or_init(Arc::default).clone()
    }

    /// Asks the job to stop, and has it forced when its grace is over. The first reason counts.
    fn stop(&self, reason: StopReason) {
        if self.ended.get() || self.worker.seat().is_copy() {
            return;
        }
        {
            let mut facts = self.facts.borrow_mut();
            if facts.stop.is_some() {
                return;
            }
            facts.stop = Some(reason);
        }
        self.worker.link().cancel(self.number);
        // A stopped job sees it when it continues.
        let _ = self.seat().signal(Signal::CONT);
        *self.due.borrow_mut() = Due {
            force: Countdown::new(self.grace),
            ..Due::default()
        };
        self.worker.set_alarm();
        // No request is sent any more.
        self.requests.wakers().wake_all();
        self.status.set_state(State::Stopping);
    }

    /// Whether it may be silent because of the app, or of somebody who keeps it from running.
    fn waits_for_others(&self) -> bool {
        self.status.paused() || self.taken.is_behind() || self.pid().is_some_and(is_held)
    }

    fn log(&self, record: LogRecord) {
        self.heard.set(true);
        if self.forward_logs
            && let Some(pid) = self.worker.seat().pid()
        {
            record.to_glib(&self.label, pid);
        }
        if let Some(ring) = self.records.get() {
            ring.push(record);
        }
    }

    /// Whether a frame of this kind may come now, and is still wanted.
    fn is_its_turn(&self, kind: Kind) -> Result<bool, Fault> {
        let answered = self.facts.borrow().answer.is_some();
        match kind {
            // It takes nothing from the answer. And the worker's watcher may have been about to tell
            // the progress.
            _ if kind.is_unprompted() || kind == Kind::Progress => Ok(!answered),
            _ if answered => Err(Fault(format!("{kind:?} came after the answer"))),
            _ => Ok(true),
        }
    }

    fn answered(&self, answer: Answer) -> Progression {
        self.facts.borrow_mut().answer = Some(answer);
        let mut due = self.due.borrow_mut();
        (due.deadline, due.stall) = (None, None);
        Progression::Answered
    }

    /// What of the progress the app was not told by frames, because the worker died before.
    fn take_last_progress(&self) {
        if self.facts.borrow().answer.is_some() {
            return;
        }
        let Some(page) = self.worker.link().page() else {
            return;
        };
        if page.started() != self.number {
            return;
        }
        let last = page.snapshot();
        self.facts.borrow_mut().progress = (last.done, last.total);
        let text = Some(cut(last.text, PROGRESS_MAX)).filter(|text| !text.is_empty());
        self.status.set_progress(last.done, last.total, text);
    }
}

impl Supervised for Run {
    fn seat(&self) -> &Seat {
        self.worker.seat()
    }

    fn status(&self) -> &Status {
        &self.status
    }

    fn cancel(&self) {
        self.stop(StopReason::Cancelled);
    }

    fn notice(&self) -> Option<Notice> {
        let (link, number) = (Arc::downgrade(self.worker.link()), self.number);
        let asked = self.asked_to_stop.clone();
        Some(Arc::new(move || {
            if let Some(link) = link.upgrade()
                && link.control.is_own()
            {
                asked.store(true, SeqCst);
                link.cancel(number);
            }
        }))
    }
}

impl Tenant for Run {
    fn number(&self) -> JobNumber {
        self.number
    }

    fn is_paused(&self) -> bool {
        self.status.paused()
    }

    fn ready(&self) {
        if let Some(page) = self.worker.link().page() {
            self.taken.tell_by(page, self.number);
        }
        if !self.is_stopping() {
            self.due.borrow_mut().stall = self.stall.and_then(Countdown::new);
            self.worker.set_alarm();
            self.status.set_state(State::Running);
        }
    }

    fn frame(
        &self,
        kind: Kind,
        payload: Payload<'_>,
        descriptors: Unclaimed,
    ) -> Result<Progression, Fault> {
        self.heard.set(true);
        if !self.is_its_turn(kind)? {
            return Ok(Progression::GoesOn);
        }
        match kind {
            Kind::Message => self.sink.message(Arrived::new(payload, descriptors))?,
            Kind::Progress => {
                let Progress { done, total, text } = parsed("progress", &payload)?;
                self.facts.borrow_mut().progress = (done, total);
                let text = text.map(|text| cut(text, PROGRESS_MAX));
                self.status.set_progress(done, total, text);
            }
            Kind::Panic => {
                let report = parsed("the report of a panic", &payload)?;
                self.facts.borrow_mut().panic = Some(report);
            }
            Kind::Crash => {
                let report = CrashReport::decode(&payload)
                    .ok_or_else(|| Fault("the report of a crash cannot be read".to_owned()))?;
                self.facts.borrow_mut().crash = Some(report);
            }
            Kind::CrashFrames => {
                let text = lossy(&payload);
                self.facts.borrow_mut().crash_frames = Some(text);
            }
            Kind::Done => {
                let output = Arrived::new(payload, descriptors);
                return Ok(self.answered(Answer::Done(output)));
            }
            Kind::Failed => {
                let failure: Failure = parsed("the job's error", &payload)?;
                return match failure.chain.len() {
                    0 => Err(Fault("the job's error says nothing".to_owned())),
                    1..=CAUSES_MAX => Ok(self.answered(Answer::Failed(failure))),
                    _ => Err(Fault("the job's error has too many causes".to_owned())),
                };
            }
            Kind::Panicked if payload.is_empty() => return Ok(self.answered(Answer::Panicked)),
            Kind::Panicked => return Err(Fault("Panicked has bytes after its end".to_owned())),
            Kind::Refused => {
                let refusal = parsed("the refusal", &payload)?;
                return Ok(self.answered(Answer::Refused(refusal)));
            }
            other => return Err(Fault(format!("{other:?} is not about a job"))),
        }
        Ok(Progression::GoesOn)
    }

    fn logged(&self, entry: Option<LogEntry>, dropped: u64) {
        let record = match entry {
            Some(entry) => LogRecord::from_entry(entry, dropped),
            None => LogRecord {
                level: Level::Warn,
                dropped,
                ..LogRecord::plain("legwork", format!("{dropped} log records were dropped"))
            },
        };
        self.log(record);
    }

    fn printed(&self, output: usize, line: String) {
        self.log(LogRecord::plain(OUTPUTS[output], line));
    }

    fn has_room(&self) {
        self.requests.use_room(&self.worker, self.number);
    }

    fn due(&self) -> Option<Instant> {
        let due = self.due.borrow();
        let [stall, force] = [due.stall, due.force].map(|left| left.map(|left| left.at()));
        [due.deadline, stall, force].into_iter().flatten().min()
    }

    fn alarm(&self, now: Instant) {
        let is_over =
            |left: &mut Option<Countdown>| left.as_mut().is_some_and(|left| left.is_over(now));
        let (deadline, stall, force) = {
            let mut due = self.due.borrow_mut();
            if due.stall.is_some_and(|left| left.at() <= now) && self.heard.take() {
                due.stall = self.stall.and_then(Countdown::new);
            }
            let deadline = due.deadline.is_some_and(|at| at <= now);
            (deadline, is_over(&mut due.stall), is_over(&mut due.force))
        };
        if deadline && let Some(after) = self.deadline {
            self.stop(StopReason::Deadline(after));
        }
        if stall && let Some(time) = self.stall {
            // It may have said what the main loop had no time to look at.
            if self.waits_for_others() || self.worker.has_unread() {
                self.due.borrow_mut().stall = Countdown::new(time);
            } else {
                self.stop(StopReason::Silent(time));
            }
        }
        if force {
            self.due.borrow_mut().force = None;
            self.worker.force();
        }
    }

    fn cancel(&self) {
        match self.taken.fault() {
            Some(fault) => self.worker.refuse(fault.clone()),
            None => self.stop(StopReason::Cancelled),
        }
    }

    fn closed(&self) {
        self.requests.wakers().wake_all();
    }

    fn ended(&self, with: Option<ProcessFacts>) {
        if self.ended.replace(true) {
            return;
        }
        if with.is_some() {
            self.take_last_progress();
        }
        let mut facts = self.facts.take();
        // Without a page nobody can tell.
        facts.started =
            (self.worker.link().page()).is_some_and(|page| page.started() >= self.number);
        facts.process = with.unwrap_or_default();
        let fault = facts.process.fault.take();
        facts.process.fault = fault.or_else(|| self.taken.fault().cloned());
        if self.asked_to_stop.load(SeqCst) {
            // It may have been quicker to end than the bell was to ring here.
            facts.stop.get_or_insert(StopReason::Cancelled);
        }
        let (status, records) = (self.status.clone(), self.records.clone());
        let on_end = move |state, error| {
            if let Some(ring) = records.get() {
                ring.end();
            }
            status.end(state, error);
        };
        let outcome = facts.outcome(&self.label, self.worker.program());
        self.sink.end(outcome, Box::new(on_end));
    }
}
