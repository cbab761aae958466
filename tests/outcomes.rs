//! C7: exactly one outcome per job, and no message is lost.

use std::time::Duration;

use legwork::prelude::*;
use legwork::{ErrorKind, State, Worker, glib};
use legwork_tests::context::{is_alive, run, until};
use legwork_tests::jobs::{Alive, Count, Echo, Fragile, Misbehave, Panics, Sign, Unpack};
use legwork_tests::programs::worker;

#[test]
fn an_output_arrives_and_the_messages_before_it() {
    run(|| async {
        let mut job = Count { to: 200 }.builder().worker(&worker()).spawn();
        let status = job.status().clone();
        let mut seen = Vec::new();
        while let Some(number) = job.message().await {
            seen.push(number);
        }
        assert_eq!(seen, (0..200).collect::<Vec<_>>());
        assert_eq!(job.await.unwrap(), 200);
        assert_eq!(status.state(), State::Finished);
        assert_eq!((status.done(), status.total()), (200, 200));
        assert_eq!(status.fraction(), 1.0);
        assert!(!status.running());
    });
}

#[test]
fn what_a_job_was_at_is_known_whatever_killed_it_right_after() {
    const JOBS: u32 = 1000;
    run(|| async {
        for n in 0..JOBS {
            let text = format!("picture {n}");
            let job = Misbehave::RaiseAt(text.clone(), libc::SIGKILL);
            let job = job.builder().worker(&worker()).spawn();
            let status = job.status().clone();
            let error = job.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Signal);
            assert_eq!(error.progress(), (7, 9), "{text}");
            assert_eq!((status.text(), status.done()), (text, 7));
        }
    });
}

#[test]
fn awaiting_alone_discards_messages_and_blocks_nobody() {
    run(|| async {
        let job = Count { to: 10_000 }.builder().worker(&worker()).spawn();
        assert_eq!(job.await.unwrap(), 10_000);
    });
}

#[test]
fn requests_are_answered_and_their_end_is_seen() {
    run(|| async {
        let mut job = Echo.builder().worker(&worker()).spawn();
        let sender = job.sender();
        for length in [0usize, 1, 64, 65_536, 300_000] {
            let bytes = vec![length as u8; length];
            sender.send(bytes.clone()).await.unwrap();
            assert!(job.message().await == Some(bytes), "{length} bytes");
        }
        drop(sender);
        assert_eq!(job.await.unwrap(), 5);
    });
}

/// Also one who waits for room meanwhile.
#[test]
fn who_sends_to_a_job_that_is_asked_to_stop_is_told_so() {
    run(|| async {
        let job = Echo.builder().worker(&worker()).spawn();
        let (sender, late) = (job.sender(), job.sender());
        // Nobody takes what comes back: it is full in the end.
        let flood = glib::spawn_future_local(async move {
            loop {
                if let Err(error) = sender.send(vec![0; 60_000]).await {
                    break error;
                }
            }
        });
        while late.try_send(vec![0; 60_000]).unwrap() {
            glib::timeout_future(Duration::from_millis(1)).await;
        }
        job.cancel();
        let late = late.try_send(vec![1]).unwrap_err();
        let waited = flood.await.unwrap();
        for error in [waited, late] {
            assert!(error.is_cancelled(), "{error:?}");
            let why = std::error::Error::source(&error).unwrap().to_string();
            assert_eq!(why, "the job was asked to stop");
        }
        assert!(job.await.unwrap_err().is_cancelled());
    });
}

