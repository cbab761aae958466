//! The descriptor map: which of the app's descriptors the child gets, and under which numbers.
//!
//! The child starts with a copy of the app's whole descriptor table. This module turns the map into a list of
//! actions on that copy, after which it holds 0, 1, 2 and the targets of the map, and nothing else. As they
//! happen in the child, no duplicate is ever made in the app, which may have no descriptor left for one, and no
//! close-on-exec flag is cleared where another thread's spawn could leak it.
//!
//! The puzzle is that a source may lie on the number that is another entry's target. Duplicating in the wrong
//! order then hands over the wrong file. [`untangle`] finds the right order.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    sync::Arc,
};

use rustix::{
    io::{Errno, fcntl_dupfd_cloexec, fcntl_getfd},
    process::{Resource, getrlimit},
};

use super::error::{SpawnError, Step};

/// The highest number that a descriptor can have in the child.
///
/// Every unused number below the highest target costs one action, so numbers without end would make a start
/// slow. This is the last number of the descriptor limit that Linux gives by default, and of select(2).
pub const MAX_TARGET: RawFd = 1023;

/// One of the three descriptors that every program expects to be open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standard {
    /// Descriptor 0.
    Input,
    /// Descriptor 1.
    Output,
    /// Descriptor 2.
    Error,
}

impl Standard {
    const fn number(self) -> RawFd {
        match self {
            Self::Input => 0,
            Self::Output => 1,
            Self::Error => 2,
        }
    }

    fn descriptor(self) -> BorrowedFd<'static> {
        match self {
            Self::Input => rustix::stdio::stdin(),
            Self::Output => rustix::stdio::stdout(),
            Self::Error => rustix::stdio::stderr(),
        }
    }
}

/// Where a descriptor of the child comes from.
#[derive(Debug)]
pub(super) enum Source {
    Owned(OwnedFd),
    Shared(Arc<OwnedFd>),
    /// The app's own 0, 1 or 2, which nobody owns.
    Inherited(Standard),
}

impl Source {
    fn descriptor(&self) -> BorrowedFd<'_> {
        match self {
            Self::Owned(fd) => fd.as_fd(),
            Self::Shared(fd) => fd.as_fd(),
            Self::Inherited(which) => which.descriptor(),
        }
    }
}

/// One action on the child's own descriptor table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// `dup2(from, to)`; where both are the same number, only close-on-exec is cleared.
    Duplicate { from: RawFd, to: RawFd },
    /// Closes one number, open or not.
    Close(RawFd),
    /// Closes a number and all above it.
    CloseFrom(RawFd),
    /// Opens `/dev/null` under a number.
    OpenNull(RawFd),
}

/// The map as the plan names it.
#[derive(Debug, Default)]
pub(super) struct Map {
    entries: Vec<(RawFd, Source)>,
}

/// The checked map: what the child has to do, and what must stay open in the app until it has done it.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) actions: Vec<Action>,
    _sources: Vec<(RawFd, Source)>,
    _lowered: Vec<OwnedFd>,
}

impl Map {
    pub(super) fn insert(&mut self, target: RawFd, source: Source) {
        self.entries.push((target, source));
    }

    pub(super) fn inherit(&mut self, which: Standard) {
        self.insert(which.number(), Source::Inherited(which));
    }

    /// Whether 0, 1 or 2 is among the targets.
    pub(super) fn names_standard(&self) -> bool {
        self.entries
            .iter()
            .any(|(target, _)| (0..=2).contains(target))
    }

    /// Frees a target for another use: who was to have it waits at the returned number instead.
    pub(super) fn move_aside(&mut self, number: RawFd) -> Option<RawFd> {
        let targets: BTreeSet<RawFd> = self.entries.iter().map(|(target, _)| *target).collect();
        let aside = (number + 1..=MAX_TARGET).find(|other| !targets.contains(other))?;
        let mut moved = self
            .entries
            .iter_mut()
            .filter(|(target, _)| *target == number);
        moved.next()?.0 = aside;
        Some(aside)
    }

    /// Checks every number and finds the actions.
    pub(super) fn lay_out(self) -> Result<Layout, SpawnError> {
        let limit = soft_limit();
        let mut lowered = Vec::new();
        let mut moves = BTreeMap::new();
        for (target, source) in &self.entries {
            check_target(*target, limit)?;
            let number = source_number(*target, source.descriptor(), limit, &mut lowered)?;
            if moves.insert(*target, number).is_some() {
                return Err(refused(format!(
                    "descriptor {target} of the child is given twice"
                )));
            }
        }
        for standard in 0..=2 {
            check_target(standard, limit)?;
        }
        Ok(Layout {
            actions: arrange(&moves, limit)?,
            _sources: self.entries,
            _lowered: lowered,
        })
    }
}

