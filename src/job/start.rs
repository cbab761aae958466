//! From a value and its options to a job that runs. Everything that can be checked is checked
//! before the child exists; both of the app's first frames wait in the socket when it is born, so
//! that it starts without a question.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use rustix::pipe::{PipeFlags, pipe_with};

use super::options::Options;
use super::run::{Parts, Run, Shared, Sink};
use super::taken::Taken;
use super::worker::{Parts as WorkerParts, WorkerProcess};
use crate::child::Error;
use crate::child::gate::Newborn;
use crate::main_loop::hub::Hub;
use crate::model::Status;
use crate::spawn::{Group, Plan, Reservation};
use crate::text::{Text, text};
use crate::wire::attach;
use crate::wire::control::{Control, DESCRIPTORS_MAX, INLINE_MAX, Wait};
use crate::wire::frame::{CONTROL_FD, FIRST_JOB, HELLO_MAX, Hello, Kind, Role, Start};
use crate::worker::{Job, Listed, main_checks_for_worker};

/// Starts a worker for `job`. `None` when that fails, which the sink was told then.
pub(super) fn start<J: Listed>(
    job: J,
    options: &Options,
    label: String,
    status: &Status,
    taken: Arc<Taken>,
    sink: Box<dyn Sink>,
) -> Option<Rc<Run>> {
    let Started {
        hub,
        parts: worker,
        control,
        held,
    } = match start_worker(job, options, &label) {
        Ok(started) => started,
        Err(error) => {
            let status = status.clone();
            sink.end(
                Err(error),
                Box::new(move |state, error| status.end(state, error)),
            );
            return None;
        }
    };
    status.begin(worker.pid);
    let (process, pid) = (worker.process.clone(), worker.pid);
    let shared = Shared::default();
    let worker = WorkerProcess::new(&hub, worker, control, shared.hang_up(&*sink));
    let run = Run::new(
        &worker,
        FIRST_JOB,
        Parts {
            label,
            taken,
            deadline: options.deadline(),
            stall: options.stall(),
            grace: options.grace,
            status: status.clone(),
            sink,
            forward_logs: options.forward_logs,
            shared,
        },
    );
    worker.begin(run.clone());
    if let (Some(gate), Some(held)) = (&options.gate, held) {
        let weak = Rc::downgrade(&worker);
        let opened = move |result| {
            if let Some(worker) = weak.upgrade() {
                worker.leave_gate(result, |control| held.send(control));
            }
        };
        let child = Newborn {
            process,
            pid,
            class: options.class,
        };
        let left = gate.admit(child, Box::new(opened));
        worker.seat().at_end(left);
    }
    Some(run)
}

/// A worker that was just born.
struct Started {
    hub: Rc<Hub>,
    parts: WorkerParts,
    control: Control,
    /// What it is sent when its gate has opened.
    held: Option<HeldStart>,
}

/// The first job, in a frame of its own.
struct HeldStart {
    start: Start,
    descriptors: Vec<Arc<OwnedFd>>,
}

impl HeldStart {
    fn send(self, control: &Control) -> io::Result<()> {
        let descriptors: Vec<_> = self.descriptors.iter().map(|fd| fd.as_fd()).collect();
        let start = self.start.encode();
        control.send_about(FIRST_JOB, Kind::Start, &start, &descriptors, Wait::No)
    }
}

