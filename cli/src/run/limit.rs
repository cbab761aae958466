//! `--limit`: limits of resources; see setrlimit(2).

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, rlim_t, setrlimit};

use crate::failure::{Failure, cannot};

const RESOURCES: [(&str, Resource); 10] = [
    ("as", Resource::RLIMIT_AS),
    ("core", Resource::RLIMIT_CORE),
    ("cpu", Resource::RLIMIT_CPU),
    ("data", Resource::RLIMIT_DATA),
    ("fsize", Resource::RLIMIT_FSIZE),
    ("memlock", Resource::RLIMIT_MEMLOCK),
    ("nofile", Resource::RLIMIT_NOFILE),
    ("nproc", Resource::RLIMIT_NPROC),
    ("rss", Resource::RLIMIT_RSS),
    ("stack", Resource::RLIMIT_STACK),
];

/// A limit to set.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    /// As given on the command line.
    text: String,
    resource: Resource,
    soft: rlim_t,
    hard: rlim_t,
}

impl Limit {
    /// `NAME=VALUE` or `NAME=SOFT:HARD`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("it has no `=`")?;
        let known = RESOURCES.iter().find(|(known, _)| *known == name);
        let (_, resource) = known.ok_or_else(|| {
            let known = RESOURCES.map(|(name, _)| name).join(", ");
            format!("there is no limit `{name}`, only {known}")
        })?;
        let number = |text: &str| match text {
            "unlimited" => Ok(RLIM_INFINITY),
            _ => text
                .parse()
                .map_err(|_| format!("`{text}` is not a number")),
        };
        let (soft, hard) = value.split_once(':').unwrap_or((value, value));
        Ok(Self {
            text: text.to_owned(),
            resource: *resource,
            soft: number(soft)?,
            hard: number(hard)?,
        })
    }

    /// Sets it for this process, and so for its children.
    pub(super) fn set(&self) -> Result<(), Failure> {
        let what = format!("--limit {}", self.text);
        let (_, hard_now) = getrlimit(self.resource).map_err(cannot(&what))?;
        setrlimit(self.resource, self.soft, self.hard).map_err(|error| {
            let now = match hard_now {
                RLIM_INFINITY => "unlimited".to_owned(),
                number => number.to_string(),
            };
            Failure::Own(format!("{what}: {error} (the hard limit is {now})"))
        })
    }
}
