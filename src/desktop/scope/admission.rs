//! One child and its scope, from its birth to its end.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, PoisonError};
use std::task::Poll;

use gio::prelude::*;
use rustix::fs::OFlags;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use super::limits::{self, Asked, Enforcement, ScopeLimit};
use super::manager::{Line, Manager, Property};
use super::{Scope, ScopeState, memory, name};
use crate::child::gate::{Gate, Newborn, Opened};
use crate::guardian;
use crate::process::cgroup::Cgroup;
use crate::spawn::own_file;
use crate::text::{Text, text};

impl Gate for Scope {
    fn check(&self) -> Result<(), Text> {
        match self.state() {
            ScopeState::Starting | ScopeState::Active => {
                Err(text!("its scope holds another child, which has not ended"))
            }
            _ => self.plan.check(),
        }
    }

    fn admit(&self, child: Newborn, opened: Opened) -> Box<dyn FnOnce()> {
        let mut asked = self.plan.limits.clone();
        if child.class.is_some() {
            let weights = limits::weights(child.class).into_iter();
            let is_new = |weight: &Asked| asked.iter().all(|(limit, _)| *limit != weight.0);
            let new: Vec<_> = weights.filter(is_new).collect();
            asked.extend(new);
        }
        let unknown = |(limit, _): &Asked| (*limit, Enforcement::Unknown);
        {
            let mut state = self.state.borrow_mut();
            *state = super::State {
                phase: ScopeState::Starting,
                enforcement: asked.iter().map(unknown).collect(),
                ..super::State::default()
            };
        }
        let admission = Rc::new(Admission {
            scope: self.clone(),
            asked,
            child,
            opened: RefCell::new(Some(opened)),
            unit: RefCell::default(),
            ended: Cell::new(false),
        });
        let context = glib::MainContext::ref_thread_default();
        drop(context.spawn_local(admission.clone().run()));
        Box::new(move || admission.end())
    }
}

/// See the module.
struct Admission {
    scope: Scope,
    asked: Vec<Asked>,
    child: Newborn,
    opened: RefCell<Option<Opened>>,
    /// The unit that is there, on which the app has a reference.
    unit: RefCell<Option<(Line, String)>>,
    ended: Cell<bool>,
}

impl Admission {
    async fn run(self: Rc<Self>) {
        let within = self.scope.plan.within;
        let mut made = pin!(self.make_unit());
        let mut time = pin!(glib::timeout_future(within));
        let in_time = poll_fn(|cx| match made.as_mut().poll(cx) {
            Poll::Ready(made) => Poll::Ready(Some(made)),
            Poll::Pending => time.as_mut().poll(cx).map(|()| None),
        });
        let made_in_time = in_time.await;
        if self.ended.get() {
            // What is made later is given back at once.
            if made_in_time.is_none() {
                let _ = made.await;
            }
            return;
        }
        if let Some(made) = made_in_time {
            return self.open(made.and_then(|unit| self.look(&unit)));
        }
        // A manager that was restarted meanwhile does not tell the end of its job.
        let unit = self.scope.unit();
        let is_there = unit.as_deref().is_some_and(|unit| self.look(unit).is_ok());
        self.open(match is_there {
            true => Ok(()),
            false => Err(text!(
                "org.freedesktop.systemd1 did not answer StartTransientUnit within {time}",
                time = within
            )),
        });
        // Late, it may still make the unit: the child is in it then, and the reference is to be given back.
        if let Ok(unit) = made.await
            && self.look(&unit).is_ok()
        {
            self.scope.set_phase(ScopeState::Active);
        }
    }

    /// Makes the unit with the child in it, and gives its name.
    async fn make_unit(&self) -> Result<String, Text> {
        let pidfd = self.pidfd().ok_or_else(has_ended)?;
        let manager = Manager::connect().await?;
        let random = glib::uuid_string_random().replace('-', "");
        let unit = name::unit(&app_id(), &random);
        if self.ended.get() {
            return Err(has_ended());
        }
        self.scope.state.borrow_mut().unit = Some(unit.clone());
        (manager.start_scope(&unit, self.properties(&unit), self.child.pid, pidfd)).await?;
        if self.ended.get() {
            manager.unref(&unit);
            return Err(has_ended());
        }
        *self.unit.borrow_mut() = Some((manager.line(), unit.clone()));
        Ok(unit)
    }

    /// Whether it was reaped, so that its number may be another's.
    fn has_ended(&self) -> bool {
        self.pidfd().is_none()
    }

    fn pidfd(&self) -> Option<OwnedFd> {
        let process = self
            .child
            .process
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        process.as_ref()?.as_fd().try_clone_to_owned().ok()
    }

    fn properties(&self, unit: &str) -> Vec<Property> {
        let plan = &self.scope.plan;
        let description = plan.description.as_deref().unwrap_or(unit);
        let mut properties: Vec<Property> = vec![
            // A NUL byte cannot be sent.
            (
                "Description".to_owned(),
                description.replace('\0', " ").to_variant(),
            ),
            ("Slice".to_owned(), plan.slice.to_variant()),
            // It is collected when it has ended and the app has let go of it, or is gone; however it has ended.
            ("CollectMode".to_owned(), "inactive-or-failed".to_variant()),
            ("AddRef".to_owned(), true.to_variant()),
        ];
        for accounting in ["MemoryAccounting", "CPUAccounting", "TasksAccounting"] {
            properties.push((accounting.to_owned(), true.to_variant()));
        }
        properties.extend(
            self.asked
                .iter()
                .map(|(limit, value)| limit.property(*value)),
        );
        properties
    }

