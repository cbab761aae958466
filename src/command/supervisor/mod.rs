//! One program, from its start to its one outcome.
//!
//! The supervisor is fed by the hub: what the program writes, room for what it reads, its exit, and an alarm. It
//! consists of parts that own their state, and hands them what they need; what remains here is what follows from what.
//! Nothing is borrowed while the app's code runs.
//!
//! - [`input_writer`] and [`output_reader`]: its standard descriptors, as far as the app has their other ends.
//! - [`progress_reader`]: what it reports of its progress.
//! - [`exit_watch`]: how it exited.
//! - [`stop_steps`]: how it is stopped.
//! - [`drain`]: how long its outputs are read after its end.
//! - [`looks`]: when it is looked whether the app's terminal has stopped it.
//! - [`timers`]: what happens by itself.
//! - [`pipe_capacity`], [`page_advice`], [`no_sigpipe`]: how bytes flow fast, and safely.

mod drain;
mod exit_watch;
mod input_writer;
mod looks;
mod no_sigpipe;
mod output_reader;
mod page_advice;
mod pipe_capacity;
mod progress_reader;
mod stop_steps;
mod timers;

use std::cell::{Cell, RefCell};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

pub(super) use self::drain::Drain;
use self::exit_watch::ExitWatch;
pub(super) use self::input_writer::InputWriter;
pub(super) use self::looks::Looks;
use self::output_reader::Read;
pub(super) use self::output_reader::{KEPT, OutputReader, Rule};
pub(super) use self::progress_reader::ProgressReader;
use self::progress_reader::last_words;
use self::stop_steps::{StopSteps, is_refused};
use self::timers::{Timer, Timers};
use super::exec_helper::{self, ExecHelper, HELPER_WITHIN};
use super::lane::Lane;
use super::outcome::{Ended, Facts, StopReason, Success};
use super::start_error::StartError;
use super::stop::Stop;
use super::terminal;
use crate::child::control::Supervised;
use crate::child::gate::{Newborn, SharedGate};
use crate::child::seat::Seat;
use crate::guardian;
use crate::main_loop::hub::{Entry, Hub, Slice, Token};
use crate::main_loop::mailbox::Outlet;
use crate::model::{State, Status};
use crate::process::class::Class;
use crate::process::{Exit, Process, SharedProcess, Signal, is_held};
use crate::spawn::{SpawnError, Step};
use crate::text::Text;

/// How much is still read after the end, at most, from a pipe that another process holds open (1 MiB).
const LAST_READ: usize = 1024 * 1024;

/// How often a descriptor is looked at for which the kernel has no memory to watch it, or of which the user has too many
/// watched already; see epoll(7), `max_user_watches`.
const POLL_EVERY: Duration = Duration::from_millis(50);

/// What does not change while the program runs.
pub(super) struct Rules {
    pub(super) label: String,
    pub(super) success: Success,
    pub(super) deadline: Option<Duration>,
    pub(super) stall: Option<Duration>,
}

/// The app's ends of its standard descriptors.
pub(super) struct Standards {
    pub(super) input: InputWriter,
    pub(super) stdout: Option<OutputReader>,
    pub(super) stderr: Option<OutputReader>,
    /// The program's side of its terminal, held open until it has ended.
    pub(super) terminal: Cell<Option<OwnedFd>>,
}

impl Standards {
    fn output(&self, lane: Lane) -> Option<&OutputReader> {
        match lane {
            Lane::Errors => self.stderr.as_ref(),
            _ => self.stdout.as_ref(),
        }
    }

    pub(super) fn outputs(&self) -> impl Iterator<Item = &OutputReader> {
        self.stdout.iter().chain(&self.stderr)
    }
}

/// What a running program consists of, handed over by its start.
pub(super) struct Parts {
    pub(super) process: SharedProcess,
    pub(super) pid: u32,
    pub(super) rules: Rules,
    pub(super) stop: Stop,
    pub(super) status: Status,
    pub(super) outcome: Outlet<Ended>,
    pub(super) standards: Standards,
    pub(super) progress: Option<ProgressReader>,
    pub(super) helper: Option<ExecHelper>,
    /// What has to open before the helper is sent its order.
    pub(super) gate: Option<(SharedGate, Option<Class>)>,
    pub(super) drain: Drain,
    pub(super) looks: Looks,
}

