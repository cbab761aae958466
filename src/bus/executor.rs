//! Runs the tasks of connections on one main context.
//!
//! It has a queue of tasks that are to be polled, the timers, and an epoll descriptor for all sockets. One `GSource`
//! watches that, as for children, and handles at most a slice per iteration. Every thread may add to it: an eventfd
//! wakes the context, unless the thread is the one that runs it.
//!
//! It belongs to its source, and ends with the context: then all tasks are dropped, so that whoever waits for a
//! connection on another thread gets an error.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use async_task::Runnable;
use glib::ControlFlow;
use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::retry_on_intr;

use super::readiness::{Direction, Readiness};
use super::timers::Timers;
use crate::main_loop::SLICE;
use crate::main_loop::hub::Slice;
use crate::main_loop::source::{self, Clock};
use crate::process::own;

/// How often tasks are polled in one iteration of the main loop, at most.
const POLLS: usize = 64;
/// How many descriptors one call of epoll_wait(2) reports at most.
const EVENTS: usize = 64;
/// The eventfd, as epoll knows it; no socket has as high a number.
const WAKEUP: u64 = u64::MAX;

/// See the module.
pub(super) struct Executor {
    /// The app. In a process that somebody forked from it, none of this is ours.
    app: u32,
    /// The address of the context, to recognise it. It may be gone: then `gone` is set.
    context: usize,
    priority: i32,
    pub(super) epoll: OwnedFd,
    /// An eventfd that it watches.
    wakeup: OwnedFd,
    clock: Arc<Clock>,
    gone: AtomicBool,
    next_key: AtomicU64,
    queue: Mutex<VecDeque<Runnable>>,
    /// Futures outside that have had their slice, and go on in the next dispatch.
    paused: Mutex<Vec<Waker>>,
    /// All tasks that have not ended, by what wakes them.
    pub(super) tasks: Mutex<HashMap<u64, Waker>>,
    pub(super) timers: Mutex<Timers>,
    pub(super) sockets: Mutex<HashMap<u64, Arc<Readiness>>>,
}

static EXECUTORS: Mutex<Vec<Weak<Executor>>> = Mutex::new(Vec::new());

thread_local! {
    /// Of the dispatch that is running on this thread.
    static CURRENT: Cell<Option<Dispatch>> = const { Cell::new(None) };
    static BURST: Cell<Option<Burst>> = const { Cell::new(None) };
}

#[derive(Clone, Copy)]
struct Dispatch {
    executor: *const Executor,
    ends: Instant,
}

/// Reads from sockets outside of a dispatch, one right after the other.
#[derive(Clone, Copy)]
struct Burst {
    since: Instant,
    last: Instant,
}

/// What separates two bursts.
const PAUSE: Duration = Duration::from_millis(50);

impl Executor {
    /// Returns the executor of a context and priority, and creates it the first time.
    pub(super) fn of(context: &glib::MainContext, priority: i32) -> io::Result<Arc<Self>> {
        let address = context.as_ptr().addr();
        let mut known = lock(&EXECUTORS);
        known.retain(|executor| executor.strong_count() > 0);
        let found = known.iter().filter_map(Weak::upgrade).find(|executor| {
            // A later context at the same address is a different one: `gone` was set before the memory was freed.
            executor.context == address
                && executor.priority == priority
                && executor.is_own()
                && !executor.is_gone()
        });
        if let Some(found) = found {
            return Ok(found);
        }
        let executor = Arc::new(Self::new(address, priority)?);
        known.push(Arc::downgrade(&executor));
        drop(known);
        let dispatcher = Dispatcher(executor.clone());
        source::attach(
            context,
            std::os::fd::AsFd::as_fd(&executor.epoll),
            executor.clock.clone(),
            c"legwork-bus",
            priority,
            move || dispatcher.dispatch(),
        );
        Ok(executor)
    }