/// A short one travels with the greeting, a longer one in a frame of its own, a long one in memory: at each edge.
#[test]
fn an_input_of_any_length_arrives_with_its_descriptors() {
    let file = |number: usize| {
        let memory = rustix::fs::memfd_create("file", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::io::write(&memory, number.to_string().as_bytes()).unwrap();
        legwork::Descriptor::from(memory)
    };
    let unpack = |length: usize, files: usize| Unpack {
        bytes: (0..length).map(|at| at as u8).collect(),
        files: (0..files).map(file).collect(),
    };
    run(|| async {
        let with_the_greeting = 65_536 - 36 - 255 - 4;
        let by_length = (with_the_greeting - 3..with_the_greeting + 3)
            .chain(65_536 - 6..65_536 + 2)
            .chain([0, 1, 1_000_000])
            .flat_map(|length| [(length, 0), (length, 3)]);
        let by_files = [250, 251, 252].into_iter().map(|files| (100, files));
        for (length, files) in by_length.chain(by_files) {
            let job = unpack(length, files).builder().worker(&worker()).spawn();
            let (bytes, texts) = job.await.unwrap();
            assert!(bytes == unpack(length, 0).bytes, "{length} bytes");
            let expected: Vec<_> = (0..files).map(|number| number.to_string()).collect();
            assert_eq!(texts, expected);
        }
        let job = unpack(100, 253).builder().worker(&worker()).spawn();
        let error = job.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Start);
        assert!(error.to_string().contains("252"), "{error}");
    });
}

async fn error_of(job: Misbehave) -> legwork::Error {
    let job = job.builder().worker(&worker()).spawn();
    job.await.unwrap_err()
}

#[test]
fn the_jobs_own_error_arrives_with_its_causes() {
    run(|| async {
        let error = error_of(Misbehave::Fail).await;
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert_eq!(error.to_string(), "Misbehave: reading the list");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("No such file"), "{cause}");
        assert!(error.has_run());
    });
}

#[test]
fn a_panic_comes_with_message_place_and_backtrace() {
    run(|| async {
        let error = error_of(Misbehave::Panic).await;
        assert_eq!(error.kind(), ErrorKind::Panic);
        let panic = error.panic().unwrap();
        assert_eq!(panic.message, "on purpose");
        assert!(panic.location.as_ref().unwrap().contains("jobs.rs"));
        assert!(error.backtrace().unwrap().contains("jobs.rs"), "{error:?}");
    });
}

#[test]
fn a_panic_that_the_job_survives_is_no_outcome() {
    run(|| async {
        let job = Misbehave::PanicAside.builder().worker(&worker()).spawn();
        assert_eq!(job.await.unwrap(), "well");
    });
}

#[test]
fn a_segmentation_fault_is_named_and_shows_where() {
    run(|| async {
        let error = error_of(Misbehave::Segfault).await;
        assert_eq!(error.kind(), ErrorKind::Signal);
        assert_eq!(error.signal().unwrap().name(), "SIGSEGV");
        let backtrace = error.backtrace().unwrap();
        assert!(backtrace.contains("segfault"), "{backtrace}");
        assert!(backtrace.contains("jobs.rs"), "{backtrace}");
    });
}

/// The offsets in this program that a backtrace names, of which it has no names.
fn offsets<'a>(backtrace: &'a str, program: &str) -> Vec<&'a str> {
    let prefix = format!("{program}+");
    let places = backtrace
        .split_whitespace()
        .filter_map(|word| word.strip_prefix(&*prefix));
    places.collect()
}

#[test]
fn the_backtrace_of_a_stripped_program_can_be_named_where_its_symbols_are() {
    let folder = tempfile::tempdir().unwrap();
    let stripped = folder.path().join("stripped");
    let whole = env!("CARGO_BIN_EXE_worker");
    let strip = std::process::Command::new("strip")
        .args([whole, "-o"])
        .arg(&stripped)
        .status();
    assert!(strip.unwrap().success());
    let backtrace_of = |job: Misbehave| {
        let job = job.builder().worker(&Worker::program(&stripped));
        let error = run(|| job.spawn().into_future()).unwrap_err();
        error.backtrace().unwrap().to_owned()
    };
    for (job, function) in [
        (Misbehave::Segfault, "segfault"),
        (Misbehave::Panic, "Misbehave"),
    ] {
        let backtrace = backtrace_of(job.clone());
        let offsets = offsets(&backtrace, "stripped");
        assert!(!offsets.is_empty(), "{backtrace}");
        // Addresses change from run to run.
        assert_eq!(backtrace, backtrace_of(job));
        let id = backtrace
            .lines()
            .find(|line| line.contains("stripped: build id "));
        assert!(
            id.is_some_and(|line| !line.ends_with("none")),
            "{backtrace}"
        );
        let name = std::process::Command::new("addr2line")
            .args(["-f", "-C", "-e", whole])
            .args(&offsets)
            .output()
            .unwrap();
        let names = String::from_utf8(name.stdout).unwrap();
        assert!(names.contains(function), "{offsets:?}: {names}");
    }
}