/// See the module.
pub(super) struct Supervisor {
    seat: Seat,
    rules: Rules,
    status: Status,
    outcome: Outlet<Ended>,
    standards: Standards,
    progress: Option<ProgressReader>,
    helper: RefCell<Option<ExecHelper>>,
    /// The helper has no order yet.
    at_gate: Cell<bool>,
    exit: ExitWatch,
    stop: StopSteps,
    timers: Timers,
    drain: Drain,
    looks: Looks,
    /// The alarm in the hub, which may ring before the first timer is due.
    alarm: Cell<Option<Instant>>,
    /// What is known by now, for the outcome.
    facts: RefCell<Facts>,
    /// The next cancel is of the wait alone.
    cancel_wait: Arc<AtomicBool>,
}

impl Supervisor {
    /// Takes over a program that has just been started.
    pub(super) fn begin(hub: &Rc<Hub>, parts: Parts) -> Rc<Supervisor> {
        let process = parts.process.clone();
        let waiter = parts.outcome.waker_slot();
        let hang_up = Box::new(move || waiter.hang_up());
        let supervisor = Seat::take(hub, parts.process, parts.pid, hang_up, |seat| Supervisor {
            seat,
            rules: parts.rules,
            status: parts.status,
            outcome: parts.outcome,
            standards: parts.standards,
            progress: parts.progress,
            helper: RefCell::new(parts.helper),
            at_gate: Cell::new(parts.gate.is_some()),
            exit: ExitWatch::default(),
            stop: StopSteps::new(parts.stop),
            timers: Timers::default(),
            drain: parts.drain,
            looks: parts.looks,
            alarm: Cell::new(None),
            facts: RefCell::default(),
            cancel_wait: Arc::default(),
        });
        supervisor.status.begin(parts.pid);
        let has_helper = supervisor.helper.borrow().is_some();
        if !has_helper {
            supervisor.status.set_state(State::Running);
        }
        let (rules, timers) = (&supervisor.rules, &supervisor.timers);
        timers.set(Timer::Deadline, rules.deadline);
        timers.set(Timer::Stall, rules.stall);
        let is_ordered = has_helper && parts.gate.is_none();
        timers.set(Timer::Helper, is_ordered.then_some(HELPER_WITHIN));
        supervisor.looks.set_next(timers);
        // May be its end already.
        supervisor.watch();
        supervisor.set_alarm();
        if let Some((gate, class)) = parts.gate {
            let weak = Rc::downgrade(&supervisor);
            let opened = move |result| {
                if let Some(supervisor) = weak.upgrade() {
                    supervisor.leave_gate(result);
                }
            };
            let pid = parts.pid;
            let child = Newborn {
                process,
                pid,
                class,
            };
            let left = gate.admit(child, Box::new(opened));
            supervisor.seat.at_end(left);
        }
        supervisor
    }

    fn watch(&self) {
        self.outputs().for_each(|output| output.watch(&self.seat));
        let helper = match &*self.helper.borrow() {
            Some(helper) => self.seat.watch(Lane::Helper.token(), helper.as_fd()),
            None => Ok(()),
        };
        if let Err(error) = helper.and(self.seat.watch_exit(Lane::Exit.token())) {
            self.facts.borrow_mut().unwatched = Some(error);
            self.seat.kill();
            self.finish();
        }
        self.write_input();
    }