fn refused(sentence: String) -> SpawnError {
    SpawnError::refused(Step::DescriptorMap, sentence)
}

/// One more than the highest descriptor number that the app's, and so the child's, soft limit permits.
pub(super) fn soft_limit() -> RawFd {
    getrlimit(Resource::Nofile)
        .current
        .map_or(RawFd::MAX, |limit| limit.try_into().unwrap_or(RawFd::MAX))
}

fn check_target(target: RawFd, limit: RawFd) -> Result<(), SpawnError> {
    let why = if target < 0 {
        "is negative".to_owned()
    } else if target > MAX_TARGET {
        format!("is above {MAX_TARGET}, the highest that is supported")
    } else if target >= limit {
        format!("is not below {limit}, the soft limit of open files (RLIMIT_NOFILE)")
    } else {
        return Ok(());
    };
    Err(refused(format!("descriptor {target} of the child {why}")))
}

/// The number to duplicate from. Types rule out a closed source, code that closes foreign numbers does not.
fn source_number(
    target: RawFd,
    source: BorrowedFd<'_>,
    limit: RawFd,
    lowered: &mut Vec<OwnedFd>,
) -> Result<RawFd, SpawnError> {
    let number = source.as_raw_fd();
    let failed = |errno: Errno, what: &str| {
        SpawnError::failed(
            Step::DescriptorMap,
            errno.raw_os_error(),
            format!("descriptor {target} of the child is to be the app's {number}, which {what}"),
        )
    };
    fcntl_getfd(source).map_err(|errno| failed(errno, "is not open"))?;
    if number < limit {
        return Ok(number);
    }
    // The limit was lowered below a descriptor that is open; the C library refuses such a number.
    let low = fcntl_dupfd_cloexec(source, 0)
        .map_err(|errno| failed(errno, "lies above the soft limit of open files"))?;
    lowered.push(low);
    Ok(lowered[lowered.len() - 1].as_raw_fd())
}

/// All actions for a map from target to source number.
fn arrange(moves: &BTreeMap<RawFd, RawFd>, limit: RawFd) -> Result<Vec<Action>, SpawnError> {
    let mut actions = untangle(moves, limit)?;
    let last = moves
        .last_key_value()
        .map_or(2, |(&target, _)| target.max(2));
    close_above(last, moves, limit, &mut actions)?;
    actions.extend(
        (3..last)
            .filter(|number| !moves.contains_key(number))
            .map(Action::Close),
    );
    // Last, as the closing above may have used these numbers to park a descriptor. To open it once is enough.
    let mut missing = (0..=2).filter(|number| !moves.contains_key(number));
    if let Some(from) = missing.next() {
        actions.push(Action::OpenNull(from));
        actions.extend(missing.map(|to| Action::Duplicate { from, to }));
    }
    Ok(actions)
}

/// Orders the duplications so that no source is overwritten before its last use.
///
/// A target that no pending duplication reads can be written at once, and then its own source has one reader
/// less. When no such target is left, all that remains are rings; parking one member on a spare number opens it.
fn untangle(moves: &BTreeMap<RawFd, RawFd>, limit: RawFd) -> Result<Vec<Action>, SpawnError> {
    let mut actions = Vec::with_capacity(moves.len() + 8);
    let last = moves.last_key_value().map_or(0, |(&to, _)| to);
    if moves.values().all(|from| *from > last) {
        // As nearly always: no source lies on a target.
        actions.extend(
            moves
                .iter()
                .map(|(&to, &from)| Action::Duplicate { from, to }),
        );
        return Ok(actions);
    }
    let mut pending = BTreeMap::new();
    let mut readers: BTreeMap<RawFd, usize> = BTreeMap::new();
    for (&to, &from) in moves {
        if from == to {
            actions.push(Action::Duplicate { from, to });
        } else {
            pending.insert(to, from);
            *readers.entry(from).or_default() += 1;
        }
    }

    let mut free: Vec<RawFd> = pending
        .keys()
        .copied()
        .filter(|to| !readers.contains_key(to))
        .collect();
    loop {
        while let Some(to) = free.pop() {
            let Some(from) = pending.remove(&to) else {
                continue;
            };
            actions.push(Action::Duplicate { from, to });
            if let Some(left) = readers.get_mut(&from) {
                *left -= 1;
                if *left == 0 {
                    free.push(from);
                }
            }
        }
        let Some((&to, &from)) = pending.first_key_value() else {
            return Ok(actions);
        };
        let spare = spare_number(moves, limit)?;
        actions.push(Action::Duplicate { from, to: spare });
        pending.insert(to, spare);
        readers.insert(spare, 1);
        readers.remove(&from);
        free.push(from);
    }
}

