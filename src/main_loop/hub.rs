//! One epoll descriptor and one source for all the children of a context.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::Instant;

use glib::{ControlFlow, MainContext};
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::retry_on_intr;

use super::alarms::Alarms;
use super::guardian::attend;
use super::source::{self, Clock};
use super::turns::Turns;
use super::{PRIORITY, SLICE, WAKEUPS, WORKERS};
use crate::guardian;
use crate::process::{SharedProcess, own};

/// How many descriptors one call of epoll_wait(2) reports at most.
const EVENTS: usize = 64;

/// What an entry calls one of its descriptors. The hub hands it back and does not interpret it.
pub(crate) type Token = u8;

/// Owns descriptors that a hub watches. Called from the context's dispatch, with nothing borrowed. What
/// it calls may run a nested main loop, and then it is called again meanwhile.
pub(crate) trait Entry {
    /// A descriptor is ready (again: epoll is level-triggered). It may have been emptied meanwhile.
    fn ready(&self, token: Token, writable: bool, slice: &Slice);
    /// The time that was set by [`Hub::set_alarm`] has come, perhaps long ago: the main loop may have
    /// been busy, and what is ready is handled after this.
    fn alarm(&self, slice: &Slice);
    /// Somebody [asked for its end](Canceller::cancel).
    fn cancel(&self);
    /// The context is gone and its children are killed: there will be no other call.
    fn context_gone(&self);
    /// The thread is ending, and nobody is left to be notified: drops what refers to this entry in turn.
    fn thread_gone(&self) {}
}

/// The part of this iteration that is still ours.
#[derive(Debug)]
pub(crate) struct Slice(pub(crate) Instant);

impl Slice {
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.0
    }
}

/// See the module.
pub(crate) struct Hub {
    id: u64,
    /// The address of the context, to recognise it. It may be gone: then `shared` knows.
    context: usize,
    shared: Arc<Shared>,
    entries: RefCell<HashMap<u32, Rc<dyn Entry>>>,
    next_key: Cell<u32>,
    alarms: RefCell<Alarms>,
    /// The first of the alarms, as the source knows it.
    clock: Cell<Option<Instant>>,
    ready: Turns<Event>,
}

/// What the hub, its source and its cancellers share; and what must be killed when the context goes
/// away, on whichever thread that happens.
struct Shared {
    /// The app. In a process that somebody forked from it, none of this is ours.
    app: u32,
    /// That of the hub.
    thread: ThreadId,
    epoll: OwnedFd,
    /// An eventfd that it watches.
    wakeup: OwnedFd,
    clock: Arc<Clock>,
    processes: Mutex<HashMap<u32, (SharedProcess, HangUp)>>,
    context_gone: AtomicBool,
    /// Those whose end was asked for on another thread.
    cancelled: Mutex<Vec<u32>>,
    /// Futures that have had their slice, and go on in the next dispatch.
    paused: Mutex<Vec<Waker>>,
}

/// The eventfd, as epoll knows it; no entry has as high a number.
const WAKEUP: u64 = u64::MAX;
/// The guardian, whose end it watches for.
const GUARDIAN: u64 = u64::MAX - 1;

impl Shared {
    fn new() -> io::Result<Shared> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wakeup = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &wakeup, EventData::new_u64(WAKEUP), EventFlags::IN)?;
        // If that fails, the next start notices its end.
        let _ = guardian::watch(epoll.as_fd(), GUARDIAN);
        Ok(Shared {
            app: own::id(),
            thread: thread::current().id(),
            epoll,
            wakeup,
            clock: Clock::new(),
            processes: Mutex::default(),
            context_gone: AtomicBool::new(false),
            cancelled: Mutex::default(),
            paused: Mutex::default(),
        })
    }

    /// Wakes the context, from any thread.
    fn wake(&self) {
        if self.app == own::id() {
            // Fails only when it was written to 2^64-2 times.
            let _ = retry_on_intr(|| rustix::io::write(&self.wakeup, &1_u64.to_ne_bytes()));
        }
    }

    /// Whether this is the hub's thread.
    fn is_here(&self) -> bool {
        self.thread == thread::current().id()
    }

    /// Lets the futures go on that have had their slice.
    fn resume(&self) {
        let paused = std::mem::take(&mut *lock(&self.paused));
        paused.into_iter().for_each(Waker::wake);
    }

    /// Kills the children, as nobody will hear of their ends, and wakes whoever waits on another thread
    /// than the hub's. A second call finds no shared.
    fn end(&self, hub: u64) {
        if self.app != own::id() {
            return;
        }
        self.context_gone.store(true, Release);
        self.resume();
        let left = std::mem::take(&mut *lock(&self.processes));
        // Nobody could wait for a grace to end. All are killed before the first is reaped.
        for (process, _) in left.values() {
            if let Some(process) = &*lock(process) {
                let _ = process.kill();
            }
        }
        for (process, _) in left.values() {
            drop(lock(process).take());
        }
        match Hub::by_id(hub) {
            Some(hub) => hub.notice_context_gone(),
            // On another thread: wakes those who wait.
            None => left.values().for_each(|(_, hang_up)| hang_up()),
        }
    }
}

