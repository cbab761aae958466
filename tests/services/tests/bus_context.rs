//! zbus on a main context: what its own tests ask of a runtime, on a real bus.

use std::future::{pending, poll_fn};
use std::io;
use std::os::unix::net::UnixListener;
use std::pin::pin;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use legwork::bus::{self, Local, MainContext};
use legwork::glib;
use legwork_service_tests::greeter::{Greeter, GreeterProxy, PATH};
use legwork_tests::bus::SessionBus;
use legwork_tests::context::{run, until};
use legwork_tests::{poll, program};
use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
use zbus::Connection;
use zbus::runtime::traits::{Runtime, TaskHandle};

fn context() -> MainContext {
    MainContext::thread_default().unwrap()
}

async fn serve(bus: &SessionBus) -> Connection {
    bus::address(bus.address())
        .configure(|builder| builder.serve_at(PATH, Greeter::new()))
        .await
        .unwrap()
}

async fn proxy_to(served: &Connection, caller: &Connection) -> GreeterProxy<'static> {
    GreeterProxy::builder(caller)
        .destination(served.unique_name().unwrap().to_owned())
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
        .unwrap()
}

/// Polls once.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    poll_fn(|cx| {
        Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// Runs a helper program under strace, and returns what it has said and how many threads or processes it has started.
fn traced(name: &str, arguments: &[&str]) -> (Output, usize) {
    let bus = SessionBus::get();
    let trace = tempfile::NamedTempFile::new().unwrap();
    let output = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=clone,clone3,fork,vfork", "-o"])
        .arg(trace.path())
        .arg(program(name))
        .args(arguments)
        .env(SessionBus::VARIABLE, bus.address())
        .output()
        .unwrap();
    let starts = std::fs::read_to_string(trace.path()).unwrap();
    (
        output,
        starts
            .lines()
            .filter(|line| line.contains("clone") || line.contains("fork"))
            .count(),
    )
}

#[test]
fn no_thread_is_started_from_build_to_close() {
    let (output, starts) = traced("bus_lifecycle", &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(starts, 0);
    // The control: what blocks has a thread of GIO's pool.
    let (output, starts) = traced("bus_lifecycle", &["blocking"]);
    assert!(output.status.success(), "{output:?}");
    assert!(starts > 0);
}

#[test]
fn without_a_runtime_a_connection_fails_rather_than_start_a_helper() {
    let refused = run(|| async { Connection::session().await });
    assert!(
        matches!(refused, Err(zbus::Error::Unsupported)),
        "{refused:?}"
    );
}

#[test]
fn a_task_hands_its_output_back_also_when_it_was_spawned_on_another_thread() {
    run(|| async {
        let context = context();
        let here = thread::current().id();
        assert_eq!(context.spawn("a task", async { 42 }).await.unwrap(), 42);
        let spawner = context.clone();
        let spawned =
            thread::spawn(move || spawner.spawn("a task", async move { thread::current().id() }));
        until("it is spawned", || spawned.is_finished()).await;
        assert_eq!(spawned.join().unwrap().await.unwrap(), here);
    });
}

/// Says on which thread it was dropped.
struct Said(mpsc::Sender<thread::ThreadId>);

impl Drop for Said {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().id());
    }
}

#[test]
fn a_dropped_task_is_cancelled_and_its_future_ends_on_the_context() {
    run(|| async {
        let (context, here) = (context(), thread::current().id());
        let (said, dropped) = mpsc::channel();
        let was_polled = Arc::new(AtomicBool::new(false));
        let (saying, polled) = (Said(said.clone()), was_polled.clone());
        let task = context.spawn("a task", async move {
            let _saying = saying;
            polled.store(true, Release);
            pending::<()>().await;
        });
        until("it was polled", || was_polled.load(Acquire)).await;
        thread::spawn(move || drop(task)).join().unwrap();
        until("it ends", || dropped.try_recv() == Ok(here)).await;

        // Detached, it lives on, until it ends by itself.
        let saying = Said(said);
        let task = context.spawn("a task", async move {
            let _saying = saying;
            glib::timeout_future(Duration::from_millis(1)).await;
        });
        drop(task);
        until("it ends", || dropped.try_recv() == Ok(here)).await;
    });
}

