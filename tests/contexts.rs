//! Handles, threads and main contexts: several at once, one that never runs, one that is freed, one that another thread
//! runs; and what may be done inside a callback.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    os::unix::fs::PermissionsExt,
    pin::pin,
    rc::Rc,
    sync::{
        Arc, Barrier, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, ThreadId},
    time::Duration,
};

use legwork::{
    Error, ErrorKind, JobHandle, State, Worker,
    gio::{self, prelude::*},
    glib::{self, MainContext},
    prelude::*,
};
use legwork_tests::{
    context::{is_alive, run},
    hostile::open_descriptors,
    jobs::{Count, Echo, Misbehave},
    programs::worker,
    sacrifice, until,
};

/// Descriptors are counted: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static WARM: std::sync::Once = std::sync::Once::new();
    let guard = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // The guardian stays.
    WARM.call_once(|| assert_eq!(run(|| count(1).into_future()).unwrap(), 1));
    guard
}

fn count(to: u64) -> JobHandle<Count> {
    Count { to }.builder().worker(&worker()).spawn()
}

fn polite() -> JobHandle<Misbehave> {
    Misbehave::HangPolitely.builder().worker(&worker()).spawn()
}

fn missing() -> JobHandle<Count> {
    let nowhere = Worker::program("/nonexistent/worker");
    Count { to: 1 }.builder().worker(&nowhere).spawn()
}

/// Reads a few messages on another thread, and drops the rest there while the job sends on.
fn drop_messages_elsewhere(read: usize, then: Duration) -> Result<u64, Error> {
    run(|| {
        let job = Count { to: 200 }.builder().worker(&worker());
        // The deadline is for a job that waits for ever.
        let mut job = job
            .message_capacity(1)
            .deadline(Duration::from_secs(20))
            .spawn();
        let mut messages = job.messages();
        thread::spawn(move || {
            let mut taken = 0;
            while taken < read {
                taken += usize::from(messages.try_recv().is_some());
            }
            let start = std::time::Instant::now();
            while start.elapsed() < then {
                std::hint::spin_loop();
            }
            drop(messages);
        });
        job.into_future()
    })
}

#[test]
fn messages_that_are_dropped_on_another_thread_make_room_whenever_that_happens() {
    let _alone = alone();
    for n in 0..1000_u32 {
        let then = Duration::from_nanos(u64::from(n.wrapping_mul(7919) % 120_000));
        let output = drop_messages_elsewhere(1 + n as usize % 50, then);
        assert_eq!(output.unwrap(), 200, "try {n}");
    }
}

/// A foreign executor: polls on this thread when it was woken from any.
struct Foreign {
    woken: AtomicBool,
    by: Mutex<Vec<ThreadId>>,
}

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        self.by.lock().unwrap().push(thread::current().id());
        self.woken.store(true, SeqCst);
    }
}

impl Foreign {
    fn new() -> Arc<Self> {
        Arc::new(Foreign {
            woken: AtomicBool::new(true),
            by: Mutex::default(),
        })
    }

    /// Runs `future`, and `meanwhile` while it waits.
    fn block_on<T>(self: &Arc<Self>, future: impl Future<Output = T>, meanwhile: impl Fn()) -> T {
        let waker = Waker::from(self.clone());
        let mut future = pin!(future);
        let start = std::time::Instant::now();
        loop {
            if self.woken.swap(false, SeqCst)
                && let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return output;
            }
            meanwhile();
            assert!(start.elapsed() < Duration::from_secs(60), "it hangs");
        }
    }
}

fn sleep_a_little() {
    thread::sleep(Duration::from_millis(2));
}

#[test]
fn each_context_hears_of_its_own_jobs() {
    let _alone = alone();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                run(|| async {
                    let context = MainContext::thread_default().unwrap();
                    let here = thread::current().id();
                    let jobs: Vec<_> = (1..=6)
                        .map(|n| {
                            let mut job = count(n * 20);
                            let (seen, own) = (Rc::new(Cell::new(0)), context.clone());
                            let counts = seen.clone();
                            job.on_message(move |number| {
                                assert_eq!(thread::current().id(), here);
                                assert!(own.is_owner());
                                assert_eq!(number, counts.replace(number + 1));
                            });
                            job.status().connect_state_notify(move |_| {
                                assert_eq!(thread::current().id(), here);
                            });
                            (job, seen)
                        })
                        .collect();
                    for (job, seen) in jobs {
                        assert_eq!(job.await.unwrap(), seen.get());
                    }
                });
            });
        }
    });
}

