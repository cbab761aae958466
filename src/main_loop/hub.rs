//! One epoll descriptor and one source for all the children of a context.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;

use glib::{ControlFlow, MainContext};
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};

use super::guardian::attend;
use super::source::{self, Clock};
use super::{PRIORITY, SLICE, WAKEUPS, WORKERS};
use crate::guardian;
use crate::process::{SharedProcess, own};

/// How many events are looked at in one iteration at most.
const EVENTS: usize = 64;

/// Which of an entry's descriptors is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Lane {
    /// The control socket.
    Control = 0,
    /// The pidfd.
    Exit = 1,
    /// What a worker prints.
    Prints = 2,
    /// A program's standard input.
    Input = 3,
    /// A program's standard output, or its terminal.
    Output = 4,
    /// A program's standard error.
    Errors = 5,
}

/// Whoever has descriptors in a hub. Called from the context's dispatch, with nothing borrowed. What
/// it calls may run a nested main loop, and then it is called again meanwhile.
pub(crate) trait Entry {
    /// A descriptor is ready (again: epoll is level-triggered).
    fn ready(&self, lane: Lane, writable: bool, slice: &Slice);
    /// The time that was set by [`Hub::set_alarm`] has come, perhaps long ago: the main loop may have
    /// been at something else, and what is ready is looked at after this.
    fn alarm(&self, slice: &Slice);
    /// Somebody [asked for its end](Bell::cancel).
    fn cancel(&self);
    /// The context is gone and its children are killed: there will be no other call.
    fn context_gone(&self);
}

/// The part of this iteration that is still ours.
#[derive(Debug)]
pub(crate) struct Slice(Instant);

impl Slice {
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.0
    }
}

/// See the module.
pub(crate) struct Hub {
    id: u64,
    /// Where the context lies, to know it again. It may be gone: then the children know.
    context: usize,
    children: Arc<Children>,
    entries: RefCell<HashMap<u32, Rc<dyn Entry>>>,
    next_key: Cell<u32>,
    alarms: RefCell<BTreeSet<(Instant, u32)>>,
    /// The first of the alarms, as the source knows it.
    clock: Cell<Option<Instant>>,
    events: RefCell<Vec<Event>>,
    turn: Cell<usize>,
}

/// What the hub, its source and its bells have in common; and what must be killed when the context
/// goes away, on whichever thread that happens.
struct Children {
    /// The app. In a process that somebody forked from it, none of this is ours.
    app: u32,
    epoll: OwnedFd,
    /// An eventfd behind it.
    bell: OwnedFd,
    clock: Arc<Clock>,
    processes: Mutex<HashMap<u32, (SharedProcess, HangUp)>>,
    context_gone: AtomicBool,
    /// Those whose end was asked for on another thread.
    cancelled: Mutex<Vec<u32>>,
}

/// What the bell is called behind the epoll descriptor; no entry has as high a number.
const BELL: u64 = u64::MAX;
/// Likewise the guardian, when it has ended.
const GUARDIAN: u64 = u64::MAX - 1;

impl Children {
    fn new() -> io::Result<Children> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &bell, EventData::new_u64(BELL), EventFlags::IN)?;
        // Where that cannot be, its end shows at the next start.
        let _ = guardian::watch(epoll.as_fd(), GUARDIAN);
        Ok(Children {
            app: own::id(),
            epoll,
            bell,
            clock: Clock::new(),
            processes: Mutex::default(),
            context_gone: AtomicBool::new(false),
            cancelled: Mutex::default(),
        })
    }

    /// Has the context look, from any thread.
    fn ring(&self) {
        if self.app == own::id() {
            // Refused only when it has rung for ages.
            let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
        }
    }

    /// Kills them, as nobody will hear of their ends, and tells those who wait on another thread
    /// than the hub's. Who comes second finds nobody.
    fn end(&self, hub: u64) {
        if self.app != own::id() {
            return;
        }
        self.context_gone.store(true, Release);
        let left = std::mem::take(&mut *lock(&self.processes));
        // Nobody is left who could wait for a grace. All are killed before any is reaped.
        for (process, _) in left.values() {
            if let Some(process) = &*lock(process) {
                let _ = process.kill();
            }
        }
        for (process, _) in left.values() {
            drop(lock(process).take());
        }
        match Hub::by_id(hub) {
            Some(hub) => hub.bury(),
            // On another thread: those who wait find out.
            None => left.values().for_each(|(_, hang_up)| hang_up()),
        }
    }
}