#[test]
fn a_detached_task_runs_to_its_end() {
    run(|| async {
        let context = context();
        let ended = Arc::new(AtomicBool::new(false));
        let (ends, sleep) = (ended.clone(), context.sleep(Duration::from_millis(20)));
        let task = context.spawn("a task", async move {
            sleep.await;
            ends.store(true, Release);
        });
        task.detach();
        until("it ends", || ended.load(Acquire)).await;
    });
}

#[test]
fn a_task_that_panics_is_an_error_and_the_context_runs_on() {
    run(|| async {
        let context = context();
        let task = context.spawn("a task", async { panic!("on purpose") });
        assert!(task.await.is_err());
        assert_eq!(context.spawn("a task", async { 1 }).await.unwrap(), 1);
    });
}

#[test]
fn timers_ring_in_their_order_and_not_when_they_were_dropped() {
    run(|| async {
        let context = context();
        let begun = Instant::now();
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let tasks: Vec<_> = [90u64, 30, 60]
            .into_iter()
            .map(|time| {
                let (sleep, order) = (context.sleep(Duration::from_millis(time)), order.clone());
                context.spawn("a timer", async move {
                    sleep.await;
                    order.lock().unwrap().push(time);
                })
            })
            .collect();
        let (sleep, dropped) = (context.sleep(Duration::from_millis(10)), order.clone());
        drop(context.spawn("a timer", async move {
            sleep.await;
            dropped.lock().unwrap().push(10);
        }));
        for task in tasks {
            task.await.unwrap();
        }
        assert!(begun.elapsed() >= Duration::from_millis(90));
        assert_eq!(*order.lock().unwrap(), [30, 60, 90]);
        // One that is set on another thread wakes the context, which sleeps.
        let sleep = context.sleep(Duration::from_millis(20));
        let (done, rung) = (Arc::new(AtomicBool::new(false)), Instant::now());
        let sets = done.clone();
        thread::spawn(move || {
            glib::MainContext::new().block_on(sleep);
            sets.store(true, Release);
        });
        until("it rings", || done.load(Acquire)).await;
        println!(
            "a timer of 20 ms has rung on another thread after {:?}",
            rung.elapsed()
        );
    });
}

#[test]
fn blocking_work_runs_elsewhere_and_to_its_end() {
    run(|| async {
        let context = context();
        let here = thread::current().id();
        let there = context.spawn_blocking(|| thread::current().id()).await;
        assert_ne!(there, here);
        let (go, gone) = mpsc::channel::<()>();
        let (report, reported) = mpsc::channel();
        let mut work = context.spawn_blocking(move || {
            gone.recv().unwrap();
            report.send(()).unwrap();
        });
        assert!(poll_once(&mut work).await.is_none());
        drop(work);
        go.send(()).unwrap();
        reported.recv_timeout(Duration::from_secs(60)).unwrap();
    });
}

