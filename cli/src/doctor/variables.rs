//! Variables that name a descriptor, or a token for one use.

use std::os::fd::RawFd;

use legwork::spawn::ONE_SHOT_VARIABLES;
use legwork_inspect::DescriptorInfo;
use procfs::ProcResult;

use super::subject::Subject;

/// A variable that a child should not inherit.
pub(super) struct Variable {
    pub(super) name: String,
    /// `None` for a token: it is nobody's business.
    pub(super) value: Option<String>,
    /// The descriptors that it names.
    pub(super) names: Vec<Named>,
}

/// A descriptor that a variable names.
pub(super) struct Named {
    pub(super) number: RawFd,
    /// What is open there now; `None`: nothing.
    pub(super) is: Option<String>,
}

/// The number of the first descriptor of sd_listen_fds(3).
const LISTEN_FDS_START: RawFd = 3;
/// More than anybody lists; a number in the environment may be any.
const MOST: usize = 64;

/// Those in the environment that the process was started with, by name. What it has changed since
/// cannot be seen from outside.
pub(super) fn of(subject: &Subject, open: &[DescriptorInfo]) -> ProcResult<Vec<Variable>> {
    let variables = subject.process.environ()?.into_iter();
    let variables = variables.filter_map(|(name, value)| {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        judge(text(name), text(value), open)
    });
    let mut variables = variables.collect::<Vec<_>>();
    variables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(variables)
}

fn judge(name: String, value: String, open: &[DescriptorInfo]) -> Option<Variable> {
    let numbers = numbers(&name, &value);
    if numbers.is_empty() && !ONE_SHOT_VARIABLES.contains(&&*name) {
        return None;
    }
    let names = numbers.into_iter().map(|number| {
        let info = open.iter().find(|info| info.number == number);
        let is = info.map(|info| info.description.clone());
        Named { number, is }
    });
    let is_token = ["DESKTOP_STARTUP_ID", "XDG_ACTIVATION_TOKEN"].contains(&&*name);
    Some(Variable {
        names: names.collect(),
        value: (!is_token).then_some(value),
        name,
    })
}

/// The descriptors that a variable names.
fn numbers(name: &str, value: &str) -> Vec<RawFd> {
    let number = |text: &str| text.parse().ok().filter(|number: &RawFd| *number >= 0);
    match name {
        "LISTEN_FDS" => {
            let count = number(value).unwrap_or_default();
            let end = LISTEN_FDS_START.saturating_add(count);
            (LISTEN_FDS_START..end).take(MOST).collect()
        }
        // The two ends of make's jobserver.
        "MAKEFLAGS" => value
            .split_ascii_whitespace()
            .filter_map(|flag| {
                flag.strip_prefix("--jobserver-auth=")
                    .or_else(|| flag.strip_prefix("--jobserver-fds="))
            })
            .flat_map(|pair| pair.split(',').filter_map(number))
            .collect(),
        "WAYLAND_SOCKET" => number(value).into_iter().collect(),
        // As borg's BORG_PASSPHRASE_FD.
        _ if name.ends_with("_FD") => number(value).into_iter().collect(),
        _ => Vec::new(),
    }
}
