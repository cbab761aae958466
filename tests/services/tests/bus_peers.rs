//! A private D-Bus connection between an app and one child: its calls, its ends at every step, and a child that is hostile.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use legwork::bus::{self, CallError, ConnectError, ConnectStep, Peer};
use legwork::gio::{self, prelude::*};
use legwork::glib::{self, VariantTy};
use legwork::prelude::*;
use legwork::process::Signal;
use legwork::{Command, CommandHandle, Error, JobHandle, Worker};
use legwork_service_tests::jobs::{Fault, How, Serve};
use legwork_service_tests::subject::{PATH, SubjectProxy};
use legwork_tests::context::run;
use legwork_tests::{poll, program};
use zbus::{Connection, MessageStream};

fn start(how: How) -> (Peer, JobHandle<Serve>) {
    let (peer, end) = bus::peer().unwrap();
    let worker = Worker::program(program("service_worker"));
    let job = Serve { bus: end, how };
    (peer, job.builder().worker(&worker).spawn())
}

async fn served() -> (Connection, JobHandle<Serve>) {
    let (peer, job) = start(How::Serve);
    (peer.connect().await.unwrap(), job)
}

async fn subject(connection: &Connection) -> SubjectProxy<'static> {
    SubjectProxy::builder(connection)
        .cache_properties(zbus::proxy::CacheProperties::No)
        .build()
        .await
        .unwrap()
}

fn file_of(text: &str) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}

/// The error of a call that a child did not answer.
fn end<T: std::fmt::Debug, E: std::fmt::Debug>(result: Result<T, CallError<E>>) -> Error {
    match result {
        Err(CallError::Ended(error)) => error,
        other => panic!("it has not ended: {other:?}"),
    }
}

#[test]
fn a_job_serves_an_interface_to_its_app() {
    run(|| async {
        let (connection, job) = served().await;
        let subject = subject(&connection).await;
        let sum = bus::call(job.status(), subject.sum(vec![1, 2, 3])).await;
        assert_eq!(sum.unwrap(), 6);
        let large = vec![7; (1 << 20) - 1000];
        assert_eq!(subject.echo(large.clone()).await.unwrap(), large);
        let text = subject.read(OwnedFd::from(file_of("a text")).into()).await;
        assert_eq!(text.unwrap(), "a text");
        // An error of the method is no end of the job.
        let error = bus::call(job.status(), subject.fail()).await.unwrap_err();
        assert!(matches!(error, CallError::Call(_)), "{error:?}");
        assert!(error.to_string().contains("on purpose"), "{error}");
        // The app closes the connection, and the job returns.
        drop(subject);
        connection.close().await.unwrap();
        job.await.unwrap();
    });
}

#[test]
fn a_job_that_serves_can_be_stopped() {
    run(|| async {
        let (connection, job) = served().await;
        job.cancel();
        let error = job.await.unwrap_err();
        assert!(
            error.is_cancelled() && error.signal().is_none(),
            "{error:?}"
        );
        connection.closed().await;
    });
}

#[test]
fn calls_under_way_end_with_the_jobs_own_error() {
    run(|| async {
        let (connection, job) = served().await;
        let subject = subject(&connection).await;
        let status = job.status().clone();
        let begun = Instant::now();
        let waits = bus::call(&status, subject.never());
        let dies = bus::call(&status, subject.abort());
        let (first, second) = futures_util::future::join(waits, dies).await;
        println!(
            "two calls have ended {:?} after the abort was asked for",
            begun.elapsed()
        );
        for error in [end(first), end(second)] {
            assert_eq!(error.signal(), Some(Signal::ABRT), "{error:?}");
            assert!(error.is_crash());
        }
        // The handle says the same.
        let error = job.await.unwrap_err();
        assert_eq!(error.signal(), Some(Signal::ABRT));
        // What is called later ends in the same way.
        let late = end(bus::call(&status, subject.sum(vec![1])).await);
        assert_eq!(late.to_string(), error.to_string());
    });
}

