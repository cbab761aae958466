//! S9: a finalizer runs in the middle of a queue's operation, takes the same lock, and waits for itself.
//!
//! Here everything that an app can do to a handle is done where Legwork calls the app: in callbacks, finalizers, wakers
//! and notifications, a hundred thousand times in all. If anything hangs, the test is ended by force.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use legwork::gio::{self, prelude::*};
use legwork::glib::{self, MainContext};
use legwork::prelude::*;
use legwork::{JobHandle, Status, Worker};
use legwork_tests::context::{run, state, until};
use legwork_tests::jobs::{Count, Echo, Misbehave};
use legwork_tests::scene::{self, within};
use legwork_tests::scene_jobs::{Flood, SPRING, Trap};

const BOUND: Duration = Duration::from_secs(240);

#[test]
fn control_a_finalizer_that_uses_the_queue_it_is_dropped_by_waits_for_itself() {
    let figures = scene::control("control_s09_reentrancy");
    println!(
        "S9 control: the queue is cleared, but not within {} s where an item uses it as it goes",
        figures.get::<u64>("waited_seconds")
    );
    assert!(figures.get::<bool>("finished_without"));
    assert!(
        !figures.get::<bool>("finished_with_finalizers"),
        "the control no longer fails: the queue was cleared"
    );
}

fn flood(messages: u64) -> JobHandle<Flood> {
    let worker = Worker::program(env!("CARGO_BIN_EXE_scene_worker"));
    Flood { messages }
        .builder()
        .worker(&worker)
        .forward_logs(false)
        .spawn()
}

fn short() -> JobHandle<Count> {
    let worker = Worker::program(env!("CARGO_BIN_EXE_worker"));
    Count { to: 3 }.builder().worker(&worker).spawn()
}

/// A job that something is done to, and what was done.
struct Stage {
    other: RefCell<JobHandle<Echo>>,
    /// Of the jobs that were started and kept, how many have yet to end.
    kept: Cell<u64>,
    done: RefCell<BTreeMap<&'static str, u64>>,
    /// How many nested loops run, one in the other.
    depth: Cell<u32>,
}

impl Stage {
    fn new() -> Rc<Stage> {
        let worker = Worker::program(env!("CARGO_BIN_EXE_worker"));
        let mut other = Echo.builder().worker(&worker).spawn();
        // What it echoes is read by nobody.
        drop(other.messages());
        Rc::new(Stage {
            other: RefCell::new(other),
            kept: Cell::new(0),
            done: RefCell::default(),
            depth: Cell::new(0),
        })
    }

    /// Does one of the things that can be done.
    fn act(self: &Rc<Self>, number: u64) {
        let what = match number % 10 {
            _ if number.is_multiple_of(500) => self.start(number / 500),
            0 | 5 => {
                let sender = self.other.borrow().sender();
                let sent = sender.clone().try_send(vec![0; 8]);
                assert!(sent.is_ok(), "{sent:?}");
                "talk to another job"
            }
            1 | 6 => {
                drop(self.other.borrow_mut().logs());
                "take and drop a stream"
            }
            2 | 7 => {
                let cancellable = self.other.borrow().cancellable();
                let handler = cancellable.connect_cancelled_local(|_| ());
                if let Some(handler) = handler {
                    cancellable.disconnect_cancelled(handler);
                }
                "follow and leave a cancellable"
            }
            3 | 8 => {
                let status = self.other.borrow().status().clone();
                let this = Rc::downgrade(self);
                let handler = status.connect_label_notify(move |status| {
                    let this = this.upgrade().unwrap();
                    assert!(status.running() && this.other.borrow().pid().is_some());
                });
                status.set_label(number.to_string());
                status.disconnect(handler);
                "be notified of a property"
            }
            4 => {
                let mut other = self.other.borrow_mut();
                let mut cx = Context::from_waker(Waker::noop());
                assert!(pin!(other.message()).poll(&mut cx) == Poll::Ready(None));
                "poll a future and drop it"
            }
            // Each may handle messages whose finalizers run the next: not without end.
            _ if self.depth.get() == 8 => return,
            _ => {
                self.depth.set(self.depth.get() + 1);
                // Whatever is ready is handled here and now.
                MainContext::ref_thread_default().iteration(false);
                self.depth.set(self.depth.get() - 1);
                "run a nested loop"
            }
        };
        *self.done.borrow_mut().entry(what).or_default() += 1;
    }