#[test]
fn a_failed_start_leaves_nothing_on_its_context() {
    let _alone = alone();
    let before = open_descriptors();
    for _ in 0..20 {
        let error = run(|| missing().into_future()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Start);
        assert!(error.is_not_found(), "{error}");
    }
    assert!(open_descriptors() <= before);
    run(|| async {
        // What a context has for its children is made with the first, and stays.
        drop(missing());
        let before = open_descriptors();
        drop(missing());
        assert_eq!(open_descriptors(), before);
    });
}

#[test]
fn a_context_that_goes_away_ends_its_jobs_and_their_handles_say_so() {
    let _alone = alone();
    let before = open_descriptors();
    let context = MainContext::new();
    let (job, mut stuck, held) = context
        .with_thread_default(|| {
            let (mut job, stuck) = (polite(), polite());
            context.block_on(job.message());
            (job, stuck, polite())
        })
        .unwrap();
    let pids = [&job, &stuck, &held].map(|job| job.pid().unwrap());
    let status = job.status().clone();
    drop(context);
    for pid in pids {
        until("the worker is gone", || !is_alive(pid));
    }
    assert_eq!(status.state(), State::Cancelled);
    assert_eq!(job.pid(), None);
    let foreign = Foreign::new();
    let error = foreign
        .block_on(job.into_future(), sleep_a_little)
        .unwrap_err();
    assert!(error.is_cancelled());
    assert!(error.to_string().contains("context is gone"), "{error}");
    let last = Foreign::new().block_on(stuck.message(), sleep_a_little);
    // What it had said is still told, and then the end.
    if last.is_some() {
        let none = Foreign::new().block_on(stuck.message(), sleep_a_little);
        assert_eq!(none, None);
    }
    stuck.cancel();
    stuck.cancellable().cancel();
    stuck.detach();
    drop(held);
    until("all is closed", || open_descriptors() <= before);
}

#[test]
fn a_thread_that_ends_takes_its_jobs_along_though_others_hold_its_context() {
    let _alone = alone();
    let before = open_descriptors();
    let workers = legwork::counters().workers;
    let context = MainContext::new();
    let theirs = context.clone();
    let pids = thread::spawn(move || {
        theirs
            .with_thread_default(|| {
                let (mut one, two) = (polite(), polite());
                theirs.block_on(one.message());
                let pids = [one.pid().unwrap(), two.pid().unwrap()];
                one.detach();
                std::mem::forget(two);
                pids
            })
            .unwrap()
    })
    .join()
    .unwrap();
    for pid in pids {
        until("the worker is gone", || !is_alive(pid));
    }
    // After a last look nothing is left that could be dispatched.
    context.iteration(false);
    assert!(!context.iteration(false));
    drop(context);
    until("all is closed", || open_descriptors() <= before);
    assert_eq!(legwork::counters().workers, workers);
}

/// GLib lets go of a context without regard to who else has one of its sources in hand at that moment.
#[test]
fn the_last_reference_of_a_context_may_go_while_its_thread_ends() {
    let _alone = alone();
    let before = open_descriptors();
    for round in 0..400_u32 {
        let context = MainContext::new();
        let (theirs, both) = (context.clone(), Arc::new(Barrier::new(2)));
        let here = both.clone();
        let thread = thread::spawn(move || {
            let start = || legwork::Command::new("sleep").arg("1000").spawn();
            let program = theirs.with_thread_default(start).unwrap();
            let (pid, cancellable) = (program.pid().unwrap(), program.cancellable());
            program.detach();
            drop(theirs);
            both.wait();
            (pid, cancellable)
        });
        here.wait();
        (0..round % 40 * 50).for_each(|_| std::hint::spin_loop());
        drop(context);
        let (pid, cancellable) = thread.join().unwrap();
        // Nobody is left to hear it.
        cancellable.cancel();
        until("the program is gone", || !is_alive(pid));
    }
    until("all is closed", || open_descriptors() <= before);
}

