//! One control for jobs and programs: it pauses, resumes, signals and stops them while their handles are awaited.

use std::cell::RefCell;
use std::future::{Future, IntoFuture};
use std::rc::Rc;
use std::time::Duration;

use legwork::glib::{self, prelude::*};
use legwork::process::Signal;
use legwork::{Control, Error, ErrorKind, Status, Stdio, Stop, prelude::*};
use legwork_tests::context::{is_alive, is_stopped, run, until};
use legwork_tests::jobs::{Count, Echo, Misbehave};
use legwork_tests::programs::{command, sh, worker};

/// A grace or a deadline that is not over within a test.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(400);

/// What both kinds of handles can do, and whether the wait for the end was a success.
type Started = (Control, Status, glib::JoinHandle<Result<(), Error>>);

fn await_end<T: 'static>(
    control: Control,
    status: &Status,
    end: impl Future<Output = Result<T, Error>> + 'static,
) -> Started {
    let end = glib::spawn_future_local(async move { end.await.map(drop) });
    (control, status.clone(), end)
}

/// A job and a program that wait until they are asked to stop, and then stop by themselves; nothing kills them.
fn waiting() -> [Started; 2] {
    let job = Misbehave::HangPolitely.builder().worker(&worker());
    let job = job.grace(LONG).spawn();
    let script = "trap 'exit 0' TERM; while :; do sleep 0.01; done";
    let program = sh(script).stop(Stop::default().grace(LONG)).spawn();
    let (job_status, program_status) = (job.status().clone(), program.status().clone());
    [
        await_end(job.control(), &job_status, job.into_future()),
        await_end(program.control(), &program_status, program.into_future()),
    ]
}

fn errno(result: std::io::Result<()>) -> i32 {
    result.unwrap_err().raw_os_error().unwrap()
}

/// The values that a property takes, in order.
fn values(status: &Status, property: &'static str) -> Rc<RefCell<Vec<bool>>> {
    let values = Rc::<RefCell<Vec<bool>>>::default();
    let noted = values.clone();
    status.connect_notify_local(Some(property), move |status, _| {
        noted.borrow_mut().push(status.property(property));
    });
    values
}

#[test]
fn what_is_awaited_is_paused_resumed_and_stopped() {
    run(|| async {
        for (control, status, end) in waiting() {
            until("it runs", || status.state() == legwork::State::Running).await;
            let pid = status.pid();
            let [paused, can_stop] = ["paused", "can-stop"].map(|name| values(&status, name));
            assert!(status.can_stop() && !status.paused());
            control.pause().unwrap();
            control.clone().pause().unwrap();
            until("it has stopped", || is_stopped(pid)).await;
            assert!(status.paused());
            control.signal(Signal::CONT).unwrap();
            until("it runs again", || !is_stopped(pid)).await;
            // One that is paused is asked, and can still react. The signal pauses it, too.
            control.signal(Signal::STOP).unwrap();
            until("it has stopped", || is_stopped(pid)).await;
            control.cancel();
            assert!(status.running() && !status.can_stop() && !status.paused());
            let error = end.await.unwrap().unwrap_err();
            assert!(
                error.is_cancelled() && error.signal().is_none(),
                "{error:?}"
            );
            assert!(!is_alive(pid) && !status.can_stop());
            assert_eq!(*paused.borrow(), [true, false, true, false]);
            assert_eq!(*can_stop.borrow(), [false]);
        }
    });
}

#[test]
fn a_paused_job_does_nothing_until_it_is_resumed() {
    run(|| async {
        let mut job = Echo.builder().worker(&worker()).spawn();
        let (sender, control, pid) = (job.sender(), job.control(), job.pid().unwrap());
        sender.send(b"one".to_vec()).await.unwrap();
        assert_eq!(job.message().await.unwrap(), b"one");
        control.pause().unwrap();
        until("it has stopped", || is_stopped(pid)).await;
        sender.send(b"two".to_vec()).await.unwrap();
        assert!(
            glib::future_with_timeout(SHORT, job.message())
                .await
                .is_err()
        );
        control.resume().unwrap();
        assert_eq!(job.message().await.unwrap(), b"two");
        drop(sender);
        assert_eq!(job.await.unwrap(), 2);
    });
}