    /// The process id, while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.seat.pid().filter(|_| self.exit.get().is_none())
    }

    fn set_timer(&self, timer: Timer, after: Option<Duration>) {
        self.timers.set(timer, after);
        self.set_alarm();
    }

    fn set_alarm(&self) {
        let first = self.timers.first();
        self.alarm.set(first);
        self.seat.set_alarm(first);
    }

    // --- standard descriptors -----------------------------------------------------------------

    pub(super) fn input(&self) -> &InputWriter {
        &self.standards.input
    }

    pub(super) fn output(&self, lane: Lane) -> Option<&OutputReader> {
        self.standards.output(lane)
    }

    fn outputs(&self) -> impl Iterator<Item = &OutputReader> {
        self.standards.outputs()
    }

    /// Adds bytes to its input, or ends that.
    pub(super) fn append_input(&self, bytes: &[u8], is_last: bool) {
        if !self.seat.is_copy() {
            self.standards.input.append(bytes);
            if is_last {
                self.standards.input.end();
            }
            self.write_input();
        }
    }

    /// Nobody will write to it any more, except perhaps the stop.
    pub(super) fn end_input(&self) {
        // A program on a terminal was not promised an end: it may never have looked for one.
        if !self.stop.uses_input() && !self.standards.input.is_terminal() {
            self.append_input(&[], true);
        }
    }

    pub(super) fn take_input_fd(&self) -> Option<OwnedFd> {
        self.standards.input.take_fd(&self.seat)
    }

    fn write_input(&self) {
        let waker = self.standards.input.write(&self.seat);
        self.poll_unwatched();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The next that was read of an output.
    pub(super) fn poll_output(&self, lane: Lane, cx: &Context<'_>) -> Poll<Option<Vec<u8>>> {
        let Some(output) = self.output(lane) else {
            return Poll::Ready(None);
        };
        let chunk = output.poll_chunk(cx);
        if chunk.is_ready() {
            self.resume_output(output);
        }
        chunk
    }

    /// Nobody reads this output any more.
    pub(super) fn discard_output(&self, lane: Lane) {
        if let Some(output) = self.output(lane) {
            output.discard();
            self.resume_output(output);
        }
    }

    /// Gives up an output, which somebody else reads from now on: whether anything comes is not known here.
    pub(super) fn take_output_fd(&self, lane: Lane) -> Option<OwnedFd> {
        let fd = self.output(lane)?.take_fd(&self.seat)?;
        self.timers.set(Timer::Stall, None);
        Some(fd)
    }

    /// Watches it again if it was paused and the reader has caught up.
    fn resume_output(&self, output: &OutputReader) {
        if !self.seat.is_copy() && output.is_unwatched() {
            output.watch(&self.seat);
            self.poll_unwatched();
            self.renew_stall();
        }
    }

    /// Has those descriptors looked at soon that the kernel cannot watch.
    fn poll_unwatched(&self) {
        let is_unwatched =
            self.standards.input.is_unwatched() || self.outputs().any(OutputReader::is_unwatched);
        if is_unwatched && !self.timers.is_set(Timer::Poll) {
            self.set_timer(Timer::Poll, Some(POLL_EVERY));
        }
    }

    /// Reads and writes what cannot be watched, and tries to watch it again.
    fn poll(&self, slice: &Slice) {
        self.timers.set(Timer::Poll, None);
        for output in self.outputs().filter(|output| output.is_unwatched()) {
            self.read_output(output, slice);
            self.resume_output(output);
        }
        self.finish_if_drained();
        self.write_input();
    }

    /// Reads while there is something to read, as long as the slice lasts. A reader that is far behind pauses it.
    fn read_output(&self, output: &OutputReader, slice: &Slice) {
        // The parser has its time before there is more for it.
        self.parse_progress(slice);
        while !slice.is_over() && self.read_once(output, false).goes_on {
            self.parse_progress(slice);
        }
    }

    /// Reads while there is something to read, whoever is behind, until it is `most` bytes or more; says how many.
    fn must_read(&self, output: &OutputReader, most: usize, slice: &Slice) -> usize {
        let mut total = 0;
        while total < most {
            let read = self.read_once(output, true);
            total += read.length;
            if !read.goes_on {
                break;
            }
        }
        self.parse_progress(slice);
        total
    }

    fn read_once(&self, output: &OutputReader, must: bool) -> Read {
        let mut read = output.read(&self.seat, self.progress.as_ref(), must);
        if read.length > 0 {
            self.renew_stall();
            self.drain.renew(&self.timers);
        }
        if let Some(waker) = read.waker.take() {
            waker.wake();
        }
        read
    }

    /// Parses what was read, and shows it, within the slice; the rest is done by an alarm.
    fn parse_progress(&self, slice: &Slice) {
        if let Some(progress) = &self.progress {
            progress.parse(slice);
            self.show_progress(false);
            let due = progress.due();
            self.timers.set_at(Timer::Progress, due);
            if due.is_some_and(|due| self.alarm.get().is_none_or(|alarm| due < alarm)) {
                self.set_alarm();
            }
        }
    }

    fn show_progress(&self, last: bool) {
        if self.seat.has_ended() && !last {
            return;
        }
        let step = self
            .progress
            .as_ref()
            .and_then(|progress| progress.take_step(last));
        if let Some(step) = step {
            self.status.set_progress(step.done, step.total, step.text);
        }
    }

    /// It has written, or could not for the app's sake.
    fn renew_stall(&self) {
        // The alarm itself does not move with every read: when it rings too early, nothing is due.
        if self.timers.is_set(Timer::Stall) {
            self.timers.set(Timer::Stall, self.rules.stall);
        }
    }

    fn is_parser_behind(&self) -> bool {
        self.progress
            .as_ref()
            .is_some_and(ProgressReader::is_behind)
    }

    /// Whether it may be silent because of the app, or of somebody who keeps it from running.
    fn waits_for_others(&self) -> bool {
        self.status.paused()
            || self.is_parser_behind()
            || self.outputs().any(OutputReader::is_paused)
            || self.pid().is_some_and(is_held)
    }

    fn check_stall(&self, after: Duration, slice: &Slice) {
        // It may have written what the main loop had no time to look at.
        let has_written = self
            .outputs()
            .any(|output| self.must_read(output, 1, slice) > 0);
        if !has_written {
            self.stop(StopReason::Stalled(after));
        }
    }

    // --- the exec helper ----------------------------------------------------------------------

    /// What it has waited for is there, or never will be.
    fn leave_gate(&self, result: Result<(), Text>) {
        if self.seat.has_ended() || self.seat.is_copy() || !self.at_gate.replace(false) {
            return;
        }
        let refused = |step| move |why| SpawnError::refused(step, why);
        let ordered = match (result, &mut *self.helper.borrow_mut()) {
            (Ok(()), Some(helper)) => (helper.send_order()).map_err(StartError::into_spawn_error),
            (result, _) => result.map_err(refused(Step::Gate)),
        };
        match ordered {
            Ok(()) => self.set_timer(Timer::Helper, Some(HELPER_WITHIN)),
            Err(why) => self.end_helper(Err(why)),
        }
    }

    fn read_helper(&self) {
        let result = match &mut *self.helper.borrow_mut() {
            Some(helper) => helper.read(),
            None => None,
        };
        if let Some(result) = result {
            self.end_helper(result);
        }
    }

    /// The helper has become the program, or never will.
    fn end_helper(&self, result: Result<(), SpawnError>) {
        if let Some(helper) = self.helper.take() {
            // Somebody may hold a copy of its socket, and epoll goes by the open file.
            self.seat.unwatch(helper.as_fd());
        }
        self.set_timer(Timer::Helper, None);
        match result {
            Ok(()) if self.facts.borrow().stop.is_none() => self.status.set_state(State::Running),
            Ok(()) => (),
            Err(why) => {
                self.facts.borrow_mut().not_started = Some(why);
                // What lives on is not the program.
                self.seat.kill();
            }
        }
    }

    // --- stopping -----------------------------------------------------------------------------

    /// What has stopped it, unless that was the app.
    fn stopped_by(&self) -> Option<Signal> {
        let process = || self.seat.with_process(|process| process.stopped_by());
        (!self.status.paused()).then(process).flatten().flatten()
    }

    /// Ends a program that the app's terminal has stopped: no shell knows it, and nobody would continue it.
    fn check_terminal(&self) {
        if let Some(signal @ (Signal::TTIN | Signal::TTOU)) = self.stopped_by() {
            self.stop(StopReason::Terminal(signal));
        }
    }

    /// Stored before its bell rings, it means that only the wait is cancelled.
    pub(super) fn cancel_wait(&self) -> Arc<AtomicBool> {
        self.cancel_wait.clone()
    }

    /// Gives the outcome now, and goes on supervising the program.
    fn end_wait(&self) {
        {
            let mut facts = self.facts.borrow_mut();
            if self.seat.has_ended() || facts.stop.is_some() {
                return;
            }
            facts.wait_cancelled = true;
        }
        let facts = Facts {
            wait_cancelled: true,
            progress: (self.status.done(), self.status.total()),
            ..Facts::default()
        };
        let _ = self.outcome.put(facts.outcome(&self.rules.label));
        self.outcome.close();
    }

    fn stop(&self, reason: StopReason) {
        if self.seat.is_copy() || self.seat.has_ended() {
            return;
        }
        if self.exit.get().is_some() {
            // It has ended by itself. Nobody waits any longer for pipes that another process holds.
            self.drain.cut(&self.timers);
            self.set_alarm();
            return;
        }
        if self.facts.borrow().stop.is_some() {
            return;
        }
        let stopped_by = self.stopped_by();
        {
            let mut facts = self.facts.borrow_mut();
            facts.stop = Some(reason);
            facts.stopped_by = stopped_by;
        }
        self.timers.set(Timer::Look, None);
        self.timers.set(Timer::Deadline, None);
        self.timers.set(Timer::Stall, None);
        self.status.set_state(State::Stopping);
        if self.at_gate.replace(false) {
            // There is no program yet that could be asked.
            self.stop.skip();
        }
        self.take_stop_step();
    }

    fn take_stop_step(&self) {
        if !self.seat.has_ended() {
            match self.stop.take(&self.seat, &self.standards.input) {
                Ok(grace) => {
                    self.set_timer(Timer::StopStep, grace);
                    self.write_input();
                }
                // It is reaped elsewhere, when it ends.
                Err(error) => {
                    self.facts.borrow_mut().unstoppable = Some(error);
                    self.finish();
                }
            }
        }
    }

    // --- the end ------------------------------------------------------------------------------

    fn exited(&self, slice: &Slice) {
        if self.exit.get().is_some() {
            // A nested main loop was quicker.
            return;
        }
        self.read_helper();
        if self.facts.borrow().stop.is_some() {
            // The whole group is to stop, while its number is certainly its own.
            self.seat.kill();
        }
        let end = match self.seat.with_process(Process::try_wait) {
            Some(Ok(Some(exit))) => Ok(exit),
            Some(Err(error)) => Err(error),
            Some(Ok(None)) | None => return,
        };
        self.exit.set(end);
        let out_of_memory = self.seat.with_process(|process| process.is_out_of_memory());
        self.facts.borrow_mut().out_of_memory = out_of_memory == Some(true);
        self.judge_stop();
        self.seat.unwatch_exit();
        guardian::has_ended();
        let mut wakers = self.exit.take_wakers();
        // Nobody reads it any more.
        wakers.extend(self.standards.input.close(&self.seat));
        drop(self.standards.terminal.take());
        self.timers.clear();
        self.drain.begin(&self.timers);
        self.read_last(slice);
        self.status.set_pid(0);
        wakers.into_iter().for_each(Waker::wake);
        self.finish_if_drained();
        self.set_alarm();
    }

    /// It was reaped: was it stopped, and is nothing left of its group?
    fn judge_stop(&self) {
        let mut facts = self.facts.borrow_mut();
        if facts.stop == Some(StopReason::Cancelled) && self.stop.was_refused() {
            // It has ended by itself.
            facts.stop = None;
        }
        if facts.stop.is_some() {
            let kill = |process: &mut Process| process.signal_group(Signal::KILL);
            let killed = self.seat.with_process(kill);
            facts.unstoppable = killed.and_then(Result::err).filter(is_refused);
        }
    }

    /// How it exited, once it has.
    pub(super) fn poll_exit(&self, waker: &Waker) -> Poll<Option<Exit>> {
        match self.exit.get() {
            None if self.seat.has_ended() => Poll::Ready(None),
            _ => self.exit.poll(waker),
        }
    }

    fn read_last(&self, slice: &Slice) {
        for output in self.outputs() {
            self.must_read(output, LAST_READ, slice);
        }
    }

    fn is_drained(&self) -> bool {
        self.outputs().all(OutputReader::is_at_end)
    }

    fn finish_if_drained(&self) {
        if self.exit.get().is_some() && self.is_drained() && !self.is_parser_behind() {
            self.finish();
        }
    }

    /// Reads no longer, whoever still holds the other ends.
    fn end_drain(&self, slice: &Slice) {
        self.read_last(slice);
        if !self.timers.is_due(Timer::Drain, Instant::now()) {
            // There was more.
            return;
        }
        self.timers.set(Timer::Drain, None);
        self.facts.borrow_mut().incomplete = !self.is_drained();
        let wakers: Vec<_> = self
            .outputs()
            .filter_map(|output| output.close(&self.seat))
            .collect();
        wakers.into_iter().for_each(Waker::wake);
        self.finish_if_drained();
    }

    fn finish(&self) {
        if self.seat.has_ended() {
            return;
        }
        let mut wakers = self.exit.take_wakers();
        wakers.extend(self.outputs().filter_map(|output| output.close(&self.seat)));
        wakers.extend(self.standards.input.close(&self.seat));
        drop(self.standards.terminal.take());
        if let Some(helper) = self.helper.take() {
            self.seat.unwatch(helper.as_fd());
        }
        self.seat.leave();
        self.seat.run_at_end();
        wakers.into_iter().for_each(Waker::wake);
        self.show_progress(true);
        let outcome = self.decide();
        let (state, error) = match &outcome {
            Ok(_) => (State::Finished, None),
            Err(error) if error.is_cancelled() => (State::Cancelled, Some(error.copy())),
            Err(error) => (State::Failed, Some(error.copy())),
        };
        let _ = self.outcome.put(outcome);
        self.outcome.close();
        self.status.end(state, error);
    }

    /// Asks the app's code what the exit and the last lines mean: with nothing borrowed.
    fn decide(&self) -> Ended {
        let mut facts = self.facts.take();
        facts.end = self.exit.get();
        facts.progress = (self.status.done(), self.status.total());
        let capture = |output: &Option<OutputReader>| {
            output
                .as_ref()
                .map(OutputReader::capture)
                .unwrap_or_default()
        };
        facts.stdout = capture(&self.standards.stdout);
        facts.stderr = capture(&self.standards.stderr);
        if let Some(status) = facts.deciding_exit() {
            facts.success = (self.rules.success)(status);
            if !facts.success {
                facts.last_words = last_words(self.progress.as_ref(), facts.last_output());
            }
        }
        facts.outcome(&self.rules.label)
    }
}

