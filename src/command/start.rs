//! From a command to a running program.

use std::rc::Rc;
use std::sync::{Arc, Mutex};

use super::builder::{Command, Directory, EnvChange};
use super::exec_helper::{self, ExecHelper};
use super::handle::CommandHandle;
use super::outcome::{Ended, Output};
use super::secrets;
use super::standards;
use super::start_error::StartError;
use super::stop::Stop;
use super::supervisor::{Drain, Looks, Parts, ProgressReader, Rule, Rules, Supervisor};
use super::terminal;
use crate::child::Error;
use crate::main_loop::guardian::warn_of_none;
use crate::main_loop::hub::Hub;
use crate::main_loop::mailbox::{Mailbox, mailbox};
use crate::model::{State, Status};
use crate::spawn::{Group, Plan, Step};
use crate::text::text;
use crate::wire::frame::ExecOrder;

impl Command {
    /// Starts the program, on the thread's default main context. A start that fails is an outcome
    /// of the handle.
    pub fn spawn(self) -> CommandHandle {
        start(self, false)
    }

    /// Starts the program, writes what [`stdin`](Self::stdin) says to it, and collects what it
    /// writes, both at once and without a limit unless [`output_limit`](Self::output_limit) sets
    /// one. Its outputs are piped unless they are set to something else. Dropping the future stops
    /// the program.
    ///
    /// # Errors
    ///
    /// The program could not be started, was stopped, or did not [succeed](Self::success).
    pub async fn output(self) -> Result<Output, Error> {
        start(self, true).await
    }
}

fn start(mut command: Command, collect: bool) -> CommandHandle {
    let name = command.program.to_string_lossy().into_owned();
    let label = command.label.take().unwrap_or_else(|| {
        let short = name.rsplit('/').next().filter(|short| !short.is_empty());
        // An empty name is an error to come, and needs a label even so.
        let fallback = if name.is_empty() { "program" } else { &name };
        short.unwrap_or(fallback).to_owned()
    });
    let status = Status::new(&name, &label);
    let cancellables = std::mem::take(&mut command.cancellables);
    let waits = std::mem::take(&mut command.waits);
    let observers = std::mem::take(&mut command.observers);
    #[cfg(feature = "desktop")]
    let activation = command.activation.take();
    let (supervisor, outcome) = match try_start(command, &status, collect) {
        Ok((supervisor, outcome)) => (Some(supervisor), outcome),
        Err(error) => {
            let (outlet, outcome) = mailbox(1);
            status.end(State::Failed, Some(error.copy()));
            #[cfg(feature = "desktop")]
            if let Some(activation) = activation {
                activation.fail();
            }
            let _ = outlet.put(Err(error));
            (None, outcome)
        }
    };
    let handle = CommandHandle::new(supervisor, status, outcome, collect);
    for cancellable in &cancellables {
        handle.follow(cancellable);
    }
    for cancellable in &waits {
        handle.wait_until(cancellable);
    }
    handle.tell(observers);
    handle
}