#[test]
fn a_handshake_waits_for_a_paused_worker_and_a_deadline_does_not() {
    run(|| async {
        let echo = || Echo.builder().worker(&worker());
        let job = echo().handshake_deadline(5 * SHORT).spawn();
        job.control().pause().unwrap();
        glib::timeout_future(8 * SHORT).await;
        assert!(job.status().paused());
        job.control().resume().unwrap();
        assert_eq!(job.await.unwrap(), 0);

        let job = echo().deadline(SHORT).grace(LONG).spawn();
        let _sender = job.sender();
        job.control().pause().unwrap();
        assert_eq!(job.await.unwrap_err().kind(), ErrorKind::Timeout);
        let program = command("sleep").arg("1000").deadline(SHORT).spawn();
        program.control().pause().unwrap();
        let error = program.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(error.signal(), Some(Signal::TERM));
    });
}

#[test]
fn what_stops_is_not_paused_and_can_be_killed() {
    run(|| async {
        let deaf = sh("trap '' TERM; echo ready; while :; do sleep 0.01; done");
        let mut deaf = deaf
            .stdout(Stdio::piped())
            .stop(Stop::default().grace(LONG))
            .spawn();
        assert!(deaf.stdout().unwrap().wait_for("ready").await.is_some());
        let mut job = Misbehave::Hang
            .builder()
            .worker(&worker())
            .grace(LONG)
            .spawn();
        assert_eq!(job.message().await.as_deref(), Some("hanging"));
        for control in [deaf.control(), job.control()] {
            control.cancel();
            assert_eq!(errno(control.pause()), libc::ECANCELED);
            control.kill().unwrap();
        }
        for error in [deaf.await.unwrap_err(), job.await.unwrap_err()] {
            assert!(error.is_cancelled());
            assert_eq!(error.signal(), Some(Signal::KILL));
        }
    });
}

#[test]
fn a_control_outlives_its_child_and_does_not_keep_it() {
    run(|| async {
        for (control, status, end) in waiting() {
            let pid = status.pid();
            end.abort();
            drop(end);
            until("it has ended with its handle", || !is_alive(pid)).await;
            until("that is known", || !status.running()).await;
            control.cancel();
            let size = control.resize_terminal(80, 24);
            for result in [control.pause(), control.resume(), control.kill(), size] {
                assert_eq!(errno(result), libc::ESRCH);
            }
            assert!(!status.paused());
        }
        let job = Echo.builder().worker(&worker()).spawn();
        assert_eq!(errno(job.control().resize_terminal(80, 24)), libc::ENOTTY);
        // Whoever still reads what it wrote.
        let mut program = command("true").terminal(80, 24).spawn();
        let output = program.stdout();
        until("it has ended", || !program.status().running()).await;
        let resized = program.control().resize_terminal(80, 24);
        assert_eq!(errno(resized), libc::ESRCH);
        drop(output);
    });
}

#[test]
fn a_pause_at_the_very_end_is_harmless() {
    run(|| async {
        for round in 0..60 {
            let job = Count { to: 1 }.builder().worker(&worker()).spawn();
            let (control, status) = (job.control(), job.status().clone());
            let (control, status, end) = await_end(control, &status, job.into_future());
            glib::timeout_future(Duration::from_micros(round * 100)).await;
            // It may be over.
            let _ = control.pause();
            glib::timeout_future(Duration::from_millis(2)).await;
            let _ = control.resume();
            end.await.unwrap().unwrap();
            assert!(!status.paused());
        }
    });
}