impl Supervised for Supervisor {
    fn seat(&self) -> &Seat {
        &self.seat
    }

    fn status(&self) -> &Status {
        &self.status
    }

    fn cancel(&self) {
        self.stop(StopReason::Cancelled);
    }

    fn resize_terminal(&self, columns: u16, rows: u16) -> std::io::Result<()> {
        let output = self.standards.stdout.as_ref();
        let set_size = |terminal: &OwnedFd| terminal::set_size(terminal, columns, rows);
        let resized = output.and_then(|output| output.with_fd(set_size));
        resized.unwrap_or_else(|| Err(rustix::io::Errno::NOTTY.into()))
    }

    fn abandon(&self) {
        if !self.facts.borrow().wait_cancelled {
            Supervised::cancel(self);
        }
    }
}

impl Entry for Supervisor {
    fn ready(&self, token: Token, _writable: bool, slice: &Slice) {
        match Lane::of(token) {
            lane @ (Lane::Output | Lane::Errors) => {
                if let Some(output) = self.output(lane) {
                    self.read_output(output, slice);
                }
                self.finish_if_drained();
            }
            Lane::Input => self.write_input(),
            Lane::Exit => self.exited(slice),
            Lane::Helper => self.read_helper(),
        }
    }

    fn alarm(&self, slice: &Slice) {
        self.alarm.set(None);
        // What has happened in time counts, though the main loop was at something else until now.
        self.read_helper();
        if self.seat.is_exit_due() {
            self.exited(slice);
        }
        if self.looks.are_wanted() {
            self.check_terminal();
        }
        let now = Instant::now();
        if self.timers.rings(Timer::Stall, now) && self.waits_for_others() {
            self.renew_stall();
        }
        if self.timers.is_set(Timer::Helper) && self.status.paused() {
            self.timers.set(Timer::Helper, Some(HELPER_WITHIN));
        }
        let [look, progress, poll, helper, deadline, stall, step, drained] = [
            Timer::Look,
            Timer::Progress,
            Timer::Poll,
            Timer::Helper,
            Timer::Deadline,
            Timer::Stall,
            Timer::StopStep,
            Timer::Drain,
        ]
        .map(|timer| self.timers.is_due(timer, now));
        if look {
            self.looks.set_next(&self.timers);
        }
        if progress {
            self.parse_progress(slice);
            self.finish_if_drained();
        }
        if poll {
            self.poll(slice);
        }
        if helper {
            self.end_helper(Err(exec_helper::timed_out()));
        }
        if deadline && let Some(after) = self.rules.deadline {
            self.stop(StopReason::Deadline(after));
        }
        if stall && let Some(after) = self.rules.stall {
            self.check_stall(after, slice);
        }
        if step {
            self.take_stop_step();
        }
        if drained {
            self.end_drain(slice);
        }
        self.set_alarm();
    }

    fn cancel(&self) {
        if self.cancel_wait.swap(false, SeqCst) {
            self.end_wait();
        } else {
            Supervised::cancel(self);
        }
    }

    fn context_gone(&self) {
        self.facts.borrow_mut().context_gone = true;
        self.finish();
    }
}