#[test]
fn a_context_that_another_thread_runs_ends_its_jobs_and_wakes_who_waits() {
    let _alone = alone();
    let before = open_descriptors();
    let context = MainContext::new();
    let (mut job, mut other) = context
        .with_thread_default(|| (polite(), polite()))
        .unwrap();
    let pid = job.pid().unwrap();
    let messages = other.messages();
    let foreign = Foreign::new();
    let theirs = context.clone();
    let (begin, stop) = (AtomicBool::default(), Arc::new(AtomicBool::default()));
    let begin = Arc::new(begin);
    let (begins, stopped) = (begin.clone(), stop.clone());
    let runs = thread::spawn(move || {
        until("somebody waits", || begins.load(SeqCst));
        while !stopped.load(SeqCst) {
            theirs.iteration(false);
            sleep_a_little();
        }
        thread::current().id()
    });
    // On this thread, without a main context.
    let logs = job.logs();
    let waits = || {
        begin.store(true, SeqCst);
        sleep_a_little();
    };
    let error = foreign.block_on(job.into_future(), waits).unwrap_err();
    assert!(error.is_cancelled(), "{error:?}");
    let mut messages = messages;
    while Foreign::new()
        .block_on(messages.recv(), sleep_a_little)
        .is_some()
    {}
    let mut logs = logs;
    while Foreign::new()
        .block_on(logs.recv(), sleep_a_little)
        .is_some()
    {}
    until("the worker is gone", || !is_alive(pid));
    stop.store(true, SeqCst);
    let theirs = runs.join().unwrap();
    assert!(foreign.by.lock().unwrap().contains(&theirs));
    let status = other.status().clone();
    let error = Foreign::new().block_on(other.into_future(), sleep_a_little);
    assert!(error.unwrap_err().is_cancelled());
    assert_eq!(status.state(), State::Cancelled);
    drop(context);
    until("all is closed", || open_descriptors() <= before);
}

#[test]
fn a_job_sees_that_it_is_cancelled_though_its_context_never_runs() {
    let _alone = alone();
    let by_handle: fn(&JobHandle<Misbehave>) = |job| job.cancel();
    let by_cancellable: fn(&JobHandle<Misbehave>) = |job| job.cancellable().cancel();
    let from_elsewhere: fn(&JobHandle<Misbehave>) = |job| {
        let cancellable = job.cancellable();
        thread::spawn(move || cancellable.cancel()).join().unwrap();
    };
    let ways = [by_handle, by_cancellable, from_elsewhere];
    for (cancel, at_once) in ways.into_iter().flat_map(|way| [(way, false), (way, true)]) {
        let context = MainContext::new();
        let job = context.with_thread_default(polite).unwrap();
        let pid = job.pid().unwrap();
        // It runs: two threads, the second watches.
        let threads = std::path::Path::new("/proc")
            .join(pid.to_string())
            .join("task");
        // Or it has only just been born.
        let runs = || std::fs::read_dir(&threads).is_ok_and(|all| all.count() == 2);
        until("the job runs", || at_once || runs());
        cancel(&job);
        until("the worker has ended by itself", || !is_alive(pid));
        let error = context
            .with_thread_default(|| context.block_on(job.into_future()))
            .unwrap()
            .unwrap_err();
        assert!(error.is_cancelled(), "{error:?}");
        assert_eq!(error.signal(), None, "{error:?}");
    }
}