#[test]
fn a_stack_that_is_used_up_is_a_signal_and_shows_where() {
    run(|| async {
        let error = error_of(Misbehave::Overflow).await;
        assert_eq!(error.signal().unwrap().name(), "SIGSEGV");
        assert!(error.backtrace().unwrap().contains("deeper"), "{error:?}");
    });
}

#[test]
fn a_stack_overflow_is_called_so() {
    run(|| async {
        for job in [
            Misbehave::Overflow,
            Misbehave::OnThread(Box::new(Misbehave::Overflow)),
        ] {
            let error = error_of(job).await;
            assert_eq!(error.signal().unwrap().name(), "SIGSEGV");
            assert!(
                error.to_string().contains("its stack overflowed"),
                "{error}"
            );
        }
        let error = error_of(Misbehave::Segfault).await;
        assert!(!error.to_string().contains("stack"), "{error}");
    });
}

#[test]
fn a_crash_on_any_thread_is_named_and_shows_where() {
    run(|| async {
        for (job, signal, place) in [
            (Misbehave::Segfault, "SIGSEGV", "segfault"),
            (Misbehave::Overflow, "SIGSEGV", "deeper"),
            (Misbehave::Abort, "SIGABRT", "jobs.rs"),
            (Misbehave::Breakpoint, "SIGTRAP", "breakpoint"),
        ] {
            for job in [job.clone(), Misbehave::OnThread(Box::new(job))] {
                let error = error_of(job.clone()).await;
                assert_eq!(error.signal().unwrap().name(), signal, "{job:?}");
                let backtrace = error.backtrace().unwrap_or("none");
                assert!(backtrace.contains(place), "{job:?}: {backtrace}");
            }
        }
    });
}

#[test]
fn a_trap_ends_the_job() {
    run(|| async {
        for (job, signal) in [
            (Misbehave::Breakpoint, "SIGTRAP"),
            (Misbehave::ForbiddenCall, "SIGSYS"),
        ] {
            let error = error_of(job).await;
            assert_eq!(
                error.signal().map(|signal| signal.name()),
                Some(signal.into()),
                "{error:?}"
            );
        }
    });
}

#[test]
fn a_message_that_is_refused_takes_nobodys_place() {
    run(|| async {
        for (capacity, times) in [(1, 1), (2, 3)] {
            let job = Misbehave::SendTooMuch(times).builder().worker(&worker());
            let deadline = Duration::from_secs(30);
            let mut job = job.message_capacity(capacity).deadline(deadline).spawn();
            assert_eq!(job.message().await.as_deref(), Some("short"));
            assert_eq!(job.await.unwrap(), "well");
        }
    });
}

#[test]
fn large_messages_wait_in_the_job_for_those_before_them() {
    run(|| async {
        let mut job = Misbehave::SendMuch(6).builder().worker(&worker()).spawn();
        let mut messages = job.messages();
        let status = job.status().clone();
        until("two are there", || status.done() == 2).await;
        glib::timeout_future(Duration::from_millis(500)).await;
        assert_eq!(status.done(), 2);
        for taken in 1..=6 {
            assert_eq!(messages.recv().await.unwrap().len(), 30 << 20);
            until("the next is there", || status.done() >= 6.min(taken + 2)).await;
        }
        assert!(messages.recv().await.is_none());
        assert_eq!(job.await.unwrap(), "well");
    });
}

