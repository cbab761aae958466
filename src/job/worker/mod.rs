//! One worker process, on the app's side: from its birth to its exit, whoever runs in it.
//!
//! It is a state machine fed by the hub: frames, what the process prints, its exit, and an alarm. It
//! knows its job by a trait, [`Tenant`], and hands it the frames that are about it. Nothing of it is
//! borrowed while the app's code runs (a property's notification, a waker), so that code may do
//! anything with the handle, also drop it.
//!
//! - [`link`]: the socket and the page, for any thread.
//! - [`frames`]: which frame may come when.
//! - [`prints`]: what it prints, line by line, and how that and its log come in one order.

mod frames;
mod link;
mod prints;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) use self::frames::parsed;
use self::frames::{Admitted, admit};
pub(super) use self::link::Link;
use self::prints::{BURST as PRINTS_BURST, Prints};
use super::outcome::ProcessFacts;
use crate::child::Worker;
use crate::child::seat::Seat;
use crate::job::lines::Tail;
use crate::main_loop::count_frame;
use crate::main_loop::countdown::Countdown;
use crate::main_loop::hub::{Entry, HangUp, Hub, Slice, Token};
use crate::process::{Process, SharedProcess};
use crate::wire::control::{
    Control, Fault, Packet, Payload, Received, RecvError, Scratch, Unclaimed, Wait,
};
use crate::wire::frame::{JobNumber, Kind, LOG_RECORDS_MAX, LogBatch, LogEntry};

/// How long a worker may take to end once its last job has answered, or once it has closed its control
/// socket.
const END_WITHIN: Duration = Duration::from_secs(2);

/// How many frames of one worker are handled in a row before the others have their turn.
const BURST: usize = 64;

thread_local! {
    /// One per thread, not per worker: nothing stays in it between two calls.
    static SCRATCH: RefCell<Option<Scratch>> = const { RefCell::new(None) };
}

/// Its descriptors, as the hub knows them.
const CONTROL: Token = 0;
const EXIT: Token = 1;
/// Its standard output, and the one after it its standard error.
const PRINTS: Token = 2;

/// A job, as its worker knows it. Called with nothing borrowed.
pub(super) trait Tenant {
    fn number(&self) -> JobNumber;

    /// The app has paused it.
    fn is_paused(&self) -> bool;

    /// The worker is one: the handshake was completed.
    fn ready(&self);

    /// A frame about the job, or one that may come at any time.
    fn frame(
        &self,
        kind: Kind,
        payload: Payload<'_>,
        descriptors: Unclaimed,
    ) -> Result<Progression, Fault>;

    /// A log record, before which others may have been dropped; `None` when only those are to be told.
    fn logged(&self, entry: Option<LogEntry>, dropped: u64);

    /// A line that the worker has printed, to its standard output (0) or error (1).
    fn printed(&self, output: usize, line: String);

    /// The control socket has room.
    fn has_room(&self);

    /// When it wants to be [called](Self::alarm).
    fn due(&self) -> Option<Instant>;

    fn alarm(&self, now: Instant);

    /// Somebody asked for its end.
    fn cancel(&self);

    /// No other frame can be sent to it.
    fn closed(&self);

    /// It has ended: by its answer in a worker that lives on, or with the worker.
    fn ended(&self, with: Option<ProcessFacts>);
}

/// Whether a job goes on after a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progression {
    GoesOn,
    /// It was its last word.
    Answered,
}

/// When something has to happen by itself.
#[derive(Debug, Default)]
struct Due {
    handshake: Option<Countdown>,
    /// Its last job has answered, or its socket is closed.
    end: Option<Countdown>,
}