/// The lowest number that is neither a source nor a target; what the app has there does not matter.
fn spare_number(moves: &BTreeMap<RawFd, RawFd>, limit: RawFd) -> Result<RawFd, SpawnError> {
    let taken: BTreeSet<RawFd> = moves.iter().flat_map(|(&to, &from)| [to, from]).collect();
    (0..limit)
        .find(|number| !taken.contains(number))
        .ok_or_else(|| {
            refused(format!(
                "the descriptor map swaps all numbers below the soft limit of open files, {limit}, \
                 and leaves none to do it with"
            ))
        })
}

/// Closes everything above the last target.
///
/// The C library takes no number at or above the limit, yet descriptors can be open there from before it was
/// lowered. So if the last target is the last number that there is, it steps aside while closing begins at it.
fn close_above(
    last: RawFd,
    moves: &BTreeMap<RawFd, RawFd>,
    limit: RawFd,
    actions: &mut Vec<Action>,
) -> Result<(), SpawnError> {
    if last + 1 < limit {
        actions.push(Action::CloseFrom(last + 1));
        return Ok(());
    }
    if !moves.contains_key(&last) {
        actions.push(Action::CloseFrom(last));
        return Ok(());
    }
    let aside = (0..last)
        .find(|number| !moves.contains_key(number))
        .ok_or_else(|| {
            refused(format!(
                "the descriptor map takes all {limit} numbers that the soft limit of open files permits, \
                 and leaves none to close the others with"
            ))
        })?;
    actions.extend([
        Action::Duplicate {
            from: last,
            to: aside,
        },
        Action::CloseFrom(last),
        Action::Duplicate {
            from: aside,
            to: last,
        },
    ]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEV_NULL: u32 = u32::MAX;

    /// What a child's table is after the actions, if the app has a file on each of its first numbers, which is
    /// known by that number. Fails where glibc would.
    fn carry_out(actions: &[Action], open: u32, limit: RawFd) -> BTreeMap<RawFd, u32> {
        let mut table: BTreeMap<RawFd, u32> = (0..open).map(|file| (file as RawFd, file)).collect();
        let valid = |number: RawFd| assert!((0..limit).contains(&number), "{number} is refused");
        for action in actions {
            match *action {
                Action::Duplicate { from, to } => {
                    valid(from);
                    valid(to);
                    let file = *table.get(&from).expect("only what is open is duplicated");
                    table.insert(to, file);
                }
                Action::Close(number) => {
                    valid(number);
                    table.remove(&number);
                }
                Action::CloseFrom(number) => {
                    valid(number);
                    table.split_off(&number);
                }
                Action::OpenNull(number) => {
                    valid(number);
                    table.insert(number, DEV_NULL);
                }
            }
        }
        table
    }

    fn expected(moves: &BTreeMap<RawFd, RawFd>) -> BTreeMap<RawFd, u32> {
        let mut table: BTreeMap<RawFd, u32> = (0..=2).map(|number| (number, DEV_NULL)).collect();
        table.extend(moves.iter().map(|(&to, &from)| (to, from as u32)));
        table
    }

    #[test]
    fn every_map_of_five_numbers_onto_five_is_right_or_refused_for_want_of_a_spare_one() {
        const NUMBERS: u32 = 5;
        const NONE: u32 = NUMBERS;
        let mut refusals = 0;
        for code in 0..(NUMBERS + 1).pow(NUMBERS) {
            let moves: BTreeMap<RawFd, RawFd> = (0..NUMBERS)
                .map(|target| (target, code / (NUMBERS + 1).pow(target) % (NUMBERS + 1)))
                .filter(|(_, source)| *source != NONE)
                .map(|(target, source)| (target as RawFd, source as RawFd))
                .collect();
            // The app has files above the last target, and above the limit as well.
            for limit in [5, 6, 20] {
                match arrange(&moves, limit) {
                    Ok(actions) => {
                        let table = carry_out(&actions, 12, limit);
                        assert_eq!(table, expected(&moves), "{moves:?}, limit {limit}");
                    }
                    Err(_) => {
                        assert!(limit == 5 && moves.len() >= 4, "{moves:?}, limit {limit}");
                        refusals += 1;
                    }
                }
            }
        }
        assert!(refusals > 0, "the smallest limit is small enough to matter");
    }

    #[test]
    fn a_map_costs_one_duplication_each_and_one_more_for_each_ring() {
        let moves = BTreeMap::from([(3, 4), (4, 3), (5, 5), (6, 7), (7, 8), (8, 6), (9, 6)]);
        assert_eq!(untangle(&moves, 64).unwrap().len(), 7 + 2);
    }
}