    /// Starts a job, and does to it what can only be done once.
    fn start(self: &Rc<Self>, number: u64) -> &'static str {
        let job = short();
        match number % 6 {
            0 => {
                drop(job);
                "start a job and drop it"
            }
            1 => {
                job.cancel();
                job.cancel();
                "start a job and cancel it"
            }
            2 => {
                job.cancellable().cancel();
                "start a job and cancel its cancellable"
            }
            3 => {
                let object: Status = glib::Object::new();
                job.stop_with(&object).detach();
                drop(object);
                "start a job and dispose of its object"
            }
            4 => {
                let mut job = job;
                let kept = self.keep(job.status());
                // Owned by its own callback, and dropped in it.
                let own = Rc::new(RefCell::new(None));
                let place = own.clone();
                job.on_message(move |_| {
                    let _ = &kept;
                    drop(place.take());
                });
                own.replace(Some(job));
                "start a job and drop it in its own callback"
            }
            _ => {
                let kept = self.keep(job.status());
                MainContext::ref_thread_default().spawn_local(async move {
                    assert_eq!(job.await.unwrap(), 3);
                    drop(kept);
                });
                "start a job and await it"
            }
        }
    }

    /// Counts a job until it ends.
    fn keep(self: &Rc<Self>, status: &Status) -> impl Sized + 'static {
        self.kept.set(self.kept.get() + 1);
        let this = self.clone();
        status.connect_running_notify(move |_| this.kept.set(this.kept.get() - 1));
    }

    /// Waits for what was kept, and says what was done.
    async fn end(self: Rc<Self>, from: &str) -> u64 {
        until("all jobs that were kept have ended", || {
            self.kept.get() == 0
        })
        .await;
        let done = self.done.take();
        let sum = done.values().sum();
        println!("S9 with Legwork: from {from}, {sum} times: {done:?}");
        self.other.borrow().cancel();
        sum
    }
}

#[test]
fn callbacks_may_do_to_any_handle_whatever_they_like() {
    within(BOUND, "the callbacks have done it", || {
        run(async || {
            let stage = Stage::new();
            let (actor, seen) = (stage.clone(), Rc::new(Cell::new(0)));
            let count = seen.clone();
            let mut job = flood(50_000);
            job.on_message(move |trap| {
                assert_eq!(trap.0, count.get(), "in order, nested loops or not");
                count.set(count.get() + 1);
                actor.act(trap.0);
            });
            assert_eq!(job.await.unwrap(), 50_000);
            assert_eq!(seen.get(), 50_000);
            assert_eq!(stage.end("callbacks").await, 50_000);
        });
    });
}

#[test]
fn the_end_is_told_after_the_messages_that_a_nested_loop_has_held_up() {
    within(BOUND, "the job has ended", || {
        run(async || {
            let (seen, ended) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
            let worker = Worker::program(env!("CARGO_BIN_EXE_worker"));
            let mut job = Count { to: 50 }.builder().worker(&worker).spawn();
            let (status, pid) = (job.status().clone(), job.pid().unwrap());
            let (count, has_ended) = (seen.clone(), ended.clone());
            job.on_message(move |number| {
                assert_eq!(number, count.get());
                assert!(status.running() && !has_ended.get());
                while number == 0 && state(pid).is_some() {
                    MainContext::ref_thread_default().iteration(true);
                }
                count.set(number + 1);
            });
            assert_eq!(job.await.unwrap(), 50);
            ended.set(true);
            assert_eq!(seen.get(), 50);
        });
    });
}

#[test]
fn a_callback_may_put_another_in_its_place_and_drop_its_own_handle() {
    within(BOUND, "the callbacks have replaced themselves", || {
        run(async || {
            type Slot = Rc<RefCell<Option<JobHandle<Flood>>>>;
            fn listen(slot: &Slot, seen: &Rc<Cell<u64>>) {
                let Some(mut job) = slot.take() else { return };
                let (next, count) = (slot.clone(), seen.clone());
                job.on_message(move |trap| {
                    assert_eq!(trap.0, count.get());
                    count.set(count.get() + 1);
                    if count.get() == 10_000 {
                        drop(next.take());
                    }
                    listen(&next, &count);
                });
                slot.replace(Some(job));
            }
            let (slot, seen) = (Slot::default(), Rc::new(Cell::new(0)));
            let job = flood(1_000_000);
            let status = job.status().clone();
            slot.replace(Some(job));
            listen(&slot, &seen);
            until("the job has ended", || !status.running()).await;
            assert_eq!(status.state(), legwork::State::Cancelled);
            assert!(seen.get() >= 10_000);
            println!(
                "S9 with Legwork: a callback has put another in its place {} times, and then dropped its handle",
                seen.get()
            );
        });
    });
}

#[test]
fn finalizers_of_messages_that_nobody_takes_may_do_it_too() {
    within(BOUND, "the finalizers have done it", || {
        run(async || {
            let stage = Stage::new();
            let actor = stage.clone();
            SPRING.set(Some(Rc::new(move |number| actor.act(number))));
            // Dropped by Legwork, as they come.
            assert_eq!(flood(20_000).await.unwrap(), 20_000);
            // The first is dropped by this; the others, which wait in the stream that is dropped, are never decoded.
            let mut waited = 0;
            for _ in 0..20 {
                let mut job = flood(100);
                let first = job.message().await;
                glib::timeout_future(Duration::from_millis(20)).await;
                drop(first);
                drop(job.messages());
                waited += job.await.unwrap();
            }
            SPRING.take();
            assert_eq!(waited, 2000);
            let done = stage.end("finalizers").await;
            assert!(done > 15_000, "{done}");
        });
    });
}

