//! Scopes: a child, and all that it starts, in a unit of the user's systemd, with limits that the kernel keeps.
//!
//! The child waits at its [gate](crate::child::gate) until the unit is there **and was looked at**: one call, one
//! signal, and one read of `/proc`. What systemd accepts is not what the kernel does: a controller may be absent, a
//! shell may have moved the process meanwhile, a unit may be gone at once. So each limit is read back from the files of
//! the cgroup that the process really is in, and reported. A manager that is absent, slow or wrong costs a child the
//! time of its gate and nothing else, unless the scope is required.
//!
//! The app holds a reference on the unit while its child lives, and systemd collects it when that is given back, or the
//! app is gone: none piles up, however it has ended. From then on this room is only asked for figures; killing, pausing
//! and the [guardian](crate::guardian) go by the cgroup, and need nobody.
//!
//! - [`name`]: how units are called.
//! - [`limits`]: what is limited, and what of it holds.
//! - [`memory`]: what the kernel tells of their memory.
//! - [`manager`]: what is said to systemd.
//! - [`admission`]: one child, from its birth to its end.
//!
//! It knows no jobs and no commands: they have a gate, and that is all.

mod admission;
mod limits;
mod manager;
mod memory;
mod name;

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use self::limits::Asked;
pub use self::limits::{Enforcement, ScopeLimit};
use self::manager::Manager;
use super::qos::Qos;
use crate::child::gate::SharedGate;
use crate::process::cgroup::{Cgroup, field};
use crate::text::{Text, text};

/// How long a child waits for its scope, by default.
const WITHIN: Duration = Duration::from_secs(5);

/// How long a child waits at most, whatever is asked for.
const WITHIN_AT_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// A transient scope of the user's systemd for one child, its limits, and what became of them.
///
/// The child starts when it is in the scope, and never before. Clones are the same scope: keep one to ask it later. It
/// holds one child at a time; when that has ended, another can be started in it, and gets a new unit.
///
/// ```no_run
/// use legwork::desktop::{Enforcement, Scope, ScopeLimit};
///
/// # async fn example() -> Result<(), legwork::Error> {
/// let scope = Scope::new().memory_max(512 << 20).tasks_max(64);
/// let job = legwork::Command::new("convert").args(["in.tiff", "out.png"]).scope(&scope).spawn();
/// match job.await {
///     Err(error) if error.is_out_of_memory() => println!("{error}"),
///     outcome => drop(outcome?),
/// }
/// if let Enforcement::NotEnforced(why) = scope.enforcement(ScopeLimit::MemoryMax) {
///     println!("without a limit: {why}");
/// }
/// # Ok(()) }
/// ```
///
/// | option | default |
/// |---|---|
/// | limits and weights | none |
/// | [`slice`](Self::slice) | `app.slice` |
/// | [`within`](Self::within) | 5 s |
/// | [`required`](Self::required) | no: without a scope, the child runs without it |
///
/// Neither `Send` nor `Sync`: it belongs to the thread of its child. The interface is `org.freedesktop.systemd1`, over the
/// app's own connection to the session bus.
#[derive(Debug, Clone)]
#[must_use = "a scope does nothing until a child is started in it"]
pub struct Scope {
    plan: Plan,
    state: Rc<RefCell<State>>,
}

/// What is asked for.
#[derive(Debug, Clone)]
struct Plan {
    limits: Vec<Asked>,
    description: Option<String>,
    slice: String,
    within: Duration,
    required: bool,
}

/// What has become of it.
#[derive(Debug, Default)]
struct State {
    phase: ScopeState,
    unit: Option<String>,
    cgroup: Option<Arc<Cgroup>>,
    enforcement: Vec<(ScopeLimit, Enforcement)>,
}

/// What has become of a [`Scope`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScopeState {
    /// No child has been started in it.
    #[default]
    Unused,
    /// Its child waits for it.
    Starting,
    /// Its child is in it.
    Active,
    /// Its child runs, or was not started, without it, for this reason.
    Unavailable(String),
    /// Its child has ended.
    Ended,
}

/// What the processes of a scope use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScopeUsage {
    /// Bytes of memory, with the files that they have in the page cache; `None` without the kernel's memory controller.
    pub memory: Option<u64>,
    /// Processor time since the start.
    pub cpu_time: Duration,
    /// Processes and threads; `None` without the kernel's pids controller.
    pub tasks: Option<u64>,
}

impl Scope {
    /// A scope without limits.
    pub fn new() -> Self {
        let plan = Plan {
            limits: Vec::new(),
            description: None,
            slice: "app.slice".to_owned(),
            within: WITHIN,
            required: false,
        };
        Scope {
            plan,
            state: Rc::default(),
        }
    }

    fn limit(mut self, limit: ScopeLimit, value: u64) -> Self {
        self.plan.limits.retain(|(other, _)| *other != limit);
        self.plan.limits.push((limit, value));
        self
    }

    /// Sets the memory that all of its processes have together, in bytes. When they need more, the kernel kills one of
    /// them; see [`Error::is_out_of_memory`](crate::Error::is_out_of_memory).
    pub fn memory_max(self, bytes: u64) -> Self {
        self.limit(ScopeLimit::MemoryMax, bytes)
    }

    /// Sets the memory beyond which the kernel slows its processes down, in bytes.
    pub fn memory_high(self, bytes: u64) -> Self {
        self.limit(ScopeLimit::MemoryHigh, bytes)
    }

