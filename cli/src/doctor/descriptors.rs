//! The descriptors of a process, and which careless child inherits each.

use std::fs;

use legwork_inspect::{DescriptorInfo, End, Harm, Holder, Kind};

use super::proc::{is_guardian, stat};

/// One descriptor.
pub(super) struct Entry {
    pub(super) info: DescriptorInfo,
    /// The other processes that hold it, or its other end.
    pub(super) holders: Vec<Holder>,
    /// Children of the process that hold the same one, and hardly on purpose.
    pub(super) leaked_to: Vec<u32>,
    /// Whether the parent of the process holds it by the same number, so that it was inherited.
    is_inherited: bool,
    /// Whether Legwork uses it to wake its guardian.
    is_of_guardian: bool,
}

/// Which careless child inherits a descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PassedOn {
    /// Any: every program expects 0, 1 and 2.
    Standard,
    /// A child that forks and closes nothing.
    ByFork,
    /// Also a child that executes a program and closes nothing.
    ByExec,
}

impl Entry {
    /// Returns the harm that a careless child can do with it.
    pub(super) fn harm(&self) -> Option<Harm> {
        self.info.harm().filter(|_| !self.is_of_guardian)
    }

    /// Returns whether it wakes a main loop, and another process holds it as well.
    pub(super) fn is_wakeup_of_two(&self, pid: u32) -> bool {
        self.info.kind == Kind::Eventfd && self.is_shared_by(pid) && !self.is_of_guardian
    }

    pub(super) fn passed_on(&self) -> PassedOn {
        if self.info.number <= 2 && self.harm().is_none() {
            PassedOn::Standard
        } else if self.info.close_on_exec {
            PassedOn::ByFork
        } else {
            PassedOn::ByExec
        }
    }

    /// Returns whether it is a fault of the process: programs that it executes inherit it, or a child has inherited it.
    pub(super) fn is_fault(&self) -> bool {
        self.does_harm_by_exec() && !self.is_inherited || !self.leaked_to.is_empty()
    }

    /// Returns whether it can do harm, and every program that the process executes inherits it.
    pub(super) fn does_harm_by_exec(&self) -> bool {
        self.passed_on() == PassedOn::ByExec && self.harm().is_some()
    }

    /// Returns whether the process has inherited it from its parent.
    pub(super) fn is_inherited(&self) -> bool {
        self.is_inherited
    }

    /// Returns whether it is a private descriptor of the parent as well.
    pub(super) fn is_of(&self, parent: i32) -> bool {
        let mut same = self.holders.iter().filter(|other| other.end == End::Same);
        self.is_private() && same.any(|other| other.pid == parent.cast_unsigned())
    }

    /// Returns whether it is hardly ever passed to a child on purpose, such as a connection. Memory and pipes often
    /// are.
    fn is_private(&self) -> bool {
        let is_private = matches!(
            self.info.kind,
            Kind::Eventfd | Kind::TcpSocket | Kind::UdpSocket | Kind::Inhibitor
        );
        (is_private || self.info.service.is_some()) && self.harm().is_some()
    }

    fn leaked_to(&self, pid: u32) -> Vec<u32> {
        if !self.is_private() {
            return Vec::new();
        }
        let is_child = |of: u32| {
            let stat = stat(of.cast_signed());
            stat.is_some_and(|stat| stat.ppid.cast_unsigned() == pid)
        };
        let same = self.holders.iter().filter(|holder| holder.end == End::Same);
        let mut children = same
            .map(|holder| holder.pid)
            .filter(|holder| *holder != pid && is_child(*holder))
            .collect::<Vec<_>>();
        children.dedup();
        children
    }

    /// Returns whether another process holds it as well.
    pub(super) fn is_shared_by(&self, pid: u32) -> bool {
        let mut holders = self.holders.iter();
        holders.any(|holder| holder.end == End::Same && holder.pid != pid)
    }
}

/// Returns everything that a process has open, and who else holds it.
pub(super) fn entries(pid: u32, parent: i32, open: Vec<DescriptorInfo>) -> Vec<Entry> {
    let mut holders = legwork_inspect::holders(pid, &open);
    let entries = open.into_iter().map(|info| {
        let mut holders = holders.remove(&info.number).unwrap_or_default();
        let is_inherited = is_inherited(parent, &info, &holders);
        // It may share a pipe or a terminal with this command, which does not matter.
        holders.retain(|holder| holder.pid != std::process::id());
        let mut entry = Entry {
            is_of_guardian: is_of_guardian(pid, &info, &holders),
            leaked_to: Vec::new(),
            is_inherited,
            info,
            holders,
        };
        if entry.is_of_guardian {
            entry.info.description = "eventfd that wakes the guardian of Legwork".into();
        }
        entry.leaked_to = entry.leaked_to(pid);
        entry
    });
    entries.collect()
}

fn is_inherited(parent: i32, info: &DescriptorInfo, holders: &[Holder]) -> bool {
    if info.object.is_some() {
        let is_it = |holder: &Holder| {
            (holder.pid, holder.number, holder.end)
                == (parent.cast_unsigned(), info.number, End::Same)
        };
        return holders.iter().any(is_it);
    }
    let there = fs::read_link(format!("/proc/{parent}/fd/{}", info.number));
    info.link.is_absolute() && there.is_ok_and(|there| there == info.link)
}

fn is_of_guardian(pid: u32, info: &DescriptorInfo, holders: &[Holder]) -> bool {
    let mut same = holders.iter().filter(|holder| holder.end == End::Same);
    info.kind == Kind::Eventfd
        && (is_guardian(pid) && same.clone().count() > 0
            || same.any(|holder| is_guardian(holder.pid)))
}
