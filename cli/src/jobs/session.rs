//! The jobs of all apps of the session, as they come, change and go.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use zbus::OwnedObjectPath;

use super::bus::{BUS, Bus, Message};
use super::job::{Job, Properties};

const PATH: &str = "/org/legwork/Jobs1";
const JOB: &str = "org.legwork.Jobs1.Job";
const MANAGER: &str = "org.freedesktop.DBus.ObjectManager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// How long an app may take to say what it does.
const APP_PATIENCE: Duration = Duration::from_secs(2);

/// What has happened to a job.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Added,
    Changed,
    Removed,
}

/// A call that has not been answered yet.
enum Call {
    Names,
    /// Who owns this name.
    Owner(String),
    /// Which jobs this connection has.
    Jobs(String),
}

/// A connection of an app, and the job's path there.
type Key = (String, String);
type Interfaces = HashMap<String, Properties>;

/// See the module.
pub(super) struct Session {
    bus: Bus,
    calls: HashMap<u32, Call>,
    /// The apps by their connections, as they are written before the slash.
    apps: BTreeMap<String, String>,
    jobs: BTreeMap<Key, Job>,
}

impl Session {
    /// Asks for the jobs of all apps. With `watch` it also asks to be told what happens to them.
    pub(super) fn open(watch: bool) -> Result<Self, String> {
        let mut bus = Bus::connect()?;
        if watch {
            let rules = [
                format!("type='signal',path_namespace='{PATH}'"),
                format!("type='signal',sender='{BUS}',member='NameOwnerChanged'"),
            ];
            for rule in rules {
                bus.ask("AddMatch", Some(&rule))?;
            }
        }
        let names = bus.ask("ListNames", None)?;
        Ok(Session {
            bus,
            calls: HashMap::from([(names, Call::Names)]),
            apps: BTreeMap::new(),
            jobs: BTreeMap::new(),
        })
    }

    /// Waits until the apps have answered, and returns those that have not, in time.
    pub(super) fn settle(&mut self) -> Result<Vec<String>, String> {
        let until = Instant::now() + APP_PATIENCE;
        while !self.calls.is_empty()
            && let Some(message) = self.bus.receive(Some(until))?
        {
            self.take(message, &mut |_, _| ())?;
        }
        let silent = self.calls.values().map(|call| match call {
            Call::Names => "the session bus".to_owned(),
            Call::Owner(name) => app_of(name).unwrap_or_default(),
            Call::Jobs(owner) => self.apps.get(owner).cloned().unwrap_or_default(),
        });
        Ok(silent.collect())
    }

    /// Waits for what happens next, for ever, and tells it.
    pub(super) fn follow(&mut self, tell: &mut impl FnMut(Event, &Job)) -> Result<(), String> {
        match self.bus.receive(None)? {
            Some(message) => self.take(message, tell),
            None => Ok(()),
        }
    }

    /// Returns the jobs, sorted by apps and numbers.
    pub(super) fn jobs(&self) -> Vec<&Job> {
        let mut jobs: Vec<_> = self.jobs.values().collect();
        jobs.sort_by_key(|job| (&job.app, job.path.len(), &job.path));
        jobs
    }

    /// Calls a method of the job that has this id.
    pub(super) fn call(
        &mut self,
        id: &str,
        method: &str,
        argument: Option<&str>,
    ) -> Result<(), String> {
        let mut found = self.jobs.iter().filter(|(_, job)| job.id() == id);
        let (owner, path) = match (found.next(), found.next()) {
            (Some((key, _)), None) => key.clone(),
            (None, _) => return Err(format!("there is no job {id}")),
            (Some(_), Some(_)) => return Err(format!("two apps say that they have the job {id}")),
        };
        let serial = self.bus.call(&owner, &path, JOB, method, argument)?;
        let answer = self.bus.answer(serial)?;
        let answer = answer.ok_or_else(|| format!("the app of {id} has not answered"))?;
        let Some(error) = &answer.error else {
            return Ok(());
        };
        Err(match error.rsplit('.').next() {
            Some("UnknownMethod" | "UnknownObject" | "ServiceUnknown" | "NoReply") => {
                format!("{id} has ended")
            }
            _ => format!(
                "{id}: {}",
                answer
                    .arguments::<String>()
                    .unwrap_or_else(|| error.clone())
            ),
        })
    }