/// Asks for the end of one entry, from any thread.
///
/// Keeps neither the hub nor its context alive.
#[derive(Clone)]
pub(crate) struct Bell {
    hub: u64,
    key: u32,
    thread: ThreadId,
    children: Arc<Children>,
}

impl Bell {
    /// On the hub's own thread at once, otherwise in its next iteration.
    pub(crate) fn cancel(&self) {
        if self.thread == thread::current().id() {
            if let Some(hub) = Hub::by_id(self.hub) {
                hub.cancel(self.key);
            }
        } else if !self.children.context_gone.load(Acquire) {
            lock(&self.children.cancelled).push(self.key);
            self.children.ring();
        }
    }
}

thread_local! {
    static HUBS: Hubs = const { Hubs(RefCell::new(Vec::new())) };
}

/// The hubs of a thread. They end with it.
struct Hubs(RefCell<Vec<Rc<Hub>>>);

impl Drop for Hubs {
    fn drop(&mut self) {
        for hub in self.0.take() {
            // The context may be going, too, on another thread: nothing is asked of it.
            hub.children.end(hub.id);
            hub.children.ring();
            // The entries hold the hub in turn.
            drop(hub.forget_entries());
        }
    }
}

/// What ends the waiting of those who wait for a child on another thread than the one that sees
/// the context go away.
pub(crate) type HangUp = Box<dyn Fn() + Send + Sync>;

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Hub {
    /// The hub of this thread's default context, made if there is none. It stays as long as the context
    /// and the thread do, so that one child after the other finds it there.
    pub(crate) fn of_thread_default() -> io::Result<Rc<Hub>> {
        let context = MainContext::ref_thread_default();
        let is_ending = |_| io::Error::other("this thread is ending");
        let hubs = HUBS.try_with(|hubs| hubs.0.borrow().clone());
        let hubs = hubs.map_err(is_ending)?;
        hubs.iter().for_each(|hub| hub.bury());
        let found = hubs.into_iter().find(|hub| hub.is_of(&context));
        if let Some(hub) = found {
            return Ok(hub);
        }
        let id = NEXT_ID.fetch_add(1, Relaxed);
        let children = Arc::new(Children::new()?);
        let last_look = LastLook {
            id,
            children: children.clone(),
        };
        source::attach(
            &context,
            children.epoll.as_fd(),
            children.clock.clone(),
            c"legwork",
            PRIORITY,
            move || last_look.dispatch(),
        );
        let hub = Rc::new(Hub {
            id,
            context: context.as_ptr().addr(),
            children,
            entries: RefCell::default(),
            next_key: Cell::new(0),
            alarms: RefCell::default(),
            clock: Cell::new(None),
            events: RefCell::default(),
            turn: Cell::new(0),
        });
        let known = HUBS.try_with(|hubs| hubs.0.borrow_mut().push(hub.clone()));
        known.map_err(is_ending)?;
        Ok(hub)
    }

    fn by_id(id: u64) -> Option<Rc<Hub>> {
        HUBS.try_with(|hubs| hubs.0.borrow().iter().find(|hub| hub.id == id).cloned())
            .ok()
            .flatten()
    }

    /// Takes the hub of that number out of the thread's.
    fn forget(id: u64) -> Option<Rc<Hub>> {
        HUBS.try_with(|hubs| {
            let mut hubs = hubs.0.borrow_mut();
            let at = hubs.iter().position(|hub| hub.id == id);
            at.map(|at| hubs.swap_remove(at))
        })
        .ok()
        .flatten()
    }

    /// Whether it is the hub of this context. One that came after, and lies at the same place, is
    /// another: the children know since before its memory was given back. And a process that was
    /// forked from the app, and goes on as an app itself, has its own.
    fn is_of(&self, context: &MainContext) -> bool {
        self.context == context.as_ptr().addr()
            && self.children.app == own::id()
            && !self.children.context_gone.load(Acquire)
    }

    /// Takes in a child. The key stands for it until [`leave`](Self::leave). Should the context go
    /// away on another thread, `hang_up` is called there.
    pub(crate) fn enter(
        &self,
        process: &SharedProcess,
        hang_up: HangUp,
        entry: impl FnOnce(u32) -> Rc<dyn Entry>,
    ) {
        let key = self.next_key.get();
        self.next_key.set(key.wrapping_add(1));
        WORKERS.fetch_add(1, Relaxed);
        lock(&self.children.processes).insert(key, (process.clone(), hang_up));
        let entry = entry(key);
        self.entries.borrow_mut().insert(key, entry);
    }

    /// Lets go of a child.
    pub(crate) fn leave(&self, key: u32) {
        let entry = self.entries.borrow_mut().remove(&key);
        if entry.is_none() {
            return;
        }
        WORKERS.fetch_sub(1, Relaxed);
        lock(&self.children.processes).remove(&key);
        self.set_alarm(key, None);
    }

    /// Tells the entries that the context has gone away, if it has.
    pub(crate) fn bury(&self) {
        if self.children.context_gone.load(Acquire) {
            drop(Hub::forget(self.id));
            for entry in self.forget_entries() {
                entry.context_gone();
            }
        }
    }

    fn forget_entries(&self) -> Vec<Rc<dyn Entry>> {
        let entries = self.entries.take();
        WORKERS.fetch_sub(entries.len() as u64, Relaxed);
        entries.into_values().collect()
    }

    /// What asks for an entry's end from elsewhere.
    pub(crate) fn bell(&self, key: u32) -> Bell {
        Bell {
            hub: self.id,
            key,
            thread: thread::current().id(),
            children: self.children.clone(),
        }
    }

    fn cancel(&self, key: u32) {
        let entry = self.entries.borrow().get(&key).cloned();
        if let Some(entry) = entry {
            entry.cancel();
        }
    }

    /// Watches a descriptor. It must be closed, or taken out, before the entry leaves.
    pub(crate) fn watch(&self, key: u32, lane: Lane, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.watch_for(key, lane, fd, EventFlags::IN)
    }

    /// Watches a descriptor for room to write.
    pub(crate) fn watch_room(&self, key: u32, lane: Lane, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.watch_for(key, lane, fd, EventFlags::OUT)
    }

    fn watch_for(
        &self,
        key: u32,
        lane: Lane,
        fd: BorrowedFd<'_>,
        flags: EventFlags,
    ) -> io::Result<()> {
        epoll::add(&self.children.epoll, fd, data(key, lane), flags)?;
        Ok(())
    }

    /// Watches a descriptor for room to write as well, or no longer.
    pub(crate) fn watch_writable(&self, key: u32, lane: Lane, fd: BorrowedFd<'_>, writable: bool) {
        let mut flags = EventFlags::IN;
        flags.set(EventFlags::OUT, writable);
        // Fails only when the descriptor is no longer watched: then nobody waits for room.
        let _ = epoll::modify(&self.children.epoll, fd, data(key, lane), flags);
    }

    pub(crate) fn unwatch(&self, fd: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.children.epoll, fd);
    }

    /// Sets the time at which the entry wants to be called, in place of the one before.
    pub(crate) fn set_alarm(&self, key: u32, at: Option<Instant>) {
        {
            let mut alarms = self.alarms.borrow_mut();
            alarms.retain(|(_, other)| *other != key);
            if let Some(at) = at {
                alarms.insert((at, key));
            }
        }
        self.set_clock();
    }

    /// The source has one clock: it is set to the first alarm.
    fn set_clock(&self) {
        let first = self.alarms.borrow().first().map(|(at, _)| *at);
        if self.clock.replace(first) != first {
            self.children.clock.set(first);
        }
    }

    /// Calls those whose time has come.
    fn ring(&self, now: Instant, slice: &Slice) {
        if self.clock.get().is_none_or(|first| first > now) {
            return;
        }
        loop {
            let due = {
                let mut alarms = self.alarms.borrow_mut();
                let due = alarms.first().copied().filter(|(at, _)| *at <= now);
                due.inspect(|due| {
                    alarms.remove(due);
                })
            };
            let Some((_, key)) = due else { break };
            let entry = self.entries.borrow().get(&key).cloned();
            if let Some(entry) = entry {
                entry.alarm(slice);
            }
        }
        self.set_clock();
    }

    /// Does what the bell was rung for.
    fn answer(&self) {
        // Before the look: whoever rings after it is heard again.
        let _ = rustix::io::read(&self.children.bell, &mut [0; 8]);
        let cancelled = std::mem::take(&mut *lock(&self.children.cancelled));
        for key in cancelled {
            self.cancel(key);
        }
    }

    fn dispatch(&self) {
        WAKEUPS.fetch_add(1, Relaxed);
        let now = Instant::now();
        let slice = Slice(now + SLICE);
        self.ring(now, &slice);
        // Called again from a nested main loop, it finds no vector and makes another.
        let mut events = self.events.take();
        events.clear();
        events.reserve(EVENTS);
        // Does not wait: the main loop has done that. Interrupted is an empty look.
        let _ = epoll::wait(
            &self.children.epoll,
            rustix::buffer::spare_capacity(&mut events),
            Some(&rustix::event::Timespec::default()),
        );
        // Begins at another child each time, so that none is always the last.
        let turn = self.turn.replace(self.turn.get().wrapping_add(1));
        let first = turn.checked_rem(events.len()).unwrap_or(0);
        for event in events[first..].iter().chain(&events[..first]) {
            if event.data.u64() == BELL {
                self.answer();
                continue;
            }
            if event.data.u64() == GUARDIAN {
                attend();
                continue;
            }
            let (key, lane) = split(event.data.u64());
            let entry = self.entries.borrow().get(&key).cloned();
            if let Some(entry) = entry {
                let flags = event.flags;
                entry.ready(lane, flags.contains(EventFlags::OUT), &slice);
            }
            if slice.is_over() {
                // Level-triggered: what was not looked at is ready again.
                break;
            }
        }
        self.events.replace(events);
    }
}

