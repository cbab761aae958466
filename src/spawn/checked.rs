//! A plan whose every part was checked.

use std::ffi::CString;

use super::attributes::{Group, Mask};
use super::directory::WorkingDirectory;
use super::environment::Strings;
use super::map::Layout;
use super::posix_spawn::Invocation;
use super::program::Located;

/// A plan in which every name is resolved and every descriptor is open.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) program: Located,
    pub(super) arguments: Vec<CString>,
    pub(super) environment: Strings,
    pub(super) directory: Option<WorkingDirectory>,
    pub(super) layout: Layout,
    pub(super) terminal: Option<CString>,
    pub(super) group: Group,
    pub(super) signals: Mask,
    pub(super) ignored: u64,
}

impl Checked {
    pub(super) fn invocation(&self) -> Invocation<'_> {
        Invocation {
            program: &self.program.exec,
            arguments: &self.arguments,
            environment: &self.environment,
            directory: self.directory.as_ref(),
            actions: &self.layout.actions,
            terminal: self.terminal.as_deref(),
            group: self.group,
            signals: self.signals,
            ignored: self.ignored,
        }
    }
}