thread_local! {
    /// What happens when this thread's waker is called.
    static ON_WAKE: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
    /// The waker was called while it was at it.
    static AGAIN: Cell<bool> = const { Cell::new(false) };
}

/// A waker that does the work itself, then and there.
struct Eager;

impl Wake for Eager {
    fn wake(self: Arc<Self>) {
        AGAIN.set(true);
        while AGAIN.replace(false) {
            let Some(mut action) = ON_WAKE.take() else {
                AGAIN.set(true);
                return;
            };
            action();
            ON_WAKE.with_borrow_mut(|place| {
                place.get_or_insert(action);
            });
        }
    }
}

#[test]
fn wakers_may_take_the_messages_and_do_it_too() {
    within(BOUND, "the wakers have done it", || {
        run(async || {
            let stage = Stage::new();
            let (actor, seen) = (stage.clone(), Rc::new(Cell::new(0)));
            let (count, over) = (seen.clone(), Rc::new(Cell::new(false)));
            let is_over = over.clone();
            let mut job = flood(20_000);
            let mut messages = Some(job.messages());
            let waker = Waker::from(Arc::new(Eager));
            ON_WAKE.set(Some(Box::new({
                let waker = waker.clone();
                move || {
                    let mut cx = Context::from_waker(&waker);
                    while let Some(open) = &mut messages {
                        let next = pin!(open.recv()).poll(&mut cx);
                        match next {
                            Poll::Ready(Some(Trap(number))) => {
                                assert_eq!(number, count.get());
                                count.set(number + 1);
                                actor.act(number);
                            }
                            Poll::Ready(None) => {
                                messages = None;
                                over.set(true);
                            }
                            Poll::Pending => return,
                        }
                    }
                }
            })));
            waker.wake_by_ref();
            until("the messages have ended", || is_over.get()).await;
            ON_WAKE.take();
            assert_eq!(seen.get(), 20_000);
            assert_eq!(job.await.unwrap(), 20_000);
            assert_eq!(stage.end("wakers").await, 20_000);
        });
    });
}

#[test]
fn a_waker_may_drop_the_very_future_that_it_is_of() {
    within(BOUND, "the wakers have dropped their futures", || {
        run(async || {
            for number in 0..100 {
                let mut job = short();
                let status = job.status().clone();
                let waker = Waker::from(Arc::new(Eager));
                let mut cx = Context::from_waker(&waker);
                if number % 2 == 0 {
                    // That of the next message, and the handle with it.
                    assert!(pin!(job.message()).poll(&mut cx).is_pending());
                    let mut job = Some(job);
                    ON_WAKE.set(Some(Box::new(move || drop(job.take()))));
                } else {
                    let mut future = Box::pin(job.into_future());
                    assert!(future.as_mut().poll(&mut cx).is_pending());
                    let mut future = Some(future);
                    ON_WAKE.set(Some(Box::new(move || drop(future.take()))));
                }
                until("the job has ended", || !status.running()).await;
                ON_WAKE.take();
            }
            println!(
                "S9 with Legwork: 100 wakers have dropped the handle or future that they were of"
            );
        });
    });
}

#[test]
fn a_cancel_from_another_thread_is_heard_whatever_the_loop_is_at() {
    within(BOUND, "the jobs have heard it", || {
        run(async || {
            let worker = Worker::program(env!("CARGO_BIN_EXE_worker"));
            let (to_thread, from_app) = std::sync::mpsc::channel::<(gio::Cancellable, u64)>();
            let thread = std::thread::spawn(move || {
                for (cancellable, after) in from_app {
                    std::thread::sleep(Duration::from_micros(after));
                    cancellable.cancel();
                }
            });
            // While they start, begin to run, and set and unset what is to happen when.
            for number in 0..200 {
                let job = Misbehave::HangPolitely.builder().worker(&worker).spawn();
                let other = short();
                to_thread.send((job.cancellable(), number * 20)).unwrap();
                assert!(job.await.unwrap_err().is_cancelled());
                drop(other);
            }
            drop(to_thread);
            thread.join().unwrap();
        });
    });
}

#[test]
fn a_notification_may_drop_the_handle_and_start_the_next_job() {
    within(BOUND, "the notifications have started jobs", || {
        run(async || {
            fn next(left: u32, over: Rc<Cell<bool>>) {
                let Some(left) = left.checked_sub(1) else {
                    return over.set(true);
                };
                let job = short();
                let status = job.status().clone();
                let job = Cell::new(Some(job));
                status.connect_state_notify(move |status| {
                    // When it runs, and again when it is cancelled by that.
                    drop(job.take());
                    if !status.running() {
                        next(left, over.clone());
                    }
                });
            }
            let over = Rc::new(Cell::new(false));
            next(100, over.clone());
            until("the last job has ended", || over.get()).await;
            println!(
                "S9 with Legwork: 100 jobs were each started by a notification of the one before"
            );
        });
    });
}