    fn new(context: usize, priority: i32) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let wakeup = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        epoll::add(&epoll, &wakeup, EventData::new_u64(WAKEUP), EventFlags::IN)?;
        Ok(Self {
            app: own::id(),
            context,
            priority,
            epoll,
            wakeup,
            clock: Clock::new(),
            gone: AtomicBool::new(false),
            next_key: AtomicU64::new(0),
            queue: Mutex::default(),
            paused: Mutex::default(),
            tasks: Mutex::default(),
            timers: Mutex::default(),
            sockets: Mutex::default(),
        })
    }

    /// Whether the context is gone.
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Acquire)
    }

    /// Whether this is the app, and not a copy that somebody forked from it.
    pub(super) fn is_own(&self) -> bool {
        self.app == own::id()
    }

    pub(super) fn new_key(&self) -> u64 {
        self.next_key.fetch_add(1, Relaxed)
    }

    /// Has a task polled. From any thread; when the context is gone, the task is dropped.
    pub(super) fn schedule(&self, runnable: Runnable) {
        if !self.is_own() {
            // Dropping it would shut down the app's sockets.
            return mem::forget(runnable);
        }
        let mut queue = lock(&self.queue);
        if self.is_gone() {
            drop(queue);
            return drop(runnable);
        }
        queue.push_back(runnable);
        let is_first = queue.len() == 1;
        drop(queue);
        // If it is not the first, the context has been woken, or is about to look.
        if is_first {
            self.wake();
        }
    }

    /// To be called when the first of the timers has become another.
    pub(super) fn timers_changed(&self) {
        if self.is_here() {
            self.set_clock();
        } else {
            self.wake();
        }
    }

    fn wake(&self) {
        if self.is_here() {
            self.clock.ring();
        } else if self.is_own() {
            let _ = rustix::io::write(&self.wakeup, &1u64.to_ne_bytes());
        }
    }

    /// Whether this thread is running the context, and so will look at the clock before it sleeps.
    fn is_here(&self) -> bool {
        if CURRENT
            .get()
            .is_some_and(|dispatch| dispatch.executor == std::ptr::from_ref(self))
        {
            return true;
        }
        // The context of a source that is being dispatched is alive.
        let context = glib::main_current_source().and_then(|source| source.context());
        context.is_some_and(|context| context.as_ptr().addr() == self.context) && !self.is_gone()
    }

    /// To be called before each operation on a socket. Pending when the slice is over: whoever asked is woken in the next
    /// dispatch, or is a task of it.
    ///
    /// Futures that read elsewhere have slices as well, for zbus reads for as long as there is something: those are
    /// connections that are being opened.
    pub(super) fn pace(&self, cx: &Context<'_>, direction: Direction) -> Poll<()> {
        let now = Instant::now();
        if let Some(dispatch) = CURRENT.get() {
            if now < dispatch.ends {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if direction == Direction::Write {
            return Poll::Ready(());
        }
        let burst = BURST.get().filter(|burst| now < burst.last + PAUSE);
        let since = burst.map_or(now, |burst| burst.since);
        if now < since + SLICE || self.is_gone() {
            BURST.set(Some(Burst { since, last: now }));
            return Poll::Ready(());
        }
        BURST.set(None);
        let waker = cx.waker().clone();
        lock(&self.paused).push(waker);
        self.wake();
        Poll::Pending
    }

    /// The source has one clock: it is set to the first timer, or to now when tasks are waiting.
    fn set_clock(&self) {
        if lock(&self.queue).is_empty() && lock(&self.paused).is_empty() {
            self.clock.set(lock(&self.timers).first());
        } else {
            self.clock.ring();
        }
    }

    fn dispatch(&self) {
        let ends = Instant::now() + SLICE;
        let slice = Slice(ends);
        let outer = CURRENT.replace(Some(Dispatch {
            executor: self,
            ends,
        }));
        self.look();
        let paused = mem::take(&mut *lock(&self.paused));
        paused.into_iter().for_each(Waker::wake);
        let due = lock(&self.timers).take_due(Instant::now());
        due.into_iter().for_each(Waker::wake);
        for _ in 0..POLLS {
            let next = lock(&self.queue).pop_front();
            let Some(runnable) = next else { break };
            // The panic hook has told where and why. The task is dropped, and the app lives on.
            if catch_unwind(AssertUnwindSafe(|| runnable.run())).is_err() {
                glib::g_critical!("legwork", "a task of a D-Bus connection has panicked");
            }
            if slice.is_over() {
                break;
            }
        }
        CURRENT.set(outer);
        self.set_clock();
    }

    /// Asks epoll what is ready, and wakes who waits for it.
    fn look(&self) {
        let mut events = [const { MaybeUninit::<Event>::uninit() }; EVENTS];
        let now = rustix::event::Timespec::default();
        let Ok((events, _)) = epoll::wait(&self.epoll, &mut events, Some(&now)) else {
            return;
        };
        for event in events {
            let key = event.data.u64();
            if key == WAKEUP {
                let _ = retry_on_intr(|| rustix::io::read(&self.wakeup, &mut [0; 8]));
                continue;
            }
            let socket = lock(&self.sockets).get(&key).cloned();
            if let Some(socket) = socket {
                socket.is_ready(event.flags);
            }
        }
    }

    /// The context is gone: drops all tasks, and wakes whoever waits elsewhere.
    fn end(&self) {
        let queue = lock(&self.queue);
        self.gone.store(true, Release);
        drop(queue);
        loop {
            let queue = mem::take(&mut *lock(&self.queue));
            let tasks = mem::take(&mut *lock(&self.tasks));
            let mut wakers = lock(&self.timers).take_all();
            wakers.append(&mut lock(&self.paused));
            let sockets = mem::take(&mut *lock(&self.sockets));
            if queue.is_empty() && tasks.is_empty() && wakers.is_empty() && sockets.is_empty() {
                break;
            }
            // What is dropped and woken calls back in.
            drop(queue);
            // A task that is woken now is dropped instead of polled.
            tasks.into_values().for_each(Waker::wake);
            wakers.into_iter().for_each(Waker::wake);
            for socket in sockets.into_values() {
                socket.is_ready(EventFlags::HUP);
            }
        }
    }
}

/// What the source's closure owns: it is dropped with the source, on whichever thread that happens.
struct Dispatcher(Arc<Executor>);

impl Dispatcher {
    fn dispatch(&self) -> ControlFlow {
        if !self.0.is_own() {
            // What is ready is for the app to read, not for its copy.
            return ControlFlow::Break;
        }
        self.0.dispatch();
        ControlFlow::Continue
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        if self.0.is_own() {
            self.0.end();
        } else {
            // The tasks in it own sockets of the app.
            mem::forget(self.0.clone());
        }
    }
}

/// The error of everything that needs the context, once that is gone.
pub(super) fn context_is_gone() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotConnected,
        "the main context of this D-Bus connection is gone",
    )
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