#[test]
fn a_child_is_killed_between_two_calls_or_in_one_and_the_error_says_so() {
    run(|| async {
        for in_a_call in [false, true] {
            let (connection, job) = served().await;
            let subject = subject(&connection).await;
            subject.sum(vec![1]).await.unwrap();
            let status = job.status().clone();
            let control = job.control();
            let error = if in_a_call {
                let call = bus::call(&status, subject.never());
                let kill = async {
                    glib::timeout_future(Duration::from_millis(20)).await;
                    control.kill().unwrap();
                };
                futures_util::future::join(call, kill).await.0.map(|()| 0)
            } else {
                control.kill().unwrap();
                bus::call(&status, subject.sum(vec![1])).await
            };
            assert_eq!(end(error).signal(), Some(Signal::KILL));
            assert_eq!(job.await.unwrap_err().signal(), Some(Signal::KILL));
            connection.closed().await;
        }
    });
}

#[test]
fn an_exit_without_an_answer_is_the_error_and_one_behind_an_answer_is_not() {
    run(|| async {
        let (connection, job) = served().await;
        let subject = subject(&connection).await;
        let error = end(bus::call(job.status(), subject.exit()).await);
        assert_eq!(error.exit_code(), Some(3), "{error:?}");
        drop(job);

        let (connection, job) = served().await;
        let subject = self::subject(&connection).await;
        let control = job.control();
        let call = bus::call(job.status(), subject.sum(vec![1, 2]));
        assert_eq!(call.await.unwrap(), 3);
        control.kill().unwrap();
    });
}

/// Connects to a child that does this instead of serving.
async fn refused(how: How) -> (ConnectError, JobHandle<Serve>) {
    let (peer, job) = start(how);
    let error = peer.connect().await.unwrap_err();
    println!("{error}");
    (error, job)
}

#[test]
fn a_child_that_ends_before_it_has_authenticated_is_an_error_at_once() {
    run(|| async {
        let begun = Instant::now();
        for how in [How::DieFirst, How::DieInAuthentication, How::Panic] {
            let (error, job) = refused(how.clone()).await;
            assert_eq!(error.step(), ConnectStep::Authenticate);
            let error = job.await.unwrap_err();
            assert_eq!(error.is_panic(), how == How::Panic, "{error}");
        }
        let (error, job) = refused(How::Return).await;
        assert_eq!(error.step(), ConnectStep::Authenticate);
        job.await.unwrap();
        // One that could not even start.
        let (peer, bus) = bus::peer().unwrap();
        let nowhere = Worker::program("/nonexistent/worker");
        let how = How::Serve;
        let job = Serve { bus, how }.builder().worker(&nowhere).spawn();
        let error = peer.connect().await.unwrap_err();
        assert_eq!(error.step(), ConnectStep::Authenticate);
        assert!(job.await.unwrap_err().is_start());
        assert!(begun.elapsed() < Duration::from_secs(9), "by no timeout");
    });
}