/// See the module.
pub(super) struct WorkerProcess {
    seat: Seat,
    program: Worker,
    link: Arc<Link>,
    prints: [Prints; 2],
    /// The last of what it has printed.
    tail: Rc<RefCell<Tail>>,
    /// Log records that wait for what was printed before them, each with the number of those that were dropped.
    records: RefCell<VecDeque<(LogEntry, u64)>>,
    handshake: Option<Duration>,
    /// How many jobs it still runs before it ends by itself; `None` for any number.
    jobs_left: Cell<Option<u32>>,
    /// Its control socket is closed; only its exit is waited for.
    closed: Cell<bool>,
    /// Held in the app's descriptor table for the page that comes with the handshake: an app that has
    /// started a job is not to lose it for want of that.
    placeholder: Cell<Option<OwnedFd>>,
    /// How many bytes of frames were in the socket when the process ended. Others may hold its end and
    /// go on; what they say is not the worker's.
    frames_left: Cell<Option<usize>>,
    due: RefCell<Due>,
    facts: RefCell<ProcessFacts>,
    tenant: RefCell<Option<Rc<dyn Tenant>>>,
}

/// What a worker process that has just been started consists of.
pub(super) struct Parts {
    pub(super) program: Worker,
    pub(super) process: SharedProcess,
    pub(super) pid: u32,
    /// The pipes of its standard output and error.
    pub(super) prints: [OwnedFd; 2],
    pub(super) handshake: Option<Duration>,
    /// After how many jobs it ends by itself; `None` for any number.
    pub(super) jobs: Option<u32>,
}

impl WorkerProcess {
    /// Takes over a process that has just been started.
    pub(super) fn new(
        hub: &Rc<Hub>,
        parts: Parts,
        control: Control,
        hang_up: HangUp,
    ) -> Rc<WorkerProcess> {
        let handshake = parts.handshake;
        let tail = Rc::<RefCell<Tail>>::default();
        let [output, errors] = parts.prints;
        Seat::take(hub, parts.process, parts.pid, hang_up, |seat| {
            WorkerProcess {
                seat,
                program: parts.program,
                link: Arc::new(Link::new(control)),
                prints: [Prints::new(0, output, &tail), Prints::new(1, errors, &tail)],
                tail,
                records: RefCell::default(),
                handshake,
                jobs_left: Cell::new(parts.jobs),
                closed: Cell::new(false),
                placeholder: Cell::new(None),
                frames_left: Cell::new(None),
                due: RefCell::new(Due {
                    handshake: handshake.and_then(Countdown::new),
                    end: None,
                }),
                facts: RefCell::default(),
                tenant: RefCell::new(None),
            }
        })
    }

    /// The first job is there: from now on the worker is listened to.
    pub(super) fn begin(&self, tenant: Rc<dyn Tenant>) {
        self.tenant.replace(Some(tenant));
        self.hold_place();
        let watched = (self.seat.watch(CONTROL, self.link.control.as_fd()))
            .and_then(|()| self.prints[0].watch(&self.seat, PRINTS))
            .and_then(|()| self.prints[1].watch(&self.seat, PRINTS + 1))
            .and_then(|()| self.seat.watch_exit(EXIT));
        if let Err(error) = watched {
            // The kernel has no memory for it, or the user no right to more: there will be no events.
            self.facts.borrow_mut().unwatched = Some(error);
            self.finish();
        }
        self.set_alarm();
    }

    /// Another job is there, after the one before has ended. Its start was sent.
    #[cfg(test)]
    fn let_in(&self, tenant: Rc<dyn Tenant>) {
        let before = self.tenant.replace(Some(tenant.clone()));
        assert!(before.is_none(), "one at a time");
        if self.facts.borrow().ready {
            tenant.ready();
        }
        self.set_alarm();
    }

    pub(super) fn seat(&self) -> &Seat {
        &self.seat
    }