/// Asks for the end of one entry, from any thread.
///
/// Keeps neither the hub nor its context alive.
#[derive(Clone)]
pub(crate) struct Canceller {
    hub: u64,
    key: u32,
    shared: Weak<Shared>,
}

impl Canceller {
    /// On the hub's own thread at once, otherwise in its next iteration.
    pub(crate) fn cancel(&self) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        if shared.is_here() {
            if let Some(hub) = Hub::by_id(self.hub) {
                hub.cancel(self.key);
            }
        } else if !shared.context_gone.load(Acquire) {
            lock(&shared.cancelled).push(self.key);
            shared.wake();
        }
    }
}

/// The slice of a future that takes what a child has sent: after that, the main loop has its turn. A future that is
/// always ready would else keep it from all that has a lower priority, and so from drawing.
#[derive(Default)]
pub(crate) struct Pace {
    shared: Weak<Shared>,
    /// When it has begun to take without a pause.
    since: Option<Instant>,
}

impl Pace {
    /// To be called before the future takes something, or waits because there is nothing. Pending when the slice is over:
    /// the future is woken in the hub's next dispatch. On another thread, or in another executor, no main loop waits for
    /// it: there it always is ready.
    pub(crate) fn poll(&mut self, cx: &Context<'_>, is_there: bool) -> Poll<()> {
        if !is_there {
            self.since = None;
            return Poll::Ready(());
        }
        let now = Instant::now();
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) < SLICE {
            return Poll::Ready(());
        }
        self.since = None;
        let shared = self.shared.upgrade();
        let Some(shared) = shared.filter(|shared| shared.is_here() && glib::main_depth() > 0)
        else {
            return Poll::Ready(());
        };
        // Cloned with nothing locked: that is the app's code.
        let waker = cx.waker().clone();
        lock(&shared.paused).push(waker);
        if shared.context_gone.load(Acquire) {
            return Poll::Ready(());
        }
        shared.wake();
        Poll::Pending
    }
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pace").finish_non_exhaustive()
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
            // Another thread may be freeing the context: GLib is not called with it.
            hub.shared.end(hub.id);
            hub.shared.wake();
            // The entries refer to the hub in turn.
            for entry in hub.forget_entries() {
                entry.thread_gone();
            }
        }
    }
}