fn try_start(
    mut command: Command,
    status: &Status,
    collect: bool,
) -> Result<(Rc<Supervisor>, Mailbox<Ended>), Error> {
    let label = status.label();
    let labelled = |error: StartError| error.labelled(&label);
    if glib::MainContext::ref_thread_default().acquire().is_err() {
        return Err(Error::other_context(&label));
    }
    let rule = match command.output_limit {
        limit if collect => Rule::Collect { limit },
        _ => Rule::Keep,
    };
    let stop = command
        .stop
        .take()
        .unwrap_or_else(|| match command.terminal {
            Some(_) => Stop::hang_up(),
            None => Stop::default(),
        });
    if let Some(gate) = &command.gate {
        let refused = |why| labelled(StartError::refused(Step::Gate, why));
        gate.check().map_err(refused)?;
    }
    // In a scope it is not the program that yields.
    let class = match &command.gate {
        Some(_) => command.changes.class.take(),
        None => None,
    };
    let plan = plan(&mut command);
    let (plan, standards) =
        standards::connect(plan, &mut command, rule, &stop).map_err(labelled)?;
    let plan = hand_over(plan, &mut command).map_err(labelled)?;
    let hub = Hub::of_thread_default().map_err(|error| labelled(error.into()))?;
    let (plan, mut helper) = by_way_of_helper(plan, &mut command).map_err(labelled)?;
    let process = plan.spawn().map_err(|error| Error::start(&label, error))?;
    if exec_helper::is_available(&command.helper) {
        command.helper.watch_over(&process);
    } else {
        warn_of_none();
    }
    if command.gate.is_none()
        && let Some(helper) = &mut helper
    {
        helper.send_order().map_err(labelled)?;
    }
    let pid = process.pid();
    let process = Arc::new(Mutex::new(Some(process)));
    let is_read = standards.outputs().next().is_some();
    let (outlet, outcome) = mailbox(1);
    let parts = Parts {
        process,
        pid,
        rules: Rules {
            label,
            success: command.success,
            deadline: command.deadline,
            stall: command.stall.filter(|_| is_read),
        },
        stop,
        status: status.clone(),
        outcome: outlet,
        standards,
        progress: command.progress.map(ProgressReader::new),
        helper,
        gate: command.gate.map(|gate| (gate, class)),
        drain: Drain::new(command.drain),
        looks: Looks::new(command.group == Group::Lead && command.terminal.is_none()),
    };
    Ok((Supervisor::begin(&hub, parts), outcome))
}

/// The program with its arguments, environment and working directory.
fn plan(command: &mut Command) -> Plan {
    let mut plan = Plan::new(command.take_program())
        .args(&command.args)
        .group(command.group);
    if let Some(arg0) = &command.arg0 {
        plan = plan.arg0(arg0);
    }
    let is_on_terminal = command.terminal.is_some();
    if is_on_terminal {
        plan = terminal::describe(plan, std::env::var_os("TERM"));
    }
    for (name, value) in command.host_changes() {
        plan = match value {
            Some(value) => plan.env(name, value),
            None => plan.env_remove(name),
        };
    }
    for change in command.env.drain(..) {
        plan = match change {
            EnvChange::Set(name, value) => plan.env(name, value),
            EnvChange::Remove(name) => plan.env_remove(name),
            EnvChange::Clear if is_on_terminal => terminal::describe(plan.env_clear(), None),
            EnvChange::Clear => plan.env_clear(),
        };
    }
    match command.directory.take() {
        None => plan,
        Some(Directory::Path(path)) => plan.current_dir(path),
        Some(Directory::Descriptor(fd)) => plan.current_dir_fd(fd),
    }
}

/// The plan with the descriptors above standard error.
fn hand_over(mut plan: Plan, command: &mut Command) -> Result<Plan, StartError> {
    let taken: Vec<_> = command.fds.iter().map(|(number, _)| *number).collect();
    if let Some(number) = taken.iter().find(|number| (0..=2).contains(*number)) {
        let sentence = text!(
            "fd() cannot set descriptor {number} of the program, only 3 and above: use stdin(), \
             stdout() or stderr()",
            number = *number
        );
        return Err(StartError::refused(Step::DescriptorMap, sentence));
    }
    for (number, fd) in command.fds.drain(..) {
        plan = plan.fd(number, fd);
    }
    secrets::hand_over(plan, std::mem::take(&mut command.secrets), &taken)
}

/// The plan that starts the helper first, if the command asks for what only that can do.
fn by_way_of_helper(
    plan: Plan,
    command: &mut Command,
) -> Result<(Plan, Option<ExecHelper>), StartError> {
    let changes = std::mem::take(&mut command.changes);
    let waits = command.guarded_from_birth || command.gate.is_some();
    if changes == ExecOrder::default() && !waits {
        return Ok((plan, None));
    }
    let (plan, helper) = exec_helper::by_way_of(&command.helper, changes, plan)?;
    Ok((plan, Some(helper)))
}
