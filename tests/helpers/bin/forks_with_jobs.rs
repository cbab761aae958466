//! Starts jobs and forks, as some library might. The copy drops everything that it has of them. One copy becomes the
//! app, as a daemon does, and runs jobs on the context of those that have ended.

use legwork::{
    JobHandle, Worker,
    glib::{MainContext, future_with_timeout},
    prelude::*,
};
use legwork_tests::{
    context::is_alive,
    jobs::{Count, Echo, Misbehave},
    program,
    raw::in_a_forked_copy,
    until,
};

fn worker() -> Worker {
    Worker::program(program("worker"))
}

fn polite() -> JobHandle<Misbehave> {
    Misbehave::HangPolitely.builder().worker(&worker()).spawn()
}

fn main() {
    for exits in [false, true] {
        let context = MainContext::new();
        context
            .with_thread_default(|| stays_untouched(&context, exits))
            .unwrap();
    }
    let context = MainContext::new();
    context
        .with_thread_default(|| goes_on_as_a_daemon(&context))
        .unwrap();
}

fn goes_on_as_a_daemon(context: &MainContext) {
    let counts = || {
        let job = Count { to: 5 }.builder().worker(&worker()).spawn();
        let timeout = std::time::Duration::from_secs(30);
        let end = future_with_timeout(timeout, job.into_future());
        context.block_on(end).expect("it ends").unwrap()
    };
    assert_eq!(counts(), 5);
    let told = in_a_forked_copy(|| {
        assert_eq!([counts(), counts()], [5, 5]);
        7
    });
    assert_eq!(told, 7, "what the copy did");
    assert_eq!(counts(), 5);
}

fn stays_untouched(context: &MainContext, exits: bool) {
    let mut polite = polite();
    assert_eq!(context.block_on(polite.message()).unwrap(), "hanging");
    let pid = polite.pid().unwrap();
    let mut counting = Count { to: 200 }.builder().worker(&worker()).spawn();
    assert_eq!(context.block_on(counting.message()), Some(0));
    let echo = Echo.builder().worker(&worker()).spawn();
    let sender = echo.sender();

    let mut own = Some((polite, counting, echo, sender, context.clone()));
    let told = in_a_forked_copy(|| {
        let (polite, mut counting, echo, sender, context) = own.take().unwrap();
        let cancellable = polite.cancellable();
        drop(polite);
        let messages = counting.messages();
        counting.cancel();
        drop(counting);
        drop(messages);
        drop(sender);
        drop(echo);
        legwork::gio::prelude::CancellableExt::cancel(&cancellable);
        drop(cancellable);
        drop(context);
        if exits {
            // The thread-local values, and whatever else ends with a process.
            std::process::exit(7);
        }
        7
    });
    assert_eq!(told, 7, "what the copy did");

    let (polite, mut counting, mut echo, sender, _) = own.unwrap();
    assert!(is_alive(pid));
    for number in 1..200 {
        assert_eq!(context.block_on(counting.message()), Some(number));
    }
    assert_eq!(context.block_on(counting.into_future()).unwrap(), 200);
    context.block_on(sender.send(vec![1; 100])).unwrap();
    assert_eq!(context.block_on(echo.message()), Some(vec![1; 100]));
    drop(sender);
    assert_eq!(context.block_on(echo.into_future()).unwrap(), 1);
    assert!(is_alive(pid));
    polite.cancel();
    let error = context.block_on(polite.into_future()).unwrap_err();
    assert!(error.is_cancelled());
    until("the worker is gone", || !is_alive(pid));
}
