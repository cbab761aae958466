//! A worker that lives on: real processes, and more than one job in each.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::super::channel::{Messages, Open};
use super::super::run::{self, Run, Shared, Sink};
use super::super::sink::{Typed, TypedSink};
use super::super::taken::{Arrived, Taken};
use super::*;
use crate::child::Error;
use crate::child::control::Supervised;
use crate::main_loop::hub::Pace;
use crate::main_loop::mailbox::{Mailbox, Outlet, mailbox};
use crate::model::Status;
use crate::spawn::{Group, Plan, Program, Reservation};
use crate::wire::attach;
use crate::wire::control::FRAME_MAX;
use crate::wire::frame::{CONTROL_FD, FIRST_JOB, Hello, Role, Start};
use crate::worker::{Cancelled, Ctx, Job, Listed, Receive};

/// What a job of these tests does.
#[derive(Serialize, Deserialize)]
enum Act {
    /// Sets a text, sends so many messages and answers.
    Send(u64),
    /// Waits for requests until it is stopped.
    Receive,
    /// Looks at its cancel until it is stopped.
    Compute,
    /// Sends until there is no room and it is stopped.
    Fill,
}

impl Job for Act {
    type Message = u64;
    type Output = u32;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn run(self, cx: &Ctx<Self>) -> Result<u32, Self::Error> {
        match self {
            Act::Send(count) => {
                cx.set_total(count);
                cx.set_text(format!("{count} to send"));
                for n in 0..count {
                    cx.send(n)?;
                    cx.advance(1);
                }
                return Ok(std::process::id());
            }
            Act::Receive => while cx.recv()?.is_some() {},
            Act::Compute => {
                cx.send(0)?;
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_secs(60) {
                    cx.check()?;
                }
            }
            Act::Fill => loop {
                cx.send(0)?;
            },
        }
        Err("was not asked to stop".into())
    }
}

impl Receive for Act {
    type Request = Vec<u8>;
}

crate::jobs! { static JOBS = [Act]; }

/// Not a test: what the worker is, when this program is started as one.
#[test]
fn serve() {
    JOBS.run_if_worker();
}

/// A worker for as many jobs as come, which is this program.
fn worker() -> Rc<WorkerProcess> {
    let (control, theirs) = Control::pair().unwrap();
    let (output, printing) = rustix::pipe::pipe().unwrap();
    let hello = Hello {
        build: JOBS.build_id().unwrap(),
        ..Hello::plain(Role::Worker)
    };
    let reservation = Reservation::new().unwrap();
    let brought = [reservation.app()];
    (control.send(Kind::Hello, &hello.encode(), &brought, Wait::No)).unwrap();
    let process = Plan::new(Program::Current)
        .args(
            ["--exact", concat!(module_path!(), "::serve"), "--nocapture"]
                .map(|argument| argument.strip_prefix("legwork::").unwrap_or(argument)),
        )
        .group(Group::Lead)
        .fd(1, printing)
        .fd(CONTROL_FD, theirs)
        .spawn_into(Some(reservation))
        .unwrap();
    worker_of(process, control, output)
}

fn worker_of(process: Process, control: Control, output: OwnedFd) -> Rc<WorkerProcess> {
    let hub = Hub::of_thread_default().unwrap();
    let (errors, _) = rustix::pipe::pipe().unwrap();
    rustix::io::ioctl_fionbio(&output, true).unwrap();
    rustix::io::ioctl_fionbio(&errors, true).unwrap();
    let parts = Parts {
        program: Worker::current_exe(),
        pid: process.pid(),
        process: Arc::new(Mutex::new(Some(process))),
        prints: [output, errors],
        handshake: Some(Duration::from_secs(60)),
        jobs: None,
    };
    WorkerProcess::new(&hub, parts, control, Box::new(|| ()))
}

/// A job in a worker.
struct Tried {
    run: Rc<Run>,
    messages: Messages<u64>,
    taken: Arc<Taken>,
    outcome: Mailbox<Result<u32, Error>>,
}

impl Tried {
    /// Has the worker run `act` as its next job.
    fn start(worker: &Rc<WorkerProcess>, number: JobNumber, act: &Act) -> Tried {
        let (input, _) = attach::encode(act).unwrap();
        let start = Start {
            capacity: 2,
            index: Act::INDEX,
            name: Act::NAME.to_owned(),
            input,
        };
        let control = &worker.link().control;
        // The worker makes room when the socket is full of what the job before has not read.
        (control.send_about(number, Kind::Start, &start.encode(), &[], Wait::Yes)).unwrap();
        let taken = Arc::new(Taken::new());
        let ((messages_in, mailbox), (outcome_in, outcome)) = (mailbox(2), mailbox(1));
        let typed = Typed::<Act>::new("act".to_owned(), 2, taken.clone(), messages_in, outcome_in);
        let sink: Box<dyn Sink> = Box::new(TypedSink(Rc::new(typed)));
        let run = Run::new(
            worker,
            number,
            run::Parts {
                label: "act".to_owned(),
                taken: taken.clone(),
                deadline: None,
                stall: None,
                grace: Duration::from_secs(30),
                status: Status::new("Act", "act"),
                sink,
                forward_logs: false,
                shared: Shared::default(),
            },
        );
        match number {
            FIRST_JOB => worker.begin(run.clone()),
            _ => worker.let_in(run.clone()),
        }
        let open = Open {
            mailbox,
            taken: taken.clone(),
            pace: Pace::default(),
        };
        Tried {
            run,
            messages: Messages::new(Some(open)),
            taken,
            outcome,
        }
    }