/// What the source's closure owns: it is dropped with the source, also when the context goes away
/// under the children, on whichever thread that is.
struct LastLook {
    id: u64,
    children: Arc<Children>,
}

impl LastLook {
    fn dispatch(&self) -> ControlFlow {
        if self.children.app != own::id() {
            // What is ready behind the epoll descriptor is the app's to read.
            return ControlFlow::Break;
        }
        match Hub::by_id(self.id) {
            Some(hub) => {
                hub.dispatch();
                ControlFlow::Continue
            }
            None if self.children.context_gone.load(Acquire) => ControlFlow::Break,
            // It has rung for one that had just ended. The hub's thread makes another, should it start one again.
            None if lock(&self.children.processes).is_empty() => ControlFlow::Break,
            None => {
                glib::g_critical!(
                    "legwork",
                    "a context is run by another thread than the one that started its children; \
                     they are stopped"
                );
                ControlFlow::Break
            }
        }
    }
}

impl Drop for LastLook {
    fn drop(&mut self) {
        self.children.end(self.id);
    }
}

fn data(key: u32, lane: Lane) -> EventData {
    EventData::new_u64(u64::from(key) << 8 | lane as u64)
}

fn split(data: u64) -> (u32, Lane) {
    let lane = match data as u8 {
        0 => Lane::Control,
        1 => Lane::Exit,
        2 => Lane::Prints,
        3 => Lane::Input,
        4 => Lane::Output,
        _ => Lane::Errors,
    };
    ((data >> 8) as u32, lane)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsFd for Hub {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.children.epoll.as_fd()
    }
}
