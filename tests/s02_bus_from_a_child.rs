//! S2: a forked child makes a call over the D-Bus connection that it inherited, and never gets an answer.

use legwork::Worker;
use legwork::gio::{Cancellable, DBusConnection, DBusConnectionFlags};
use legwork::prelude::*;
use legwork_tests::bus::SessionBus;
use legwork_tests::context::run;
use legwork_tests::scene;
use legwork_tests::with_glib::{AskTheBus, id_of_bus, process_of};

#[test]
fn control_a_forked_child_is_never_answered_over_the_connection_of_its_parent() {
    let bus = SessionBus::get();
    let figures = scene::control_with("control_s02_bus_from_a_child", |plan| {
        plan.env(SessionBus::VARIABLE, bus.address())
    });
    let answered: bool = figures.get("answered");
    println!(
        "S2 control: the parent was answered in {} ms, its child not in {} s",
        figures.get::<u64>("answer_before_milliseconds"),
        figures.get::<u64>("waited_seconds"),
    );
    assert!(
        !answered,
        "the control no longer fails: the child was answered"
    );
}

#[test]
fn a_job_has_a_connection_of_its_own_and_leaves_that_of_the_app_alone() {
    let session = SessionBus::get();
    let flags =
        DBusConnectionFlags::AUTHENTICATION_CLIENT | DBusConnectionFlags::MESSAGE_BUS_CONNECTION;
    let bus = DBusConnection::for_address_sync(session.address(), flags, None, Cancellable::NONE)
        .unwrap();
    let id = id_of_bus(&bus, Cancellable::NONE).unwrap();
    let own_name = bus.unique_name().unwrap();

    run(async || {
        let mut job = AskTheBus
            .builder()
            .worker(&Worker::program(env!("CARGO_BIN_EXE_worker_with_glib")))
            .env(SessionBus::VARIABLE, session.address())
            .spawn();
        let sender = job.sender();
        let name = job.message().await.expect("the job's name on the bus");
        assert_ne!(name, own_name.as_str());
        assert_eq!(process_of(&bus, &name).ok(), job.pid());
        assert_eq!(process_of(&bus, &own_name).unwrap(), std::process::id());
        for _ in 0..100 {
            // Its call and ours are under way at the same time.
            sender.send(()).await.unwrap();
            assert_eq!(id_of_bus(&bus, Cancellable::NONE).unwrap(), id);
            assert_eq!(job.message().await, Some(id.clone()));
        }
        drop(sender);
        let calls = job.await.unwrap();
        assert_eq!(calls, 100);
        println!("S2 with Legwork: {own_name} and its job {name} were both answered {calls} times");
    });
    assert_eq!(id_of_bus(&bus, Cancellable::NONE).unwrap(), id);
    assert!(!bus.is_closed());
}