    /// Looks which cgroup the child is in, and which limits hold there.
    fn look(&self, unit: &str) -> Result<(), Text> {
        let cgroup = Cgroup::of(self.child.pid).map_err(|error| {
            text!(
                "the cgroup of the child could not be read: {error}",
                error = Text::of(&error)
            )
        })?;
        if cgroup.path().file_name() != Some(unit.as_ref()) {
            return Err(text!(
                "systemd has started {unit}, but the child is in the cgroup {path}",
                unit = unit,
                path = Text::of(cgroup.path().display())
            ));
        }
        self.adopt(unit, Arc::new(cgroup));
        Ok(())
    }

    /// The child is in this cgroup, with all that it will start.
    fn adopt(&self, unit: &str, cgroup: Arc<Cgroup>) {
        let mut process = self
            .child
            .process
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = &mut *process {
            process.set_cgroup(cgroup.clone());
            if let Ok(tree) = cgroup.open("cgroup.kill", OFlags::WRONLY) {
                // Without it, the guardian has the process and its group.
                let _ = guardian::watch_over_tree(process, tree);
            }
        }
        drop(process);
        memory::listen(&cgroup);
        let read_back = |(limit, asked): &Asked| (*limit, limit.read_back(*asked, &cgroup));
        let enforcement = self.asked.iter().map(read_back).collect();
        let mut state = self.scope.state.borrow_mut();
        state.enforcement = enforcement;
        state.unit = Some(unit.to_owned());
        state.cgroup = Some(cgroup);
    }

    /// Lets the child go on, or not.
    fn open(&self, made: Result<(), Text>) {
        let Some(opened) = self.opened.take() else {
            return;
        };
        if self.ended.get() {
            return;
        }
        let required = self.scope.plan.required;
        let verdict = match made {
            Ok(()) => {
                self.scope.set_phase(ScopeState::Active);
                self.unenforced().map_or(Ok(()), Err)
            }
            Err(why) => {
                self.do_without(&why);
                Err(text!("it requires a scope, and has none: {why}", why = why))
            }
        };
        opened(if required { verdict } else { Ok(()) });
    }

    fn unenforced(&self) -> Option<Text> {
        let state = self.scope.state.borrow();
        (state.enforcement.iter()).find_map(|(limit, enforcement)| match enforcement {
            Enforcement::NotEnforced(why) => Some(text!(
                "{limit} of its scope, which is required, is not enforced: {why}",
                limit = limit.name(),
                why = why.as_str()
            )),
            _ => None,
        })
    }

    /// There is no scope: says so of each limit.
    fn do_without(&self, why: &Text) {
        let mut state = self.scope.state.borrow_mut();
        let why = why.to_string();
        for ((limit, enforcement), (_, asked)) in state.enforcement.iter_mut().zip(&self.asked) {
            *enforcement = match limit {
                ScopeLimit::MemoryMax if self.limit_data(*asked) => Enforcement::PerProcess,
                _ => Enforcement::NotEnforced(why.clone()),
            };
        }
        state.unit = None;
        state.phase = ScopeState::Unavailable(why);
        // It yields by itself then: the thread that waits, and all that it will start.
        if let Some(class) = self.child.class
            && !self.has_ended()
        {
            let _ = class.set(self.child.pid);
        }
    }

    /// Limits the data of the child, and of each process that it will start.
    fn limit_data(&self, bytes: u64) -> bool {
        let pid = Pid::from_raw(self.child.pid.cast_signed());
        let Some(pid) = pid.filter(|_| !self.has_ended()) else {
            return false;
        };
        let lower = |limit: Option<u64>| Some(limit.map_or(bytes, |limit| limit.min(bytes)));
        let Rlimit { current, maximum } = getrlimit(Resource::Data);
        let limit = Rlimit {
            current: lower(current),
            maximum: lower(maximum),
        };
        prlimit(Some(pid), Resource::Data, limit).is_ok()
    }

    /// The child has ended.
    fn end(&self) {
        self.ended.set(true);
        drop(self.opened.take());
        {
            let mut state = self.scope.state.borrow_mut();
            if !matches!(state.phase, ScopeState::Unavailable(_)) {
                state.phase = ScopeState::Ended;
            }
            (state.unit, state.cgroup) = (None, None);
        }
        if let Some((line, unit)) = self.unit.take() {
            line.unref(&unit);
        }
    }
}

fn has_ended() -> Text {
    text!("the child ended while it waited for its scope")
}

/// What the desktop calls this app, or else the name of its program.
fn app_id() -> String {
    let is_main = glib::MainContext::default().is_owner();
    let app = is_main.then(gio::Application::default).flatten();
    let id = app.and_then(|app| app.application_id());
    let name = || {
        let program = glib::prgname().map(PathBuf::from).or_else(own_file)?;
        Some(program.file_name()?.to_string_lossy().into_owned())
    };
    (id.map(String::from).or_else(name)).unwrap_or_else(|| "app".to_owned())
}