    fn take(&mut self, message: Message, tell: &mut impl FnMut(Event, &Job)) -> Result<(), String> {
        if let Some(call) = self.calls.remove(&message.reply_to) {
            return self.answered(call, &message, tell);
        }
        if message.sender == BUS && message.member == "NameOwnerChanged" {
            return self.owner_changed(&message, tell);
        }
        let Some(app) = self.apps.get(&message.sender) else {
            return Ok(());
        };
        match (message.interface.as_str(), message.member.as_str()) {
            (MANAGER, "InterfacesAdded") => {
                if let Some((path, interfaces)) =
                    message.arguments::<(OwnedObjectPath, Interfaces)>()
                {
                    let app = app.clone();
                    self.add(&message.sender, &app, path.as_str(), interfaces, tell);
                }
            }
            (MANAGER, "InterfacesRemoved") => {
                if let Some((path, _)) = message.arguments::<(OwnedObjectPath, Vec<String>)>() {
                    let key = (message.sender, path.as_str().to_owned());
                    if let Some(job) = self.jobs.remove(&key) {
                        tell(Event::Removed, &job);
                    }
                }
            }
            (PROPERTIES, "PropertiesChanged") => {
                let arguments = message.arguments::<(String, Properties, Vec<String>)>();
                let job = self.jobs.get_mut(&(message.sender, message.path));
                if let (Some((interface, changes, _)), Some(job)) = (arguments, job)
                    && interface == JOB
                {
                    job.update(changes);
                    tell(Event::Changed, job);
                }
            }
            _ => (),
        }
        Ok(())
    }

    fn answered(
        &mut self,
        call: Call,
        message: &Message,
        tell: &mut impl FnMut(Event, &Job),
    ) -> Result<(), String> {
        match call {
            Call::Names => {
                for name in message.arguments::<Vec<String>>().unwrap_or_default() {
                    if app_of(&name).is_some() {
                        let serial = self.bus.ask("GetNameOwner", Some(&name))?;
                        self.calls.insert(serial, Call::Owner(name));
                    }
                }
            }
            Call::Owner(name) => {
                if let Some(owner) = message.arguments::<String>() {
                    self.appeared(&name, &owner)?;
                }
            }
            Call::Jobs(owner) => {
                let managed = message.arguments::<HashMap<OwnedObjectPath, Interfaces>>();
                let app = self.apps.get(&owner).cloned().unwrap_or_default();
                for (path, interfaces) in managed.unwrap_or_default() {
                    self.add(&owner, &app, path.as_str(), interfaces, tell);
                }
            }
        }
        Ok(())
    }

    fn owner_changed(
        &mut self,
        message: &Message,
        tell: &mut impl FnMut(Event, &Job),
    ) -> Result<(), String> {
        let Some((name, old, new)) = message.arguments::<(String, String, String)>() else {
            return Ok(());
        };
        if app_of(&name).is_none() {
            return Ok(());
        }
        if self.apps.remove(&old).is_some() {
            let gone = |(owner, _): &Key, _: &mut Job| *owner == old;
            self.jobs
                .extract_if(.., gone)
                .for_each(|(_, job)| tell(Event::Removed, &job));
        }
        if !new.is_empty() {
            self.appeared(&name, &new)?;
        }
        Ok(())
    }

    fn appeared(&mut self, name: &str, owner: &str) -> Result<(), String> {
        let app = app_of(name).unwrap_or_default();
        self.apps.insert(owner.to_owned(), app);
        let serial = self
            .bus
            .call(owner, PATH, MANAGER, "GetManagedObjects", None)?;
        self.calls.insert(serial, Call::Jobs(owner.to_owned()));
        Ok(())
    }

    fn add(
        &mut self,
        owner: &str,
        app: &str,
        path: &str,
        mut interfaces: Interfaces,
        tell: &mut impl FnMut(Event, &Job),
    ) {
        let Some(properties) = interfaces.remove(JOB) else {
            return;
        };
        let job = Job::new(app, path, properties);
        let key = (owner.to_owned(), path.to_owned());
        let known = self.jobs.insert(key, job.clone());
        let event = if known.is_some() {
            Event::Changed
        } else {
            Event::Added
        };
        tell(event, &job);
    }
}

/// The app that has this name for its jobs: its id, with an instance's number after it; or, without an id, its process.
fn app_of(name: &str) -> Option<String> {
    if let Some(process) = name.strip_prefix("org.legwork.Jobs.") {
        return Some(process.to_owned());
    }
    let (app, instance) = name.rsplit_once(".LegworkJobs")?;
    match instance.strip_prefix('.') {
        None if instance.is_empty() => Some(app.to_owned()),
        Some(instance) if !instance.contains('.') => Some(format!("{app}.{instance}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::app_of;

    #[test]
    fn an_app_is_known_by_the_name_of_its_jobs() {
        for (name, app) in [
            ("org.example.App.LegworkJobs", Some("org.example.App")),
            (
                "org.example.App.LegworkJobs.c1_42",
                Some("org.example.App.c1_42"),
            ),
            ("org.legwork.Jobs.p4242", Some("p4242")),
            ("org.legwork.Jobs.p2.c1_9", Some("p2.c1_9")),
            ("org.example.App", None),
            ("org.example.App.LegworkJobsToo", None),
            ("org.example.LegworkJobs.a.b", None),
            (":1.42", None),
        ] {
            assert_eq!(app_of(name).as_deref(), app, "{name}");
        }
    }
}