/// Though the watcher, which hears of it, is only just being born.
#[test]
fn a_job_that_is_cancelled_before_it_begins_sees_it_at_its_first_look() {
    let _alone = alone();
    let folder = std::env::temp_dir().join(format!("legwork-late-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let (late, go) = (folder.join("worker"), folder.join("go"));
    let script = format!(
        "#!/bin/sh\nuntil [ -e {go:?} ]; do sleep 0.01; done\nexec {:?}\n",
        env!("CARGO_BIN_EXE_worker")
    );
    std::fs::write(&late, script).unwrap();
    std::fs::set_permissions(&late, PermissionsExt::from_mode(0o755)).unwrap();
    run(|| async {
        let late = Worker::program(&late);
        let start = || Misbehave::HangPolitely.builder().worker(&late).spawn();
        let mut jobs: Vec<_> = std::iter::repeat_with(start).take(20).collect();
        jobs.iter().for_each(JobHandle::cancel);
        std::fs::write(&go, []).unwrap();
        for job in &mut jobs {
            // Said only by one that has not seen it.
            assert_eq!(job.message().await, None);
        }
        for job in jobs {
            assert!(job.await.unwrap_err().is_cancelled());
        }
    });
    std::fs::remove_dir_all(folder).unwrap();
}

/// A cancel that comes with the end is nobody's any more.
#[test]
fn a_context_whose_jobs_have_ended_may_be_run_by_another_thread() {
    let _alone = alone();
    let criticals = Arc::new(AtomicU32::new(0));
    let count_them = criticals.clone();
    let handler = glib::log_set_handler(
        Some("legwork"),
        glib::LogLevels::LEVEL_CRITICAL,
        false,
        false,
        move |_, _, _| {
            count_them.fetch_add(1, SeqCst);
        },
    );
    let context = MainContext::new();
    let run_a_job = || {
        let mut job = count(1);
        let (pid, cancellable) = (job.pid().unwrap(), job.cancellable());
        job.on_message(move |_| {
            let cancellable = cancellable.clone();
            thread::spawn(move || cancellable.cancel()).join().unwrap();
        });
        // So that the message and the end are heard in one iteration.
        let threads = format!("/proc/{pid}/task");
        let one = || std::fs::read_dir(&threads).is_ok_and(|all| all.count() == 1);
        until("it has ended", || !is_alive(pid) && one());
        while job.pid().is_some() {
            context.iteration(true);
        }
    };
    context.with_thread_default(run_a_job).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| while context.iteration(false) {});
    });
    context.with_thread_default(run_a_job).unwrap();
    glib::log_remove_handler(Some("legwork"), handler);
    assert_eq!(criticals.load(SeqCst), 0);
}

#[test]
fn no_cancel_from_another_thread_is_lost() {
    let _alone = alone();
    for round in 0..8 {
        run(|| async {
            let jobs: Vec<_> = (0..16)
                .map(|n| {
                    Misbehave::HangPolitely
                        .builder()
                        .worker(&worker())
                        // Alarms of all sorts beside it, which move the source's clock.
                        .deadline(Duration::from_secs(100 + n))
                        .grace(Duration::from_secs(100))
                        .spawn()
                })
                .collect();
            let cancellables: Vec<_> = jobs.iter().map(JobHandle::cancellable).collect();
            let canceller = thread::spawn(move || {
                for cancellable in cancellables {
                    thread::sleep(Duration::from_micros(150 * round));
                    cancellable.cancel();
                }
            });
            for job in jobs {
                let end = glib::future_with_timeout(Duration::from_secs(60), job.into_future());
                let error = end.await.expect("the cancel arrives").unwrap_err();
                assert!(error.is_cancelled());
                assert_eq!(error.signal(), None, "{error:?}");
            }
            canceller.join().unwrap();
            // A cancel that came late leaves no clock that is always due.
            let wakeups = legwork::counters().wakeups;
            let job = polite();
            glib::timeout_future(Duration::from_millis(100)).await;
            let wakeups = legwork::counters().wakeups - wakeups;
            assert!(wakeups < 50, "{wakeups} wakeups of a job that does nothing");
            drop(job);
        });
    }
}