    pub(super) fn program(&self) -> &Worker {
        &self.program
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Whether frames can still be sent to it.
    pub(super) fn is_open(&self) -> bool {
        !self.seat.has_ended() && !self.closed.get()
    }

    /// Looks out for room in the control socket, or no longer.
    pub(super) fn watch_room(&self, wanted: bool) {
        let control = self.link.control.as_fd();
        self.seat.watch_writable(CONTROL, control, wanted);
    }

    /// SIGKILL, for the process and its group: its exit is near.
    pub(super) fn force(&self) {
        self.seat.kill();
        self.expect_end();
    }

    /// Sets the one alarm to the first of what is due here and for the job.
    pub(super) fn set_alarm(&self) {
        let tenant = self.tenant().and_then(|tenant| tenant.due());
        let due = self.due.borrow();
        let own = [due.handshake, due.end].into_iter().flatten();
        let first = own.map(|own| own.at()).chain(tenant).min();
        self.seat.set_alarm(first);
    }

    fn is_starting(&self) -> bool {
        !self.closed.get() && !self.facts.borrow().ready
    }

    fn tenant(&self) -> Option<Rc<dyn Tenant>> {
        self.tenant.borrow().clone()
    }

    /// While the handshake is to come.
    fn hold_place(&self) {
        if self.is_starting() {
            self.placeholder.set(self.seat.placeholder());
        }
    }

    /// A job has given its answer: the worker is free for another, or about to end.
    fn job_ended(&self) {
        let left = self.jobs_left.get().map(|left| left.saturating_sub(1));
        self.jobs_left.set(left);
        if left == Some(0) {
            self.expect_end();
        } else if let Some(tenant) = self.tenant.take() {
            tenant.ended(None);
        }
    }

    /// It has said its last word: soon it must be gone.
    fn expect_end(&self) {
        *self.due.borrow_mut() = Due {
            handshake: None,
            end: Countdown::new(END_WITHIN),
        };
        self.set_alarm();
    }

    /// The control socket is not looked at any more.
    fn close(&self) {
        if !self.is_open() {
            return;
        }
        self.closed.set(true);
        self.seat.unwatch(self.link.control.as_fd());
        self.expect_end();
        if let Some(tenant) = self.tenant() {
            tenant.closed();
        }
    }

    // --- what it says -------------------------------------------------------------------------

    /// Handles some frames, once the records of those before have been told; false when there are no more for now.
    fn read_frames(&self, slice: &Slice) -> bool {
        if !self.tell_records(slice) {
            return true;
        }
        let mut scratch = SCRATCH.take().unwrap_or_else(Scratch::new);
        drop(self.placeholder.take());
        let mut more = true;
        for _ in 0..BURST {
            let all_read = self.frames_left.get() == Some(0);
            more = self.is_open() && !all_read && self.read_frame(&mut scratch);
            // Another frame has to wait for the records of this one.
            if !more || !self.tell_records(slice) || slice.is_over() {
                break;
            }
        }
        SCRATCH.set(Some(scratch));
        self.hold_place();
        // Of what is there after that nobody may tell: somebody else may hold the worker's end.
        more && self.frames_left.get() != Some(0) || !self.records.borrow().is_empty()
    }

    /// Whether it has said or printed what was not looked at yet.
    pub(super) fn has_unread(&self) -> bool {
        self.unread_frames() > 0 || self.prints.iter().any(|prints| prints.waiting() > 0)
    }

    /// How many bytes of frames are in the socket.
    fn unread_frames(&self) -> usize {
        rustix::io::ioctl_fionread(&self.link.control).map_or(0, |bytes| bytes as usize)
    }

    /// Handles one frame; false when there was none, or when there will be no other.
    fn read_frame(&self, scratch: &mut Scratch) -> bool {
        let handled = match self.link.control.recv(scratch, Wait::No) {
            Ok(Received::Packet(packet)) => {
                count_frame();
                (self.prints.iter()).for_each(|prints| prints.handled_frame(packet.length));
                let left = self.frames_left.get();
                self.frames_left
                    .set(left.map(|left| left.saturating_sub(packet.length)));
                self.handle(packet)
            }
            Ok(Received::Empty) => return false,
            Ok(Received::Closed) => {
                self.close();
                return false;
            }
            Err(RecvError::Fault(fault)) => Err(fault),
            // The app is short of something, which is not the worker's fault.
            Err(RecvError::Io(error)) => {
                self.facts.borrow_mut().unwatched = Some(error);
                self.give_up();
                return false;
            }
        };
        handled.map_err(|fault| self.refuse(fault)).is_ok()
    }

    /// Something that it said cannot be right: it is not listened to any more. The first fault counts.
    pub(super) fn refuse(&self, fault: Fault) {
        self.facts.borrow_mut().fault.get_or_insert(fault);
        self.give_up();
    }

    fn give_up(&self) {
        self.seat.kill();
        self.close();
    }

    fn handle(&self, packet: Packet<'_>) -> Result<(), Fault> {
        let admitted = admit(packet, &self.facts.borrow())?;
        match admitted {
            Admitted::Ready(page) => {
                self.link.set_page(page);
                let page = self.link.page();
                (self.prints.iter()).for_each(|prints| prints.tell_position(page));
                self.facts.borrow_mut().ready = true;
                self.due.borrow_mut().handshake = None;
                self.set_alarm();
                self.program.has_proved_itself();
                if let Some(tenant) = self.tenant() {
                    tenant.ready();
                }
                Ok(())
            }
            Admitted::Refused(refusal) => {
                self.facts.borrow_mut().refusal = Some(refusal);
                self.expect_end();
                Ok(())
            }
            Admitted::OfJob(kind, packet) => self.hand_over(kind, packet),
        }
    }

    /// To the job that it is about.
    fn hand_over(&self, kind: Kind, packet: Packet<'_>) -> Result<(), Fault> {
        let tenant = self.tenant();
        let running = tenant.as_ref().map(|tenant| tenant.number());
        if running != Some(packet.job) && !kind.is_unprompted() {
            let job = packet.job;
            return Err(Fault(format!(
                "{kind:?} is about job {job}, which is not running"
            )));
        }
        // Other threads than a job's may have something to say after its end.
        let Some(tenant) = tenant else { return Ok(()) };
        if kind == Kind::Log {
            return self.take_records(&*tenant, parsed("a batch of log records", &packet.payload)?);
        }
        let after = tenant.frame(kind, packet.payload, packet.descriptors)?;
        if after == Progression::Answered {
            self.job_ended();
        }
        Ok(())
    }

    fn take_records(&self, tenant: &dyn Tenant, batch: LogBatch) -> Result<(), Fault> {
        if batch.records.len() > LOG_RECORDS_MAX {
            return Err(Fault("too many log records at once".to_owned()));
        }
        if batch.records.is_empty() && batch.dropped > 0 {
            tenant.logged(None, batch.dropped);
        }
        let dropped = std::iter::once(batch.dropped).chain(std::iter::repeat(0));
        (self.records.borrow_mut()).extend(batch.records.into_iter().zip(dropped));
        Ok(())
    }

    /// Hands out the records that wait, each after what was printed before it; false if some still wait.
    fn tell_records(&self, slice: &Slice) -> bool {
        loop {
            let next = (self.records.borrow().front()).map(|(entry, _)| entry.printed);
            let Some(printed) = next else {
                return true;
            };
            for (output, position) in printed.into_iter().enumerate() {
                let prints = &self.prints[output];
                let behind = prints.is_behind(position);
                if behind > 0 {
                    self.read_prints(output, behind, slice);
                }
                // Then there is something to read, which goes on here.
                if slice.is_over() && prints.is_behind(position) > 0 {
                    return false;
                }
            }
            self.tell_next_record();
        }
    }

    fn tell_next_record(&self) {
        let next = self.records.borrow_mut().pop_front();
        if let Some((entry, dropped)) = next
            && let Some(tenant) = self.tenant()
        {
            tenant.logged(Some(entry), dropped);
        }
    }

    /// Reads what it has printed to one output, after the frames that were sent before that.
    fn prints_ready(&self, output: usize, slice: &Slice) {
        let prints = &self.prints[output];
        let turn = prints.begin_turn(|| self.unread_frames());
        if turn.frames > 0 && self.is_open() && self.read_frames(slice) || !self.tell_records(slice)
        {
            return;
        }
        let most = prints.is_behind(turn.until).clamp(1, PRINTS_BURST);
        if !self.read_prints(output, most, slice) {
            self.close_prints(output);
        }
    }

    /// Reads what it has printed, at most `most` bytes; false when there will be no more of it.
    fn read_prints(&self, output: usize, most: usize, slice: &Slice) -> bool {
        let page = self.link.page().map(|page| &**page);
        self.prints[output].read(most, slice, page, |line| self.printed(output, line))
    }

    fn close_prints(&self, output: usize) {
        (self.prints[output]).close(&self.seat, |line| self.printed(output, line));
    }

    fn printed(&self, output: usize, line: String) {
        if let Some(tenant) = self.tenant() {
            tenant.printed(output, line);
        }
    }

    // --- the end ------------------------------------------------------------------------------

    /// What has happened in time counts, though the main loop was at something else until an alarm.
    fn catch_up(&self, slice: &Slice) {
        if self.frames_left.get().is_some() {
            return;
        }
        if self.seat.is_exit_due() {
            self.exited(slice);
        } else if self.is_starting() {
            self.read_frames(slice);
        }
    }

    fn exited(&self, slice: &Slice) {
        // The group first, while its leader is not reaped and its number is its own.
        self.seat.kill();
        let end = match self.seat.with_process(Process::try_wait) {
            // Not its end yet.
            Some(Ok(None)) => return,
            Some(end) => end.transpose(),
            None => None,
        };
        self.facts.borrow_mut().end = end;
        self.seat.unwatch_exit();
        *self.due.borrow_mut() = Due::default();
        self.frames_left.set(Some(self.unread_frames()));
        self.prints.iter().for_each(Prints::ends);
        self.drain(slice);
    }

    /// Reads on after the end. What the worker said and printed just before is there already, so
    /// nothing is waited for; but it may be more than one slice.
    fn drain(&self, slice: &Slice) {
        if self.read_frames(slice) {
            return;
        }
        let more = [0, 1].map(|output| self.read_prints(output, usize::MAX, slice));
        if more == [false; 2] {
            self.finish();
        }
    }

    fn finish(&self) {
        if self.seat.has_ended() {
            return;
        }
        while !self.records.borrow().is_empty() {
            self.tell_next_record();
        }
        (0..self.prints.len()).for_each(|output| self.close_prints(output));
        drop(self.placeholder.take());
        if !self.closed.get() {
            self.seat.unwatch(self.link.control.as_fd());
        }
        if !self.seat.leave() {
            // The app's log handler ran a nested main loop, and was here before.
            return;
        }
        self.seat.run_at_end();
        let tenant = self.tenant.take();
        if let Some(tenant) = tenant {
            tenant.closed();
            let mut facts = self.facts.take();
            facts.output_tail = self.tail.borrow_mut().text();
            tenant.ended(Some(facts));
        }
    }
}

impl Entry for WorkerProcess {
    fn ready(&self, token: Token, writable: bool, slice: &Slice) {
        if writable && let Some(tenant) = self.tenant() {
            tenant.has_room();
        }
        match token {
            _ if self.seat.has_ended() => (),
            _ if self.frames_left.get().is_some() => self.drain(slice),
            CONTROL => drop(self.read_frames(slice)),
            EXIT => self.exited(slice),
            output => self.prints_ready(usize::from(output - PRINTS), slice),
        }
    }