#[test]
fn a_panic_is_one_wherever_a_jobs_values_are_handled() {
    run(|| async {
        for panics in [
            Panics::Decoded,
            Panics::Encoded,
            Panics::Dropped,
            Panics::Displayed,
            Panics::AsPayload,
        ] {
            let job = Fragile(panics).builder().worker(&worker()).spawn();
            let error = job.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Panic, "{panics:?}: {error:?}");
            if panics != Panics::AsPayload {
                let said = &error.panic().unwrap().message;
                assert!(said.contains("when "), "{panics:?}: {said}");
            }
        }
        let job = Fragile(Panics::Never).builder().worker(&worker()).spawn();
        job.await.unwrap();
    });
}

#[test]
fn a_copy_that_a_job_forks_neither_sends_nor_answers() {
    run(|| async {
        let mut job = Misbehave::Fork.builder().worker(&worker()).spawn();
        assert_eq!(job.message().await.as_deref(), Some("own"));
        assert_eq!(job.message().await, None);
        assert_eq!(job.await.unwrap(), "well");
    });
}

#[test]
fn a_copy_that_a_job_forks_does_not_wait_for_those_that_send() {
    run(|| async {
        let job = Misbehave::ForkWhileSending.builder().worker(&worker());
        let mut job = job.message_capacity(1).spawn();
        let mut messages = job.messages();
        let status = job.status().clone();
        until("the copy has ended", || status.done() == 1).await;
        for text in ["one", "two"] {
            assert_eq!(messages.recv().await.as_deref(), Some(text));
        }
        assert_eq!(messages.recv().await, None, "the copy has sent something");
        assert_eq!(job.await.unwrap(), "well");
    });
}

#[test]
fn no_text_that_is_handed_out_holds_nul() {
    run(|| async {
        for how in 0..4 {
            let job = Misbehave::SayNul(how).builder().worker(&worker()).spawn();
            let status = job.status().clone();
            let error = job.await.unwrap_err();
            let report = format!("{error}{error:#?}{}{}", error.output_tail(), status.text());
            assert!(!report.contains('\0'), "{report:?}");
            assert!(report.contains("a\u{FFFD}b"), "{report:?}");
            if let Some(panic) = error.panic() {
                assert_eq!(panic.message, "a\u{FFFD}b");
            }
        }
        let script = r"printf 'block \0 differs\n' >&2; exit 3";
        let program = legwork::Command::new("sh").args(["-c", script]);
        let program = program.stderr(legwork::Stdio::piped()).spawn();
        let error = program.await.unwrap_err();
        assert!(!error.to_string().contains('\0'), "{error:?}");
        assert!(!error.output_tail().contains('\0'), "{error:?}");
        assert!(error.to_string().contains("differs"), "{error:?}");
    });
}

#[test]
fn what_c_has_printed_arrives() {
    run(|| async {
        let mut job = Misbehave::PrintByC.builder().worker(&worker()).spawn();
        let mut logs = job.logs();
        assert_eq!(job.await.unwrap(), "well");
        assert_eq!(logs.recv().await.unwrap().text, "printed by C");
    });
}

#[test]
fn a_thread_that_holds_what_is_printed_keeps_no_job_from_its_end() {
    run(|| async {
        for by_rust in [true, false] {
            let job = Misbehave::HoldPrinting(by_rust).builder().worker(&worker());
            let job = job.deadline(Duration::from_secs(30)).spawn();
            assert_eq!(job.await.unwrap(), "well");
        }
    });
}

#[test]
fn an_abort_is_a_signal() {
    run(|| async {
        let error = error_of(Misbehave::Abort).await;
        assert_eq!(error.kind(), ErrorKind::Signal);
        assert_eq!(error.signal().unwrap().name(), "SIGABRT");
        assert!(error.panic().is_none());
    });
}

#[test]
fn signals_are_named() {
    run(|| async {
        for (number, name) in [
            (9, "SIGKILL"),
            (15, "SIGTERM"),
            (6, "SIGABRT"),
            (4, "SIGILL"),
        ] {
            let error = error_of(Misbehave::Raise(number)).await;
            assert_eq!(error.kind(), ErrorKind::Signal, "{name}: {error:?}");
            assert_eq!(error.signal().unwrap().name(), name);
        }
    });
}