    async fn message(&mut self) -> Option<u64> {
        self.messages.recv().await
    }

    async fn outcome(&mut self) -> Result<u32, Error> {
        let outcome = std::future::poll_fn(|cx| self.outcome.poll_next(cx)).await;
        outcome.expect("one outcome")
    }
}

fn on_a_context(test: impl AsyncFnOnce()) {
    let context = glib::MainContext::new();
    let run = || context.block_on(test());
    context.with_thread_default(run).expect("a new context");
}

#[test]
fn a_worker_runs_a_second_job_of_which_the_first_has_left_nothing() {
    on_a_context(async || {
        let worker = worker();
        let mut first = Tried::start(&worker, FIRST_JOB, &Act::Send(5));
        for n in 0..5 {
            assert_eq!(first.message().await, Some(n));
        }
        let pid = first.outcome().await.unwrap();
        until(|| worker.link().page().unwrap().finished() == FIRST_JOB).await;
        assert_eq!(
            first.run.pid(),
            None,
            "it has ended, and its worker has not"
        );

        // What is said late of the first one.
        Supervised::cancel(&*first.run);
        worker.link().cancel(FIRST_JOB);
        first.taken.one_more_at_once();
        let mut second = Tried::start(&worker, 2, &Act::Send(4));
        // Of its own two places none was taken: it waits with the third message.
        while second.message().await != Some(1) {}
        let page = worker.link().page().unwrap();
        assert_eq!((page.started(), page.taken()), (2, 2));
        assert_eq!(second.message().await, Some(2));
        assert_eq!(second.message().await, Some(3));
        assert_eq!(second.outcome().await.unwrap(), pid, "the same process");
        assert_eq!(page.snapshot().text, "4 to send");
        assert_eq!(worker.seat().pid(), Some(pid));
    });
}

#[test]
fn a_job_is_stopped_wherever_it_is_from_another_thread_and_its_worker_lives_on() {
    on_a_context(async || {
        let worker = worker();
        let mut pid = None;
        let acts = [Act::Send(0), Act::Receive, Act::Compute, Act::Fill];
        for (number, act) in (FIRST_JOB..).zip(acts) {
            let mut job = Tried::start(&worker, number, &act);
            let stopped = !matches!(act, Act::Send(_));
            if stopped {
                // It is there, wherever that is.
                until(|| (worker.link().page()).is_some_and(|page| page.started() == number)).await;
                glib::timeout_future(Duration::from_millis(20)).await;
                let notice = job.run.notice().unwrap();
                std::thread::spawn(move || notice()).join().unwrap();
            }
            let outcome = job.outcome().await;
            match outcome {
                Ok(_) => assert!(!stopped),
                Err(error) => assert!(stopped && error.is_cancelled(), "{error:?}"),
            }
            assert!(pid.is_none() || pid == worker.seat().pid());
            pid = worker.seat().pid();
        }
        assert!(pid.is_some());
    });
}

#[test]
fn a_job_whose_socket_is_full_of_requests_is_stopped() {
    on_a_context(async || {
        let worker = worker();
        let mut job = Tried::start(&worker, FIRST_JOB, &Act::Compute);
        job.message().await;
        let request = attach::encode(&vec![0_u8; 10_000]).unwrap();
        let mut sent = 0;
        while job.run.try_send(&request).unwrap() {
            sent += 1;
        }
        assert!(sent > 0);
        job.run.notice().unwrap()();
        assert!(job.outcome().await.unwrap_err().is_cancelled());
        // What the first one has not read is not the second's.
        let mut next = Tried::start(&worker, 2, &Act::Send(0));
        next.outcome().await.unwrap();
    });
}

#[test]
fn a_worker_that_is_asked_to_end_stops_its_job_and_ends() {
    on_a_context(async || {
        let worker = worker();
        let mut job = Tried::start(&worker, FIRST_JOB, &Act::Receive);
        // A job that has not begun by then would not be begun.
        until(|| (worker.link().page()).is_some_and(|page| page.started() == FIRST_JOB)).await;
        worker.link().control.half_close();
        // Nobody asked the job to stop, so this is its own error.
        let error = job.outcome().await.unwrap_err();
        let report = format!("{error:?}");
        assert!(report.contains(&Cancelled.to_string()), "{report}");
        until(|| worker.seat().has_ended()).await;
    });
}