    fn alarm(&self, slice: &Slice) {
        self.catch_up(slice);
        if self.seat.has_ended() {
            return;
        }
        let now = Instant::now();
        let is_due =
            |left: &mut Option<Countdown>| left.as_mut().is_some_and(|left| left.is_over(now));
        let is_paused = self.tenant().is_some_and(|tenant| tenant.is_paused());
        let (handshake, end) = {
            let mut due = self.due.borrow_mut();
            if is_paused && due.handshake.is_some() {
                due.handshake = self.handshake.and_then(Countdown::new);
            }
            (is_due(&mut due.handshake), is_due(&mut due.end))
        };
        if handshake {
            self.facts.borrow_mut().silent_for = self.handshake;
            self.force();
        }
        if let Some(tenant) = self.tenant() {
            tenant.alarm(now);
        }
        if end {
            self.due.borrow_mut().end = None;
            if self.closed.get() && self.frames_left.get().is_none() {
                self.facts.borrow_mut().outlived_socket = true;
            }
            // Cannot be refused: its exit will be told by the pidfd.
            self.seat.kill();
        }
        self.set_alarm();
    }

    fn cancel(&self) {
        if let Some(tenant) = self.tenant() {
            tenant.cancel();
        }
    }

    fn context_gone(&self) {
        self.facts.borrow_mut().context_gone = true;
        self.finish();
    }

    fn thread_gone(&self) {
        let tenant = self.tenant.take();
        drop(tenant);
    }
}