#[test]
fn a_connect_waits_for_a_listener_with_a_full_backlog() {
    run(|| async {
        let context = context();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
        bind(&listener, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
        listen(&listener, 0).unwrap();
        let listener = UnixListener::from(listener);
        let _queued = context.connect_unix(&path).await.unwrap();
        {
            let mut waits = pin!(context.connect_unix(&path));
            assert!(poll_once(&mut waits).await.is_none(), "there was no room");
            glib::timeout_future(Duration::from_millis(50)).await;
            assert!(poll_once(&mut waits).await.is_none(), "there was no room");
            let _accepted = listener.accept().unwrap();
            waits.await.unwrap();
        }
        drop(listener);
        let refused = context.connect_unix(&path).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_tcp_connect_is_waited_for_and_refused_in_words() {
    run(|| async {
        let context = context();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        context.connect_tcp(address).await.unwrap();
        drop(listener);
        let refused = context.connect_tcp(address).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_program_is_not_started_for_an_address() {
    let refused = run(|| async {
        let null = std::process::Stdio::null;
        let started = context().spawn_process(Command::new("true"), null(), null(), null());
        started.err().unwrap()
    });
    assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
    assert!(refused.to_string().contains("unixexec:"), "{refused}");
}

#[test]
fn a_hundred_connections_share_one_source() {
    let bus = SessionBus::get();
    run(|| async {
        let served = serve(&bus).await;
        let mut callers = Vec::new();
        for _ in 0..100 {
            callers.push(bus::address(bus.address()).await.unwrap());
        }
        let calls = callers.iter().enumerate().map(|(number, caller)| {
            let served = &served;
            async move {
                let proxy = proxy_to(served, caller).await;
                assert_eq!(
                    proxy.greet(&number.to_string()).await.unwrap(),
                    format!("Hello {number}!")
                );
            }
        });
        futures_util::future::join_all(calls).await;
    });
}

#[test]
fn a_method_that_panics_leaves_the_app_alone() {
    let bus = SessionBus::get();
    run(|| async {
        let served = serve(&bus).await;
        let caller = bus::address(bus.address())
            .configure(|builder| builder.method_timeout(Duration::from_millis(200)))
            .await
            .unwrap();
        let proxy = proxy_to(&served, &caller).await;
        assert!(proxy.panic().await.is_err());
        assert_eq!(proxy.greet("world").await.unwrap(), "Hello world!");
    });
}

#[test]
fn an_idle_connection_wakes_nobody() {
    let bus = SessionBus::get();
    let context = glib::MainContext::new();
    let polls = context
        .with_thread_default(|| {
            poll::watch(&context);
            let connection = context.block_on(async { bus::address(bus.address()).await.unwrap() });
            let main_loop = glib::MainLoop::new(Some(&context), false);
            let quit = main_loop.clone();
            let timer = glib::timeout_source_new(
                Duration::from_secs(3),
                None,
                glib::Priority::DEFAULT,
                move || {
                    quit.quit();
                    glib::ControlFlow::Break
                },
            );
            timer.attach(Some(&context));
            // What the end of the build has left to do.
            while context.iteration(false) {}
            poll::seen();
            main_loop.run();
            drop(connection);
            poll::seen().polls
        })
        .unwrap();
    println!("{polls} polls in 3 s");
    // The one that the timer of the test ended.
    assert_eq!(polls, 1);
}

/// A main context that another thread runs.
struct Elsewhere {
    context: glib::MainContext,
    main_loop: glib::MainLoop,
    thread: Option<thread::JoinHandle<()>>,
}

impl Elsewhere {
    fn start() -> Self {
        let context = glib::MainContext::new();
        let main_loop = glib::MainLoop::new(Some(&context), false);
        let (its_context, its_loop) = (context.clone(), main_loop.clone());
        let thread = thread::spawn(move || {
            its_context.with_thread_default(|| its_loop.run()).unwrap();
        });
        Self {
            context,
            main_loop,
            thread: Some(thread),
        }
    }

    /// Ends the thread, and frees the context.
    fn end(mut self) {
        let quit = self.main_loop.clone();
        self.context.invoke(move || quit.quit());
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn a_connection_on_the_context_of_another_thread_is_used_from_here() {
    let bus = SessionBus::get();
    let elsewhere = Elsewhere::start();
    let there = MainContext::new(&elsewhere.context).unwrap();
    run(|| async {
        let served = serve(&bus).await;
        let caller = bus::address(bus.address()).on(&there).await.unwrap();
        let proxy = proxy_to(&served, &caller).await;
        for _ in 0..100 {
            assert_eq!(proxy.greet("world").await.unwrap(), "Hello world!");
        }
    });
    elsewhere.end();
}

#[test]
fn when_the_context_goes_away_calls_fail_and_nothing_hangs() {
    let bus = SessionBus::get();
    let elsewhere = Elsewhere::start();
    let there = MainContext::new(&elsewhere.context).unwrap();
    run(|| async {
        let served = serve(&bus).await;
        let caller = bus::address(bus.address()).on(&there).await.unwrap();
        let proxy = proxy_to(&served, &caller).await;
        proxy.greet("world").await.unwrap();
        let calling = proxy.clone();
        let call = context().spawn("a call", async move { calling.never().await });
        let sleeping = context().spawn("a timer", there.sleep(Duration::from_secs(1000)));
        glib::timeout_future(Duration::from_millis(50)).await;
        elsewhere.end();
        let error = call.await.unwrap().unwrap_err();
        println!("{error}");
        sleeping.await.unwrap();
        // What comes later is an error, too.
        assert!(proxy.greet("world").await.is_err());
        assert!(there.spawn("a task", async {}).await.is_err());
        let late = bus::address(bus.address()).on(&there).await.unwrap_err();
        println!("{late}");
        caller.closed().await;
    });
}

/// Counts itself.
struct Widget(
    Arc<AtomicUsize>,
    thread::ThreadId,
    std::marker::PhantomData<*const ()>,
);

impl Drop for Widget {
    fn drop(&mut self) {
        assert_eq!(thread::current().id(), self.1);
        self.0.fetch_add(1, Release);
    }
}

#[test]
fn a_local_value_is_used_and_dropped_on_its_own_thread() {
    run(|| async {
        let (dropped, here) = (Arc::new(AtomicUsize::new(0)), thread::current().id());
        let widget = || Widget(dropped.clone(), here, std::marker::PhantomData);
        let local = Local::new(widget()).unwrap();
        assert_eq!(local.with(|widget| widget.1), Some(here));
        assert_eq!(local.run(|widget| widget.1).await, Some(here));
        let elsewhere = thread::spawn(move || {
            assert_eq!(local.with(|widget| widget.1), None);
            let ran_on = glib::MainContext::new().block_on(local.run(|_| thread::current().id()));
            assert_eq!(ran_on, Some(here));
        });
        until("the other thread has ended", || elsewhere.is_finished()).await;
        elsewhere.join().unwrap();
        until("it is dropped", || dropped.load(Acquire) == 1).await;
        drop(Local::new(widget()).unwrap());
        assert_eq!(dropped.load(Acquire), 2);
    });
}

#[test]
fn a_local_value_whose_context_is_gone_is_nobodys() {
    let local = thread::spawn(|| {
        let context = glib::MainContext::new();
        context
            .with_thread_default(|| Local::new(std::rc::Rc::new(1)).unwrap())
            .unwrap()
    })
    .join()
    .unwrap();
    assert_eq!(local.with(|value| **value), None);
    assert_eq!(
        glib::MainContext::new().block_on(local.run(|value| **value)),
        None
    );
}

#[test]
fn a_forked_copy_of_the_app_leaves_its_connections_alone() {
    let bus = SessionBus::get();
    let output = Command::new(program("bus_forked"))
        .env(SessionBus::VARIABLE, bus.address())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_stream_that_nobody_reads_is_told_to_the_log() {
    let bus = SessionBus::get();
    let helper = |arguments: &[&str]| {
        let output = Command::new(program("bus_undrained"))
            .args(arguments)
            .env(SessionBus::VARIABLE, bus.address())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    let (said, log) = helper(&[]);
    assert_eq!(said, "not answered\n");
    assert!(log.contains("replies too"), "{log}");
    let (said, log) = helper(&["drains"]);
    assert_eq!(said, "answered\n");
    assert!(!log.contains("replies too"), "{log}");
}
