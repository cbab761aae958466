//! Somebody forks the app, and the copy runs the context and drops the connections. Those of the app work on.

use std::cell::RefCell;
use std::time::Duration;

use legwork::bus::{self, MainContext};
use legwork::glib;
use legwork_service_tests::greeter::{Greeter, GreeterProxy, PATH};
use legwork_tests::raw::in_a_forked_copy;
use zbus::runtime::traits::Runtime;

fn main() {
    let context = glib::MainContext::default();
    let serve =
        |builder: zbus::connection::Builder<'static>| builder.serve_at(PATH, Greeter::new());
    let timeout = |builder: zbus::connection::Builder<'static>| {
        builder.method_timeout(Duration::from_secs(30))
    };
    let held = RefCell::new(Some(context.block_on(async {
        let served = bus::session().configure(serve).await.unwrap();
        (served, bus::session().configure(timeout).await.unwrap())
    })));
    let greet = async || {
        let (served, caller) = held.borrow().clone().unwrap();
        let proxy = GreeterProxy::builder(&caller)
            .destination(served.unique_name().unwrap().clone())
            .cache_properties(zbus::proxy::CacheProperties::No)
            .build()
            .await
            .unwrap();
        assert_eq!(proxy.greet("world").await.unwrap(), "Hello world!");
    };
    context.block_on(greet());
    let code = in_a_forked_copy(|| {
        // A task, a timer and a wakeup of the copy, and an iteration of its loop.
        let runtime = MainContext::thread_default().unwrap();
        let task = runtime.spawn("a task", runtime.sleep(Duration::ZERO));
        while context.iteration(false) {}
        drop(task);
        drop(held.take());
        while context.iteration(false) {}
        7
    });
    assert_eq!(code, 7);
    context.block_on(greet());
}
