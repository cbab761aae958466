//! The descriptors of a process, and which careless child gets each.

use legwork_inspect::{DescriptorInfo, End, Holder, Kind};

use super::proc::stat;

/// One descriptor.
pub(super) struct Entry {
    pub(super) info: DescriptorInfo,
    /// Who else holds it, or its other end.
    pub(super) holders: Vec<Holder>,
    /// Children of the process that hold the very same, and hardly on purpose.
    pub(super) leaked_to: Vec<u32>,
}

/// Which careless child gets a descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PassedOn {
    /// 0, 1 and 2: every child expects them.
    Standard,
    /// One that forks and closes nothing.
    ByFork,
    /// One that executes a program and closes nothing, as well.
    ByExec,
}

impl Entry {
    pub(super) fn passed_on(&self) -> PassedOn {
        if self.info.number <= 2 && self.info.harm().is_none() {
            PassedOn::Standard
        } else if self.info.close_on_exec {
            PassedOn::ByFork
        } else {
            PassedOn::ByExec
        }
    }

    /// Whether it is a fault of the process: it takes no fork to inherit it, or a child has already.
    pub(super) fn is_fault(&self) -> bool {
        self.passed_on() == PassedOn::ByExec || !self.leaked_to.is_empty()
    }

    /// Whether it has a connection or a wakeup of its parent.
    pub(super) fn is_of(&self, parent: i32) -> bool {
        let mut same = self.holders.iter().filter(|other| other.end == End::Same);
        is_private(&self.info) && same.any(|other| other.pid == parent.cast_unsigned())
    }

    /// Whether another process than its own holds the very same.
    pub(super) fn is_shared_by(&self, pid: u32) -> bool {
        let mut holders = self.holders.iter();
        holders.any(|holder| holder.end == End::Same && holder.pid != pid)
    }
}

/// All that a process has open, with who else holds it.
pub(super) fn entries(pid: u32, open: Vec<DescriptorInfo>) -> Vec<Entry> {
    let mut holders = legwork_inspect::holders(pid, &open);
    let entries = open.into_iter().map(|info| {
        let mut holders = holders.remove(&info.number).unwrap_or_default();
        // What it shares with this command, such as its terminal's pipe, is of no concern.
        holders.retain(|holder| holder.pid != std::process::id());
        Entry {
            leaked_to: leaked_to(pid, &info, &holders),
            info,
            holders,
        }
    });
    entries.collect()
}

/// Children that hold it as well.
fn leaked_to(pid: u32, info: &DescriptorInfo, holders: &[Holder]) -> Vec<u32> {
    if !is_private(info) {
        return Vec::new();
    }
    let is_child = |of: u32| {
        let stat = stat(of.cast_signed());
        stat.is_some_and(|stat| stat.ppid.cast_unsigned() == pid)
    };
    let same = holders.iter().filter(|holder| holder.end == End::Same);
    let mut children = same
        .map(|holder| holder.pid)
        .filter(|holder| *holder != pid && is_child(*holder))
        .collect::<Vec<_>>();
    children.dedup();
    children
}

/// A child that holds its parent's connection or wakeup was hardly handed it on purpose; memory and pipes
/// often are.
fn is_private(info: &DescriptorInfo) -> bool {
    let is_private = matches!(
        info.kind,
        Kind::Eventfd | Kind::TcpSocket | Kind::UdpSocket | Kind::Inhibitor
    );
    (is_private || info.service.is_some()) && info.harm().is_some()
}