fn start_worker<J: Listed>(job: J, options: &Options, label: &str) -> Result<Started, Error> {
    let lacking = |what: Text| |error: io::Error| Error::lacking(label, what, error);

    if options.worker.path().is_none() && !main_checks_for_worker() {
        let why = text!(
            "this app is to run its jobs itself, but its main has not called run_if_worker(). Call \
             it first thing in main, or name a worker program"
        );
        return Err(Error::not_started(label, why));
    }
    if glib::MainContext::ref_thread_default().acquire().is_err() {
        return Err(Error::other_context(label));
    }
    if let Some(gate) = &options.gate {
        gate.check().map_err(|why| Error::not_started(label, why))?;
    }
    let (input, descriptors) = encode(job).map_err(|why| Error::not_started(label, why))?;

    let (control, theirs) =
        Control::pair().map_err(lacking(text!("no control socket could be made")))?;
    let pipe = || {
        let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
        // Of our end alone: the child's is another open file.
        rustix::io::ioctl_fionbio(&ours, true)?;
        io::Result::Ok((ours, theirs))
    };
    let pipe = || pipe().map_err(lacking(text!("no pipe could be made")));
    let ((output, theirs_for_output), (errors, theirs_for_errors)) = (pipe()?, pipe()?);

    let start = Start {
        capacity: options.message_capacity,
        index: J::INDEX,
        name: J::NAME.to_owned(),
        input,
    };
    // In one frame with the greeting, where it fits.
    let fits = start.input.len() <= INLINE_MAX - HELLO_MAX
        && descriptors.len() < DESCRIPTORS_MAX
        && options.gate.is_none();
    let (start, follows) = if fits {
        (Some(start), None)
    } else {
        (None, Some(start))
    };
    let hello = Hello {
        log_level: options.log_level(),
        wait_for_debugger: options.wait_for_debugger,
        // In a scope it is not the worker that yields.
        class: options.class.filter(|_| options.gate.is_none()),
        jobs: 1,
        build: J::table().build_id().map_err(lacking(text!(
            "the types of the jobs could not be examined"
        )))?,
        start,
        ..Hello::plain(Role::Worker)
    };
    let reservation = Reservation::new().map_err(|error| Error::start(label, error))?;
    let mut brought = vec![reservation.app()];
    if fits {
        brought.extend(descriptors.iter().map(|fd| fd.as_fd()));
    }
    let mut sent = control.send(Kind::Hello, &hello.encode(), &brought, Wait::No);
    drop(brought);
    let mut follows = follows.map(|start| HeldStart { start, descriptors });
    if options.gate.is_none()
        && let Some(start) = follows.take()
    {
        sent = sent.and_then(|()| start.send(&control));
    }
    sent.map_err(lacking(text!("the job could not be sent")))?;

    let program = options.worker.to_program();
    let mut plan = Plan::new(program)
        .arg("--legwork-worker")
        .arg(J::NAME)
        .group(Group::Lead)
        .fd(1, theirs_for_output)
        .fd(2, theirs_for_errors)
        .fd(CONTROL_FD, theirs);
    if !options.session_bus {
        // Not removed: a D-Bus library would then look for the bus in the user's runtime directory.
        plan = plan.env("DBUS_SESSION_BUS_ADDRESS", "disabled:");
    }
    for (name, value) in &options.env {
        plan = match value {
            Some(value) => plan.env(name, value),
            None => plan.env_remove(name),
        };
    }
    if let Some(folder) = &options.current_dir {
        plan = plan.current_dir(folder);
    }
    let hub =
        Hub::of_thread_default().map_err(lacking(text!("no epoll descriptor could be made")))?;
    let process =
        (plan.spawn_into(Some(reservation))).map_err(|error| Error::start(label, error))?;

    options.worker.watch_over(&process);
    let pid = process.pid();
    let process = Arc::new(Mutex::new(Some(process)));
    Ok(Started {
        hub,
        parts: WorkerParts {
            program: options.worker.clone(),
            process,
            pid,
            prints: [output, errors],
            handshake: options.handshake(),
            jobs: Some(1),
            at_gate: options.gate.is_some(),
        },
        control,
        held: follows,
    })
}

type Input = (Vec<u8>, Vec<Arc<OwnedFd>>);

fn encode<J: Job>(job: J) -> Result<Input, Text> {
    let (bytes, descriptors) = attach::encode(&job).map_err(|error| Text::of(&error))?;
    drop(job);
    if cfg!(debug_assertions) {
        // Some of serde's attributes encode what can never be decoded. A worker would say so
        // too, but here the developer is still looking.
        let copies = descriptors
            .iter()
            .map(|fd| fd.try_clone())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Text::of(&error))?;
        attach::decode::<J>(&bytes, copies).map_err(|error| {
            text!(
                "it can be encoded, but not decoded again: {error}",
                error = Text::of(&error)
            )
        })?;
    }
    Ok((bytes, descriptors))
}