#[test]
fn a_worker_that_dies_between_two_jobs_leaves_nobody_waiting() {
    on_a_context(async || {
        let worker = worker();
        let mut job = Tried::start(&worker, FIRST_JOB, &Act::Send(0));
        job.outcome().await.unwrap();
        worker.seat().kill();
        until(|| worker.seat().has_ended()).await;
    });
}

#[test]
fn while_log_records_wait_for_what_was_printed_no_others_are_taken() {
    on_a_context(async || {
        let (control, theirs) = Control::pair().unwrap();
        let (output, printing) = rustix::pipe::pipe().unwrap();
        let sleeps = Plan::new(Program::name("sleep")).arg("60").spawn().unwrap();
        let worker = worker_of(sleeps, control, output);
        let _job = Tried::start(&worker, FIRST_JOB, &Act::Compute);
        let theirs = Control::from_fd(theirs);
        rustix::io::write(&printing, &[b'x'; 32 * 1024]).unwrap();
        // It never prints as much as this.
        let entry = LogEntry {
            level: 3,
            target: String::new(),
            text: String::new(),
            file: None,
            line: None,
            time: 0,
            printed: [u64::MAX; 2],
        };
        let batch = LogBatch {
            dropped: 0,
            records: vec![entry],
        };
        let batch = postcard::to_allocvec(&batch).unwrap();
        for _ in 0..8 {
            theirs.send(Kind::Log, &batch, &[], Wait::No).unwrap();
            assert!(worker.read_frames(&Slice(Instant::now())));
        }
        assert_eq!(worker.records.borrow().len(), 1);
    });
}

#[test]
fn a_job_ends_that_sends_a_callback_more_than_may_wait() {
    let ((messages_in, _unread), (outcome_in, _)) = (mailbox(2), mailbox(1));
    let taken = Arc::new(Taken::new());
    let typed = Typed::<Act>::new("act".to_owned(), 2, taken, messages_in, outcome_in);
    let sink = TypedSink(Rc::new(typed));
    let largest = || Arrived::new(Payload::Spilled(vec![0; FRAME_MAX]), Unclaimed::default());
    sink.message(largest()).unwrap();
    sink.0.set_callback(Box::new(|_| ()));
    sink.message(largest()).unwrap_err();
    let ended = Rc::new(Cell::new(false));
    let on_end = ended.clone();
    let end = move |_, _| on_end.set(true);
    sink.end(Err(Error::stopped("act")), Box::new(end));
    assert!(ended.get());
}

#[test]
fn a_callback_gets_nothing_after_a_message_that_cannot_be_read() {
    let ((messages_in, _unread), (outcome_in, _)) = (mailbox(2), mailbox(1));
    let taken = Arc::new(Taken::new());
    let typed = Typed::<Act>::new("act".to_owned(), 2, taken, messages_in, outcome_in);
    let sink = Rc::new(TypedSink(Rc::new(typed)));
    let message = |bytes| Arrived::new(Payload::Inline(bytes), Unclaimed::default());
    let (calls, nested) = (Rc::new(Cell::new(0)), sink.clone());
    let called = calls.clone();
    sink.0.set_callback(Box::new(move |_| {
        if called.replace(called.get() + 1) == 0 {
            nested.message(message(&[])).unwrap();
            nested.message(message(&[2])).unwrap();
        }
    }));
    sink.message(message(&[1])).unwrap();
    assert_eq!(calls.get(), 1);
}

#[test]
fn recv_many_returns_what_has_arrived_and_not_what_arrives_meanwhile() {
    thread_local! {
        static ARRIVE: RefCell<VecDeque<Arrived>> = RefCell::default();
        static OUTLET: RefCell<Option<Outlet<Arrived>>> = const { RefCell::new(None) };
    }
    fn arrive() {
        let next = ARRIVE.with_borrow_mut(VecDeque::pop_front);
        if let Some(next) = next {
            OUTLET.with_borrow(|outlet| outlet.as_ref().unwrap().put(next).unwrap());
        }
    }
    /// Another one arrives while it is decoded.
    struct Slow;
    impl<'de> Deserialize<'de> for Slow {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            arrive();
            u8::deserialize(from).map(|_| Slow)
        }
    }
    let (outlet, mailbox) = mailbox(4);
    OUTLET.set(Some(outlet));
    let message = || Arrived::new(Payload::Inline(&[0]), Unclaimed::default());
    ARRIVE.set((0..100).map(|_| message()).collect());
    (0..3).for_each(|_| arrive());
    let mut messages = Messages::<Slow>::new(Some(Open {
        mailbox,
        taken: Arc::new(Taken::new()),
        pace: Pace::default(),
    }));
    let many = glib::MainContext::new().block_on(messages.recv_many());
    assert!(many.unwrap().len() <= 4);
}

async fn until(happened: impl Fn() -> bool) {
    let patience = Instant::now() + Duration::from_secs(60);
    while !happened() {
        assert!(Instant::now() < patience, "it never happened");
        glib::timeout_future(Duration::from_millis(2)).await;
    }
}