#[test]
fn the_last_message_before_an_exit_is_never_lost() {
    run(|| async {
        for _ in 0..100 {
            let mut job = Misbehave::ExitAfterMessage(3)
                .builder()
                .worker(&worker())
                .spawn();
            assert_eq!(job.message().await.as_deref(), Some("last words"));
            assert_eq!(job.message().await, None);
            let error = job.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Exit);
            assert_eq!(error.exit_code(), Some(3));
        }
    });
}

#[test]
fn what_it_printed_last_stands_in_the_error() {
    run(|| async {
        let error = error_of(Misbehave::Print("no space left".to_owned(), 1)).await;
        assert_eq!(error.output_tail(), "no space left\n");
        assert!(error.usage().is_some());
    });
}

#[test]
fn a_job_that_asks_is_cancelled_without_force() {
    run(|| async {
        let mut job = Misbehave::HangPolitely
            .builder()
            .worker(&worker())
            .grace(Duration::from_secs(60))
            .spawn();
        assert_eq!(job.message().await.as_deref(), Some("hanging"));
        let status = job.status().clone();
        job.cancel();
        assert_eq!(status.state(), State::Stopping);
        let error = job.await.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(error.signal(), None);
        assert_eq!(status.state(), State::Cancelled);
        assert_eq!(status.error(), None);
    });
}

#[test]
fn a_job_that_does_not_ask_is_killed_after_its_grace() {
    run(|| async {
        let mut job = Misbehave::Hang
            .builder()
            .worker(&worker())
            .grace(Duration::from_millis(100))
            .spawn();
        assert_eq!(job.message().await.as_deref(), Some("hanging"));
        job.cancel();
        let error = job.await.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(error.signal().unwrap().name(), "SIGKILL");
    });
}

#[test]
fn a_deadline_is_a_timeout() {
    run(|| async {
        for job in [Misbehave::Hang, Misbehave::HangPolitely] {
            let job = job
                .builder()
                .worker(&worker())
                .deadline(Duration::from_millis(50))
                .grace(Duration::from_millis(50))
                .spawn();
            let error = job.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
            assert!(error.to_string().contains("50ms"), "{error}");
        }
    });
}

#[test]
fn a_job_of_which_nothing_is_heard_is_stopped() {
    run(|| async {
        for job in [Misbehave::Hang, Misbehave::HangPolitely] {
            let job = job
                .builder()
                .worker(&worker())
                .stall_deadline(Duration::from_millis(80))
                .grace(Duration::from_millis(50))
                .spawn();
            let error = job.await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout);
            assert!(error.to_string().contains("for 80ms"), "{error}");
        }
    });
}

#[test]
fn any_sign_of_life_keeps_a_job_from_being_stalled() {
    let stall = Duration::from_millis(800);
    run(|| async {
        let start = |sign| {
            let job = Alive(sign, 12).builder().worker(&worker());
            job.stall_deadline(stall).forward_logs(false).spawn()
        };
        let jobs = [Sign::Progress, Sign::Message, Sign::Log, Sign::Print].map(start);
        for job in jobs {
            job.await.unwrap();
        }
    });
}

#[test]
fn a_job_that_waits_for_the_app_is_not_stalled() {
    let stall = Duration::from_millis(200);
    run(|| async {
        let job = Count { to: 100 }.builder().worker(&worker());
        let mut job = job.message_capacity(4).stall_deadline(stall).spawn();
        legwork::glib::timeout_future(4 * stall).await;
        let mut sum = 0;
        while let Some(number) = job.message().await {
            sum += number;
        }
        assert_eq!((job.await.unwrap(), sum), (100, 4950));

        let job = Misbehave::HangPolitely.builder().worker(&worker());
        let mut job = job.stall_deadline(stall).spawn();
        job.message().await;
        job.control().pause().unwrap();
        legwork::glib::timeout_future(4 * stall).await;
        assert!(job.status().paused());
        job.control().resume().unwrap();
        assert!(job.await.unwrap_err().is_timeout());
    });
}

