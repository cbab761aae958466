//! Everything that a connection does, from build to close, in a process whose threads are counted: at each step, and by
//! strace from outside, which also sees a thread that ends before the next step.
//!
//! `bus_lifecycle blocking` also runs blocking work, as the control: that takes a thread.

use std::time::Duration;

use futures_util::StreamExt;
use legwork::bus::{self, MainContext};
use legwork::glib;
use legwork_service_tests::greeter::{Greeter, GreeterProxy, PATH};
use legwork_service_tests::threads;
use zbus::runtime::traits::Runtime;

fn main() {
    let alone = threads();
    assert_eq!(alone, 1);
    glib::MainContext::default().block_on(lifecycle());
    if std::env::args().any(|argument| argument == "blocking") {
        let context = MainContext::thread_default().unwrap();
        let work = context.spawn_blocking(threads);
        assert!(glib::MainContext::default().block_on(work) > alone);
        return;
    }
    assert_eq!(threads(), alone);
}

async fn lifecycle() {
    let same = |step: &str| assert_eq!(threads(), 1, "{step}");
    let served = bus::session()
        .configure(|builder| builder.serve_at(PATH, Greeter::new()))
        .await
        .unwrap();
    same("built");
    // A test's session has no system bus: this one stands for it.
    let address = std::env::var("DBUS_SESSION_BUS_ADDRESS").unwrap();
    let caller = bus::address(&address)
        .configure(|builder| builder.method_timeout(Duration::from_secs(60)))
        .await
        .unwrap();
    same("built twice");

    let name = served.unique_name().unwrap().clone();
    let proxy = GreeterProxy::builder(&caller)
        .destination(&name)
        .build()
        .await
        .unwrap();
    let mut greeted = proxy.receive_greeted().await.unwrap();
    let mut changed = proxy.receive_greeting_changed().await;
    assert_eq!(proxy.greet("world").await.unwrap(), "Hello world!");
    same("called");
    let signal = greeted.next().await.unwrap();
    assert_eq!(signal.args().unwrap().name, "world");
    assert_eq!(changed.next().await.unwrap().get().await.unwrap(), "Hello");
    proxy.set_greeting("Howdy").await.unwrap();
    assert_eq!(changed.next().await.unwrap().get().await.unwrap(), "Howdy");
    same("set");
    drop((greeted, changed, signal));
    drop(proxy);
    caller.graceful_shutdown().await;
    served.close().await.unwrap();
    same("closed");
}
