//! From a value and its options to a running child. Everything that can be checked is checked
//! before the child exists; both of the app's first frames wait in the socket when it is born, so
//! that it starts without a question.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};

use rustix::pipe::{PipeFlags, pipe_with};

use super::builder::Options;
use super::channel::Taken;
use super::supervisor::{Parts, Sink, Supervisor};
use crate::child::{Error, ErrorKind, NOT_OUR_CONTEXT};
use crate::main_loop::hub::Hub;
use crate::model::Status;
use crate::spawn::{Group, Plan, Room};
use crate::wire::attach;
use crate::wire::control::{Control, DESCRIPTORS_MAX, INLINE_MAX, Wait};
use crate::wire::frame::{CONTROL_FD, HELLO_MAX, Hello, Kind, PROTOCOL, Role};
use crate::worker::{Job, Listed, main_checks_for_worker};

/// Starts a child for `job`.
pub(super) fn start<J: Listed>(
    job: J,
    options: &Options,
    label: &str,
    status: &Status,
    taken: Arc<Taken>,
    sink: impl FnOnce() -> Box<dyn Sink>,
) -> Result<std::rc::Rc<Supervisor>, Error> {
    let fail = |what: &str| {
        let text = format!("it could not be started: {what}");
        Error::new(ErrorKind::Start, label, text)
    };
    let system =
        |what: &str, error: std::io::Error| fail(&format!("{what}: {error}")).because(error);

    if options.worker.path().is_none() && !main_checks_for_worker() {
        return Err(fail(
            "this app is to run its jobs itself, and its main has not called \
             run_if_worker(). Call it first thing in main, or name a worker program",
        ));
    }
    if glib::MainContext::ref_thread_default().acquire().is_err() {
        return Err(fail(NOT_OUR_CONTEXT));
    }
    let (input, descriptors) = encode(job).map_err(|why| fail(&why))?;

    let (control, theirs) =
        Control::pair().map_err(|error| system("no control socket could be made", error))?;
    let (prints, printing) = pipe_with(PipeFlags::CLOEXEC)
        .map_err(|error| system("no pipe could be made", error.into()))?;
    // Of our end alone: the child's is another open file.
    rustix::io::ioctl_fionbio(&prints, true)
        .map_err(|error| system("the pipe could not be set up", error.into()))?;

    // In one frame with the greeting, where it fits.
    let fits = input.len() <= INLINE_MAX - HELLO_MAX && descriptors.len() < DESCRIPTORS_MAX;
    let (input, follows) = if fits {
        (Some(input), None)
    } else {
        (None, Some(input))
    };
    let hello = Hello {
        protocol: PROTOCOL,
        role: Role::Worker as u8,
        log_level: options.log_level(),
        wait_for_debugger: options.wait_for_debugger,
        capacity: options.message_capacity,
        job: J::INDEX,
        build: J::table().build_id(),
        name: J::NAME.to_owned(),
        input,
    };
    let room = Room::hold().map_err(|error| Error::start(label, error))?;
    let mut brought = vec![room.app()];
    brought.extend(descriptors.iter().map(|fd| fd.as_fd()));
    let with_hello = if fits { brought.len() } else { 1 };
    let (with_hello, with_input) = brought.split_at(with_hello);
    control
        .send(Kind::Hello, &hello.encode(), with_hello, Wait::No)
        .and_then(|()| match follows {
            Some(input) => control.send(Kind::Input, &input, with_input, Wait::No),
            None => Ok(()),
        })
        .map_err(|error| system("the job could not be put on its way", error))?;

    let printing = Arc::new(printing);
    let program = options.worker.to_program();
    let mut plan = Plan::new(program)
        .arg("--legwork-worker")
        .arg(J::NAME)
        .group(Group::Lead)
        .share(1, printing.clone())
        .share(2, printing)
        .fd(CONTROL_FD, theirs);
    for (name, value) in &options.env {
        plan = match value {
            Some(value) => plan.env(name, value),
            None => plan.env_remove(name),
        };
    }
    if let Some(folder) = &options.current_dir {
        plan = plan.current_dir(folder);
    }
    let hub = Hub::of_thread_default()
        .map_err(|error| system("no epoll descriptor could be made", error))?;
    let process = (plan.spawn_into(Some(room))).map_err(|error| Error::start(label, error))?;

    options.worker.watch_over(&process);
    let pid = process.pid();
    let process = Arc::new(Mutex::new(Some(process)));
    status.begin(pid);
    Ok(Supervisor::begin(
        &hub,
        Parts {
            worker: options.worker.clone(),
            label: label.to_owned(),
            control,
            process,
            pid,
            prints,
            sink: sink(),
            taken,
            times: options.times(),
            status: status.clone(),
            forward_logs: options.forward_logs,
        },
    ))
}

type Input = (Vec<u8>, Vec<Arc<OwnedFd>>);

fn encode<J: Job>(job: J) -> Result<Input, String> {
    let (bytes, descriptors) = attach::encode(&job).map_err(|error| error.to_string())?;
    drop(job);
    if cfg!(debug_assertions) {
        // Some of serde's attributes encode what can never be decoded. A worker would say so
        // too, but here the developer is still looking.
        let copies = descriptors
            .iter()
            .map(|fd| fd.try_clone())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.to_string())?;
        attach::decode::<J>(&bytes, copies)
            .map_err(|error| format!("it can be encoded and then not decoded again: {error}"))?;
    }
    Ok((bytes, descriptors))
}