#[test]
fn a_cancellable_stops_from_another_thread_and_before_the_start() {
    run(|| async {
        let mut job = Misbehave::HangPolitely.builder().worker(&worker()).spawn();
        job.message().await;
        let cancellable = job.cancellable();
        std::thread::spawn(move || {
            legwork::gio::prelude::CancellableExt::cancel(&cancellable);
        });
        assert!(job.await.unwrap_err().is_cancelled());

        let cancellable = legwork::gio::Cancellable::new();
        legwork::gio::prelude::CancellableExt::cancel(&cancellable);
        let job = Misbehave::HangPolitely
            .builder()
            .worker(&worker())
            .cancellable(&cancellable)
            .spawn();
        assert!(job.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_dropped_handle_stops_the_job_and_leaves_no_zombie() {
    run(|| async {
        let mut job = Misbehave::HangPolitely.builder().worker(&worker()).spawn();
        job.message().await;
        let pid = job.pid().unwrap();
        assert!(is_alive(pid));
        drop(job);
        until("the worker is gone", || {
            legwork_tests::context::state(pid).is_none()
        })
        .await;
    });
}

#[test]
fn a_detached_job_runs_on() {
    run(|| async {
        let mut job = Misbehave::HangPolitely.builder().worker(&worker()).spawn();
        job.message().await;
        let pid = job.pid().unwrap();
        let cancellable = job.cancellable();
        job.detach();
        legwork::glib::timeout_future(Duration::from_millis(200)).await;
        assert!(is_alive(pid));
        legwork::gio::prelude::CancellableExt::cancel(&cancellable);
        until("the worker is gone", || {
            legwork_tests::context::state(pid).is_none()
        })
        .await;
    });
}

#[test]
fn an_object_takes_its_job_along() {
    run(|| async {
        let object: legwork::Status = legwork::glib::Object::new();
        let mut job = Misbehave::HangPolitely
            .builder()
            .worker(&worker())
            .spawn()
            .stop_with(&object);
        job.message().await;
        drop(object);
        assert!(job.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn the_end_does_not_wait_for_a_pipe_that_a_grandchild_holds() {
    run(|| async {
        let start = std::time::Instant::now();
        let job = Misbehave::Grandchild.builder().worker(&worker()).spawn();
        let grandchild: u32 = job.await.unwrap().parse().unwrap();
        assert!(is_alive(grandchild), "the control has ended by itself");
        assert!(start.elapsed() < Duration::from_secs(15));
        let _ = std::process::Command::new("kill")
            .arg(grandchild.to_string())
            .status();
    });
}

#[test]
#[allow(unsafe_code)]
fn a_worker_waits_for_a_debugger_and_no_deadline_runs_meanwhile() {
    run(|| async {
        let mut job = Misbehave::Print("seen".to_owned(), 0)
            .builder()
            .worker(&worker())
            .handshake_deadline(Duration::from_millis(1))
            .deadline(Duration::from_millis(1))
            .wait_for_debugger()
            .spawn();
        let pid = job.pid().unwrap();
        let mut logs = job.logs();
        let said = logs.recv().await.unwrap().text;
        assert!(said.contains(&format!("gdb -p {pid}")), "{said}");
        legwork::glib::timeout_future(Duration::from_millis(300)).await;
        assert_eq!(job.status().state(), State::Starting);
        // SAFETY: attaches this thread to its own child as a debugger would, without stopping it.
        let attached = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0) };
        assert_eq!(attached, 0, "{}", std::io::Error::last_os_error());
        let error = job.await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Exit);
        assert!(error.has_run());
    });
}

#[test]
fn a_thread_that_does_not_run_its_context_starts_nothing_and_is_told_so() {
    let context = legwork::glib::MainContext::default();
    let _owner = context.acquire().unwrap();
    let refused = std::thread::spawn(|| {
        let job = Count { to: 1 }.builder().worker(&worker()).spawn();
        let status = job.status().clone();
        (status.state(), status.error(), job.pid())
    });
    let (state, error, pid) = refused.join().unwrap();
    assert_eq!((state, pid), (State::Failed, None));
    let error = error.unwrap();
    assert!(error.contains("another thread runs"), "{error}");
}