    /// Sets its weight for processor time, 1 to 10000; 100 is usual.
    pub fn cpu_weight(self, weight: u64) -> Self {
        self.limit(ScopeLimit::CpuWeight, weight)
    }

    /// Sets how much processor time it gets at most, in percent of one processor: 200 is two processors.
    pub fn cpu_quota(self, percent: u64) -> Self {
        self.limit(ScopeLimit::CpuQuota, percent)
    }

    /// Sets how many processes and threads it has at most.
    pub fn tasks_max(self, tasks: u64) -> Self {
        self.limit(ScopeLimit::TasksMax, tasks)
    }

    /// Sets its weight for disks, 1 to 10000; 100 is usual.
    pub fn io_weight(self, weight: u64) -> Self {
        self.limit(ScopeLimit::IoWeight, weight)
    }

    /// Sets what `systemctl --user status` says of it. The default is the name of the unit.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.plan.description = Some(description.into());
        self
    }

    /// Sets the slice that it is in, as `app-background.slice`. Its limits apply as well; those of the app's own scope do
    /// not, which stands beside it.
    pub fn slice(mut self, slice: impl Into<String>) -> Self {
        self.plan.slice = slice.into();
        self
    }

    /// Sets how long a child waits for its scope, at most a day. After that it starts without, or not at all if the scope is
    /// [required](Self::required).
    pub fn within(mut self, time: Duration) -> Self {
        self.plan.within = time.min(WITHIN_AT_MOST);
        self
    }

    /// Makes the start fail unless the child is in its scope and every limit holds: the outcome is
    /// [`ErrorKind::Start`](crate::ErrorKind::Start), and nothing of the job or the program has run.
    pub fn required(mut self) -> Self {
        self.plan.required = true;
        self
    }

    /// Has its processes yield more or less to others from now on, also less than before, and says whether the kernel has
    /// that for the processors. In a scope that is not [active](ScopeState::Active), nothing is done.
    pub async fn set_qos(&self, qos: Qos) -> Enforcement {
        let (unit, cgroup) = {
            let state = self.state.borrow();
            match (state.unit.clone(), state.cgroup.clone()) {
                (Some(unit), Some(cgroup)) => (unit, cgroup),
                _ => return Enforcement::Unknown,
            }
        };
        let weights = limits::weights(qos.class());
        let properties = weights.map(|(limit, weight)| limit.property(weight));
        let set = match Manager::connect().await {
            Ok(manager) => manager.set(&unit, properties.to_vec()).await,
            Err(why) => Err(why),
        };
        if let Err(why) = set {
            return Enforcement::NotEnforced(why.to_string());
        }
        let read_back = weights.map(|(limit, weight)| (limit, limit.read_back(weight, &cgroup)));
        let mut state = self.state.borrow_mut();
        state
            .enforcement
            .retain(|(limit, _)| weights.iter().all(|(new, _)| new != limit));
        let [(_, of_processors), _] = &read_back;
        let of_processors = of_processors.clone();
        state.enforcement.extend(read_back);
        of_processors
    }

    /// Returns what has become of it. That is known when its child has the status *running*.
    pub fn state(&self) -> ScopeState {
        self.state.borrow().phase.clone()
    }

    /// Returns the name of its unit, while there is one.
    pub fn unit(&self) -> Option<String> {
        self.state.borrow().unit.clone()
    }

    /// Returns the directory of its cgroup, while there is one.
    pub fn cgroup(&self) -> Option<PathBuf> {
        let state = self.state.borrow();
        Some(state.cgroup.as_ref()?.path().to_owned())
    }

    /// Returns whether a limit holds, as the kernel's files said when the child was started.
    pub fn enforcement(&self, limit: ScopeLimit) -> Enforcement {
        let state = self.state.borrow();
        let found = (state.enforcement.iter()).find(|(other, _)| *other == limit);
        found.map_or(Enforcement::Unknown, |(_, enforcement)| enforcement.clone())
    }

    /// Reads what its processes use, from three short files of the kernel. `None` without a cgroup.
    pub fn usage(&self) -> Option<ScopeUsage> {
        let cgroup = self.state.borrow().cgroup.clone()?;
        let number = |file| cgroup.read(file).ok()?.trim().parse().ok();
        let cpu = field(&cgroup.read("cpu.stat").ok()?, "usage_usec")?;
        Some(ScopeUsage {
            memory: number("memory.current"),
            cpu_time: Duration::from_micros(cpu),
            tasks: number("pids.current"),
        })
    }

    /// What the start of a child holds.
    pub(crate) fn gate(&self) -> SharedGate {
        Rc::new(self.clone())
    }

    fn set_phase(&self, phase: ScopeState) {
        self.state.borrow_mut().phase = phase;
    }
}

impl Default for Scope {
    fn default() -> Self {
        Scope::new()
    }
}

impl Plan {
    /// Says what can never be, before anything is started.
    fn check(&self) -> Result<(), Text> {
        for (limit, value) in &self.limits {
            limit.check(*value)?;
        }
        let is_name = self.slice.len() <= 255
            && self.slice.strip_suffix(".slice").is_some_and(|name| {
                !name.is_empty()
                    && name
                        .bytes()
                        .all(|byte| byte.is_ascii_graphic() && byte != b'/')
            });
        match is_name {
            true => Ok(()),
            false => Err(text!(
                "the scope's slice {slice} is not the name of a slice, as app.slice is",
                slice = Text::quoted(&self.slice)
            )),
        }
    }
}