#[test]
fn an_object_may_be_disposed_of_on_another_thread() {
    let _alone = alone();
    run(|| async {
        let object = gio::Cancellable::new();
        let mut job = polite().stop_with(&object);
        job.message().await;
        thread::spawn(move || drop(object)).join().unwrap();
        assert!(job.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn an_object_outlives_its_jobs_and_remembers_none() {
    let _alone = alone();
    run(|| async {
        let object = gio::Cancellable::new();
        let job = count(1).stop_with(&object);
        let status = job.status().downgrade();
        job.await.unwrap();
        assert!(status.upgrade().is_none());
        drop(object);
        // One that is disposed of while it is still held.
        let object: legwork::Status = glib::Object::new();
        let mut job = polite().stop_with(&object);
        job.message().await;
        legwork_tests::raw::run_dispose(&object);
        assert!(job.await.unwrap_err().is_cancelled());
        drop(object);
    });
}

#[test]
fn any_executor_on_the_thread_may_poll_the_future() {
    let _alone = alone();
    let context = MainContext::new();
    let output = context
        .with_thread_default(|| {
            let job = count(500);
            Foreign::new().block_on(job.into_future(), || {
                context.iteration(true);
            })
        })
        .unwrap();
    assert_eq!(output.unwrap(), 500);
}

#[test]
fn what_has_arrived_can_be_read_without_the_main_loop() {
    let _alone = alone();
    let context = MainContext::new();
    let read = || {
        let job = Count { to: 500 }.builder().worker(&worker());
        let mut job = job.message_capacity(500).spawn();
        let mut messages = job.messages();
        context.block_on(job.into_future()).unwrap();
        // Longer than a future may take in a main loop.
        let read = async {
            let mut count = 0;
            while messages.recv().await.is_some() {
                count += 1;
                thread::sleep(Duration::from_micros(100));
            }
            count
        };
        Foreign::new().block_on(read, sleep_a_little)
    };
    assert_eq!(context.with_thread_default(read).unwrap(), 500);
}

#[test]
fn an_aborted_task_stops_its_job() {
    let _alone = alone();
    run(|| async {
        let job = polite();
        let pid = job.pid().unwrap();
        let status = job.status().clone();
        let context = MainContext::ref_thread_default();
        let task = context.spawn_local(async move { job.await.map(drop) });
        glib::timeout_future(Duration::from_millis(20)).await;
        task.abort();
        drop(task);
        while status.running() {
            glib::timeout_future(Duration::from_millis(5)).await;
        }
        assert!(!is_alive(pid));
    });
}

/// Does in its `drop` whatever it was given.
struct AtDrop(Option<Box<dyn FnOnce()>>);

impl AtDrop {
    fn new(act: impl FnOnce() + 'static) -> Self {
        AtDrop(Some(Box::new(act)))
    }
}

impl Drop for AtDrop {
    fn drop(&mut self) {
        self.0.take().unwrap()();
    }
}

type Slot = Rc<RefCell<Option<JobHandle<Count>>>>;

#[test]
fn a_callback_may_replace_itself_start_others_and_drop_its_handle() {
    let _alone = alone();
    run(|| async {
        let (slot, others) = (Slot::default(), Rc::new(RefCell::new(Vec::new())));
        let seen = Rc::new(RefCell::new(Vec::new()));
        let mut job = count(1000);
        let status = job.status().clone();

        // The third callback drops the handle; the second is never called; the first is replaced by it, and drops
        // something that puts the third in its place.
        let (own, sees) = (slot.clone(), seen.clone());
        let third = move |number| {
            sees.borrow_mut().push(("third", number));
            if number == 8 {
                drop(own.take());
            }
        };
        let own = slot.clone();
        let at_drop = AtDrop::new(move || {
            own.borrow_mut().as_mut().unwrap().on_message(third);
        });
        let (own, sees, starts) = (slot.clone(), seen.clone(), others.clone());
        job.on_message(move |number| {
            let _ = &at_drop;
            sees.borrow_mut().push(("first", number));
            starts.borrow_mut().push(count(3));
            if number == 5 {
                let sees = sees.clone();
                let second = move |number| sees.borrow_mut().push(("second", number));
                own.borrow_mut().as_mut().unwrap().on_message(second);
            }
        });
        slot.replace(Some(job));
        while status.running() {
            glib::timeout_future(Duration::from_millis(2)).await;
        }
        assert_eq!(status.state(), State::Cancelled);
        let seen = seen.take();
        let first: Vec<_> = (0..=5).map(|number| ("first", number)).collect();
        let third: Vec<_> = (6..=8).map(|number| ("third", number)).collect();
        assert_eq!(seen[..9], [first, third].concat());
        // What was on its way when the handle was dropped may still be told.
        assert!(seen[9..].iter().all(|(who, _)| *who == "third"));
        for other in others.take() {
            assert_eq!(other.await.unwrap(), 3);
        }
    });
}

#[test]
fn properties_may_be_notified_into_anything() {
    let _alone = alone();
    run(|| async {
        let slot = Slot::default();
        let started = Rc::new(Cell::new(0));
        let notified = Rc::new(Cell::new(0));
        let job = count(100);
        let status = job.status().clone();
        slot.replace(Some(job));
        let (own, starts, count_up) = (slot.clone(), started.clone(), notified.clone());
        status.connect_notify_local(None, move |status, property| {
            count_up.set(count_up.get() + 1);
            match property.name() {
                "state" if status.state() == State::Running => {
                    starts.set(starts.get() + 1);
                    count(2).detach();
                    // A nested main loop in a notification.
                    let context = MainContext::ref_thread_default();
                    for _ in 0..10 {
                        context.iteration(false);
                    }
                }
                "state" if !status.running() => drop(own.borrow_mut().take()),
                "total" => drop(own.borrow().as_ref().map(JobHandle::cancel)),
                _ => {}
            }
        });
        while slot.borrow().is_some() {
            glib::timeout_future(Duration::from_millis(2)).await;
        }
        assert_eq!(started.get(), 1);
        assert!(notified.get() >= 3);
        assert!(!status.running());
    });
}

#[test]
fn a_nested_main_loop_in_a_callback_hears_of_other_jobs() {
    let _alone = alone();
    run(|| async {
        let inside = Rc::new(RefCell::new(Vec::new()));
        let (order, context) = (inside.clone(), MainContext::ref_thread_default());
        let mut job = count(50);
        job.on_message(move |number| {
            order.borrow_mut().push(number);
            if number % 10 == 3 {
                let other = count(5);
                let status = other.status().clone();
                while status.running() {
                    context.iteration(true);
                }
                drop(other);
            }
        });
        assert_eq!(job.await.unwrap(), 50);
        assert_eq!(*inside.borrow(), (0..50).collect::<Vec<_>>());
    });
}

#[test]
fn handles_may_be_dropped_in_drops_of_what_callbacks_own() {
    let _alone = alone();
    let before = open_descriptors();
    run(|| async {
        let ended = Rc::new(Cell::new(0));
        for _ in 0..10 {
            let (count_up, other) = (ended.clone(), polite());
            let last = AtDrop::new(move || {
                drop(other);
                // And another is started in there.
                count(1).detach();
                count_up.set(count_up.get() + 1);
            });
            let mut job = count(3);
            job.on_message(move |_| {
                let _ = &last;
            });
            assert_eq!(job.await.unwrap(), 3);
        }
        while ended.get() < 10 || legwork::counters().workers > 0 {
            glib::timeout_future(Duration::from_millis(2)).await;
        }
    });
    until("all is closed", || open_descriptors() <= before);
}

#[test]
fn a_sender_that_waits_hears_that_the_context_is_gone() {
    let _alone = alone();
    let context = MainContext::new();
    let (job, sender) = context
        .with_thread_default(|| {
            let job = Echo.builder().worker(&worker()).spawn();
            let sender = job.sender();
            (job, sender)
        })
        .unwrap();
    let polls = AtomicU32::new(0);
    let mut send = pin!(async {
        loop {
            sender.send(vec![0; 60_000]).await?;
        }
    });
    let foreign = Foreign::new();
    let waker = Waker::from(foreign.clone());
    let mut poll = || -> Poll<Result<(), legwork::SendError>> {
        polls.fetch_add(1, SeqCst);
        send.as_mut().poll(&mut Context::from_waker(&waker))
    };
    // Nobody takes the echo, so that the worker takes no more in the end.
    until_full(&mut poll);
    foreign.woken.store(false, SeqCst);
    drop(context);
    assert!(foreign.woken.load(SeqCst), "whoever waits is woken");
    let Poll::Ready(Err(error)) = poll() else {
        panic!("the job has ended");
    };
    assert!(!error.is_cancelled());
    drop(job);
}

fn until_full(poll: &mut impl FnMut() -> Poll<Result<(), legwork::SendError>>) {
    let mut full = 0;
    while full < 100 {
        assert!(poll().is_pending());
        full += 1;
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_forked_copy_of_the_app_leaves_the_jobs_alone() {
    let _alone = alone();
    sacrifice("forks_with_jobs");
}

const _: fn(Error) = drop;
