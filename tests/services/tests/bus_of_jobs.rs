//! The session bus and jobs: one that was not let does not find it, and one that was has a connection of its own.

use std::collections::HashSet;

use legwork::prelude::*;
use legwork::{ErrorKind, JobHandle, Worker};
use legwork_service_tests::jobs::AskTheBus;
use legwork_tests::bus::SessionBus;
use legwork_tests::context::run;
use legwork_tests::program;

/// How many jobs use the bus beside the app.
const JOBS: usize = 1000;

fn ask(is_found: bool) -> JobHandle<AskTheBus> {
    let worker = Worker::program(program("service_worker"));
    (AskTheBus.builder().worker(&worker))
        .session_bus(is_found)
        .spawn()
}

#[test]
fn a_job_does_not_find_the_session_bus_unless_it_is_let() {
    let is_there = std::env::var_os(SessionBus::VARIABLE).is_some();
    assert!(is_there, "this test needs a session bus: cargo xtask test");
    run(|| async {
        let error = ask(false).await.unwrap_err();
        println!("{error}");
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert!(error.to_string().contains("disabled"), "{error}");
        let name = ask(true).await.unwrap();
        assert!(name.starts_with(':'), "{name}");
    });
}

#[test]
fn jobs_that_use_the_bus_leave_the_apps_connection_alone() {
    run(|| async {
        let connection = legwork::bus::session().await.unwrap();
        let own = connection.unique_name().unwrap().to_string();
        let bus = zbus::fdo::DBusProxy::new(&connection).await.unwrap();
        let mut names = HashSet::from([own.clone()]);
        for _ in 0..JOBS / 8 {
            let jobs: Vec<_> = (0..8).map(|_| ask(true)).collect();
            // A call of ours while they connect.
            let name = own.as_str().try_into().unwrap();
            let process = bus.get_connection_unix_process_id(name).await.unwrap();
            assert_eq!(process, std::process::id());
            for job in jobs {
                assert!(names.insert(job.await.unwrap()), "a name comes once");
            }
        }
        assert_eq!(names.len(), JOBS + 1);
        assert!(!connection.is_closed());
    });
}
