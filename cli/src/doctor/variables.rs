//! Variables that name a descriptor or hold a token for one use.

use std::os::fd::RawFd;

use legwork::spawn::{ONE_SHOT_VARIABLES, named_descriptors};
use legwork_inspect::DescriptorInfo;
use procfs::ProcResult;

use super::subject::Subject;

/// A variable that a child should not inherit.
pub(super) struct Variable {
    pub(super) name: String,
    /// `None` for a token, which is secret.
    pub(super) value: Option<String>,
    /// The descriptors that it names.
    pub(super) names: Vec<Named>,
}

/// A descriptor that a variable names.
pub(super) struct Named {
    pub(super) number: RawFd,
    /// What is open there now, if anything.
    pub(super) is: Option<String>,
}

/// Returns those in the environment that the process was started with, sorted by name. Later changes cannot be seen
/// from outside.
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
    let numbers = named_descriptors(name.as_ref(), value.as_ref());
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