#[test]
fn a_child_that_says_nothing_or_garbage_is_an_error() {
    run(|| async {
        let (peer, _job) = start(How::SayNothing);
        let error = peer.timeout(Duration::from_millis(200)).connect().await;
        assert_eq!(error.unwrap_err().step(), ConnectStep::Timeout);
        let (error, job) = refused(How::Garbage).await;
        assert_eq!(error.step(), ConnectStep::Authenticate);
        job.await.unwrap();
    });
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_message_that_is_at_fault_ends_the_connection_or_is_left_out() {
    run(|| async {
        for (fault, says) in [
            (Fault::Huge, Some("its limit is 1048576")),
            (Fault::JustTooLong, Some("a message of 1048577 bytes")),
            (Fault::Descriptors, Some("more descriptors")),
            (Fault::NoMessage, Some("not a D-Bus message")),
            (Fault::Half, None),
            (Fault::UnknownType, None),
        ] {
            let (peer, job) = start(How::Send(fault));
            let before = open_descriptors();
            let connection = peer.connect().await.unwrap();
            let mut stream = MessageStream::from(&connection);
            let first = stream.next().await;
            println!("{fault:?}: {first:?}");
            let error = first.expect("an error comes first").unwrap_err();
            if let Some(says) = says {
                assert!(error.to_string().contains(says), "{error}");
            }
            connection.closed().await;
            println!("{before} descriptors before, {} now", open_descriptors());
            job.cancel();
            assert!(matches!(job.await, Ok(()) | Err(_)));
        }
        // A body is read by whoever wants it.
        let (peer, job) = start(How::Send(Fault::WrongBody));
        let connection = peer.connect().await.unwrap();
        let mut stream = MessageStream::from(&connection);
        let message = stream.next().await.unwrap().unwrap();
        assert!(message.body().deserialize::<String>().is_err());
        job.cancel();
    });
}

#[test]
fn what_a_child_may_send_can_be_set() {
    run(|| async {
        let (peer, _job) = start(How::Send(Fault::JustTooLong));
        let connection = peer.message_limit(2 << 20).connect().await.unwrap();
        let mut stream = MessageStream::from(&connection);
        stream.next().await.unwrap().unwrap();
        // As many descriptors as the kernel passes in one message.
        let (peer, _job) = start(How::Send(Fault::Descriptors));
        let connection = peer.descriptor_limit(1000).connect().await.unwrap();
        let mut stream = MessageStream::from(&connection);
        let message = stream.next().await.unwrap();
        assert!(message.is_ok(), "{message:?}");
    });
}

#[test]
fn a_child_that_floods_leaves_the_loop_its_time() {
    run(|| async {
        let (peer, job) = start(How::Flood);
        let connection = peer.connect().await.unwrap();
        let mut stream = MessageStream::from(&connection);
        let messages = std::rc::Rc::new(std::cell::Cell::new(0u64));
        let counted = messages.clone();
        let reads = glib::spawn_future_local(async move {
            while let Some(Ok(_)) = stream.next().await {
                counted.set(counted.get() + 1);
            }
        });
        poll::watch(&glib::MainContext::ref_thread_default());
        let frame = Duration::from_micros(16_667);
        let (begun, mut worst) = (Instant::now(), Duration::ZERO);
        for number in 1..=120u32 {
            let due = begun + frame * number;
            glib::timeout_future_with_priority(
                glib::Priority::from(120),
                due.saturating_duration_since(Instant::now()),
            )
            .await;
            worst = worst.max(Instant::now().saturating_duration_since(due));
        }
        let busy = poll::seen().longest;
        println!("{busy:?} of processor time between two polls, at most");
        assert!(busy < Duration::from_millis(50), "{busy:?}");
        println!(
            "{} messages in {:?}, a frame at most {worst:?} late",
            messages.get(),
            begun.elapsed()
        );
        assert!(messages.get() > 1000);
        assert!(worst < Duration::from_millis(500), "{worst:?}");
        connection.close().await.unwrap();
        reads.await.unwrap();
        job.await.unwrap();
    });
}

fn python(end: bus::PeerEnd) -> CommandHandle {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/bus_worker.py");
    // `env` finds another Python where one is first in PATH, without PyGObject.
    Command::new("/usr/bin/python3")
        .arg(script)
        .fd(3, end)
        .label("Python")
        .spawn()
}

#[test]
fn a_worker_in_python_serves_the_same_interface() {
    run(|| async {
        let (peer, end_of_it) = bus::peer().unwrap();
        let worker = python(end_of_it);
        let connection = peer.connect().await.unwrap();
        let subject = subject(&connection).await;
        let sum = bus::call(worker.status(), subject.sum(vec![1, 2, 3])).await;
        assert_eq!(sum.unwrap(), 6);
        let text = subject.read(OwnedFd::from(file_of("a text")).into()).await;
        assert_eq!(text.unwrap(), "a text");
        let error = end(bus::call(worker.status(), subject.exit()).await);
        assert_eq!(error.exit_code(), Some(3), "{error:?}");
        assert_eq!(error.label(), "Python");
        // The app closes the connection, and it ends by itself.
        let (peer, end_of_it) = bus::peer().unwrap();
        let worker = python(end_of_it);
        drop(peer.connect().await.unwrap());
        worker.await.unwrap();
    });
}

async fn by_gio(
    connection: &gio::DBusConnection,
    method: &str,
) -> Result<glib::Variant, glib::Error> {
    let (parameters, reply) = match method {
        "Sum" => (Some((vec![1u64, 2, 3],).to_variant()), Some("(t)")),
        _ => (None, None),
    };
    connection
        .call_future(
            None,
            PATH,
            "org.legwork.Subject",
            method,
            parameters.as_ref(),
            reply.map(|reply| VariantTy::new(reply).unwrap()),
            gio::DBusCallFlags::NONE,
            -1,
        )
        .await
}

#[test]
fn an_app_that_uses_gdbus_has_its_own_kind_of_connection() {
    run(|| async {
        let (peer, job) = start(How::Serve);
        let connection = peer.connect_gio().await.unwrap();
        let sum = bus::call(job.status(), by_gio(&connection, "Sum")).await;
        assert_eq!(sum.unwrap().get::<(u64,)>(), Some((6,)));
        let files = gio_unix_list(&file_of("a text"));
        let (text, _) = connection
            .call_with_unix_fd_list_future(
                None,
                PATH,
                "org.legwork.Subject",
                "Read",
                Some(&glib::Variant::tuple_from_iter([
                    glib::variant::Handle(0).to_variant()
                ])),
                None,
                gio::DBusCallFlags::NONE,
                -1,
                Some(&files),
            )
            .await
            .unwrap();
        assert_eq!(text.get::<(String,)>(), Some(("a text".to_owned(),)));
        let error = end(bus::call(job.status(), by_gio(&connection, "Abort")).await);
        assert_eq!(error.signal(), Some(Signal::ABRT), "{error:?}");

        let (peer, end_of_it) = bus::peer().unwrap();
        let worker = python(end_of_it);
        let connection = peer.connect_gio().await.unwrap();
        let sum = bus::call(worker.status(), by_gio(&connection, "Sum")).await;
        assert_eq!(sum.unwrap().get::<(u64,)>(), Some((6,)));
        connection.close_future().await.unwrap();
        worker.await.unwrap();

        for how in [How::DieFirst, How::DieInAuthentication] {
            let (peer, _job) = start(how);
            let error = peer.connect_gio().await.unwrap_err();
            println!("{error}");
            assert_eq!(error.step(), ConnectStep::Authenticate);
        }
        // GDBus reads a line for as long as there is one.
        let (peer, _job) = start(How::Garbage);
        let peer = peer.timeout(Duration::from_millis(500));
        let error = peer.connect_gio().await.unwrap_err();
        assert_eq!(error.step(), ConnectStep::Timeout);
    });
}

fn gio_unix_list(file: &File) -> gio::UnixFDList {
    let duplicate: OwnedFd = file.try_clone().unwrap().into();
    gio::UnixFDList::from_array([duplicate])
}

#[test]
fn both_ends_in_one_process_need_no_thread_either() {
    run(|| async {
        let (peer, end) = bus::peer().unwrap();
        let subject = legwork_service_tests::subject::Subject;
        let (app, child) = futures_util::future::join(
            peer.connect(),
            end.connect_with(|builder| builder.serve_at(PATH, subject)),
        )
        .await;
        let (app, _child) = (app.unwrap(), child.unwrap());
        assert_eq!(self::subject(&app).await.sum(vec![2, 2]).await.unwrap(), 4);
    });
}