/// Wakes those who wait for a child on another thread than the one that sees the context go away.
pub(crate) type HangUp = Box<dyn Fn() + Send + Sync>;

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Hub {
    /// Returns the hub of this thread's default context, and creates it if there is none. It lives as
    /// long as the context and the thread.
    pub(crate) fn of_thread_default() -> io::Result<Rc<Hub>> {
        let context = MainContext::ref_thread_default();
        let is_ending = |_| io::Error::other("this thread is ending");
        let hubs = HUBS.try_with(|hubs| hubs.0.borrow().clone());
        let hubs = hubs.map_err(is_ending)?;
        hubs.iter().for_each(|hub| hub.notice_context_gone());
        let found = hubs.into_iter().find(|hub| hub.is_of(&context));
        if let Some(hub) = found {
            return Ok(hub);
        }
        let id = NEXT_ID.fetch_add(1, Relaxed);
        let shared = Arc::new(Shared::new()?);
        let dispatcher = Dispatcher {
            id,
            shared: shared.clone(),
        };
        source::attach(
            &context,
            shared.epoll.as_fd(),
            shared.clock.clone(),
            c"legwork",
            PRIORITY,
            move || dispatcher.dispatch(),
        );
        let hub = Rc::new(Hub {
            id,
            context: context.as_ptr().addr(),
            shared,
            entries: RefCell::default(),
            next_key: Cell::new(0),
            alarms: RefCell::default(),
            clock: Cell::new(None),
            ready: Turns::new(),
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

    /// Removes a hub from those of the thread.
    fn forget(id: u64) -> Option<Rc<Hub>> {
        HUBS.try_with(|hubs| {
            let mut hubs = hubs.0.borrow_mut();
            let at = hubs.iter().position(|hub| hub.id == id);
            at.map(|at| hubs.swap_remove(at))
        })
        .ok()
        .flatten()
    }

    /// Whether it is the hub of this context. A later context at the same address is a different one:
    /// `context_gone` was set before the memory was freed. A process that was forked from the app, and
    /// goes on as an app itself, needs hubs of its own.
    fn is_of(&self, context: &MainContext) -> bool {
        self.context == context.as_ptr().addr()
            && self.shared.app == own::id()
            && !self.shared.context_gone.load(Acquire)
    }

    /// A key for a child that is about to [enter](Self::enter).
    pub(crate) fn new_key(&self) -> u32 {
        let key = self.next_key.get();
        self.next_key.set(key.wrapping_add(1));
        key
    }

    /// Adds a child. The key stands for it until [`leave`](Self::leave). If the context goes away on
    /// another thread, `hang_up` is called there.
    pub(crate) fn enter(
        &self,
        key: u32,
        process: SharedProcess,
        hang_up: HangUp,
        entry: Rc<dyn Entry>,
    ) {
        WORKERS.fetch_add(1, Relaxed);
        lock(&self.shared.processes).insert(key, (process, hang_up));
        self.entries.borrow_mut().insert(key, entry);
    }

    /// Removes a child.
    pub(crate) fn leave(&self, key: u32) {
        let entry = self.entries.borrow_mut().remove(&key);
        if entry.is_none() {
            return;
        }
        WORKERS.fetch_sub(1, Relaxed);
        lock(&self.shared.processes).remove(&key);
        self.set_alarm(key, None);
    }

    /// Tells the entries that the context has gone away, if it has.
    pub(crate) fn notice_context_gone(&self) {
        if self.shared.context_gone.load(Acquire) {
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

    /// Returns what asks for an entry's end from any thread.
    pub(crate) fn canceller(&self, key: u32) -> Canceller {
        Canceller {
            hub: self.id,
            key,
            shared: Arc::downgrade(&self.shared),
        }
    }

    /// Returns the slice of a future.
    pub(crate) fn pace(&self) -> Pace {
        Pace {
            shared: Arc::downgrade(&self.shared),
            since: None,
        }
    }

    fn cancel(&self, key: u32) {
        let entry = self.entries.borrow().get(&key).cloned();
        if let Some(entry) = entry {
            entry.cancel();
        }
    }

    /// Watches a descriptor for something to read. It must be closed or unwatched before the entry leaves.
    pub(crate) fn watch(&self, key: u32, token: Token, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.watch_for(key, token, fd, EventFlags::IN)
    }

    /// Watches a descriptor for room to write.
    pub(crate) fn watch_room(&self, key: u32, token: Token, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.watch_for(key, token, fd, EventFlags::OUT)
    }

    fn watch_for(
        &self,
        key: u32,
        token: Token,
        fd: BorrowedFd<'_>,
        flags: EventFlags,
    ) -> io::Result<()> {
        epoll::add(&self.shared.epoll, fd, data(key, token), flags)?;
        Ok(())
    }

    /// Watches a descriptor that is watched already for room to write as well, or no longer for that.
    pub(crate) fn watch_writable(
        &self,
        key: u32,
        token: Token,
        fd: BorrowedFd<'_>,
        writable: bool,
    ) {
        let mut flags = EventFlags::IN;
        flags.set(EventFlags::OUT, writable);
        // Fails only when the descriptor is no longer watched: then nobody waits for room.
        let _ = epoll::modify(&self.shared.epoll, fd, data(key, token), flags);
    }

    pub(crate) fn unwatch(&self, fd: BorrowedFd<'_>) {
        let _ = epoll::delete(&self.shared.epoll, fd);
    }

    /// Sets the time at which the entry is called, and replaces the one before.
    pub(crate) fn set_alarm(&self, key: u32, at: Option<Instant>) {
        self.alarms.borrow_mut().set(key, at);
        self.set_clock();
    }

    /// The source has one clock: it is set to the first alarm.
    fn set_clock(&self) {
        let first = self.alarms.borrow().first();
        if self.clock.replace(first) != first {
            self.shared.clock.set(first);
        }
    }

    /// Calls those whose time has come.
    fn call_due(&self, now: Instant, slice: &Slice) {
        if self.clock.get().is_none_or(|first| first > now) {
            return;
        }
        loop {
            let due = self.alarms.borrow_mut().take_due(now);
            let Some(key) = due else { break };
            let entry = self.entries.borrow().get(&key).cloned();
            if let Some(entry) = entry {
                entry.alarm(slice);
            }
        }
        self.set_clock();
    }

    /// Handles what the eventfd was written to for.
    fn woken(&self) {
        // Before the list is looked at: whoever writes after that wakes the hub again.
        let _ = rustix::io::read(&self.shared.wakeup, &mut [0; 8]);
        self.cancel_asked();
    }

    fn cancel_asked(&self) {
        let cancelled = std::mem::take(&mut *lock(&self.shared.cancelled));
        for key in cancelled {
            self.cancel(key);
        }
    }

    fn dispatch(&self) {
        WAKEUPS.fetch_add(1, Relaxed);
        let now = Instant::now();
        let slice = Slice(now + SLICE);
        // Alarms and cancels come first, however many children have something to say.
        self.call_due(now, &slice);
        self.cancel_asked();
        self.shared.resume();
        let call = |event| self.call(&event, &slice);
        self.ready
            .take(|ready| self.look(ready), call, || slice.is_over());
    }

    /// Asks epoll what is ready. It does not wait: the main loop has done that. When it is interrupted,
    /// nothing is ready.
    fn look(&self, ready: &mut VecDeque<Event>) {
        let mut events = [const { MaybeUninit::<Event>::uninit() }; EVENTS];
        let now = rustix::event::Timespec::default();
        if let Ok((events, _)) = epoll::wait(&self.shared.epoll, &mut events, Some(&now)) {
            ready.extend(events.iter().copied());
        }
    }

    fn call(&self, event: &Event, slice: &Slice) {
        let data = event.data.u64();
        match data {
            WAKEUP => return self.woken(),
            GUARDIAN => return attend(),
            _ => (),
        }
        let entry = self.entries.borrow().get(&((data >> 8) as u32)).cloned();
        if let Some(entry) = entry {
            let flags = event.flags;
            entry.ready(data as Token, flags.contains(EventFlags::OUT), slice);
        }
    }
}

/// What the source's closure owns: it is dropped with the source, also if the context goes away before
/// the children, on whichever thread that happens.
struct Dispatcher {
    id: u64,
    shared: Arc<Shared>,
}

impl Dispatcher {
    fn dispatch(&self) -> ControlFlow {
        if self.shared.app != own::id() {
            // What is ready is for the app to read, not for its copy.
            return ControlFlow::Break;
        }
        match Hub::by_id(self.id) {
            Some(hub) => {
                hub.dispatch();
                ControlFlow::Continue
            }
            None if self.shared.context_gone.load(Acquire) => ControlFlow::Break,
            // Woken for a child that has just ended. The hub's thread creates another hub when it needs one.
            None if lock(&self.shared.processes).is_empty() => ControlFlow::Break,
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

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.shared.end(self.id);
    }
}

fn data(key: u32, token: Token) -> EventData {
    EventData::new_u64(u64::from(key) << 8 | u64::from(token))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsFd for Hub {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.epoll.as_fd()
    }
}
