//! The descriptor map: which of the app's descriptors the child gets, and as which numbers.
//!
//! The child starts with a copy of the app's whole descriptor table. This module turns the map into
//! a list of actions on that copy, after which it holds 0, 1, 2 and the targets of the map, and
//! nothing else. As they happen in the child, no duplicate is ever made in the app, which may have
//! no descriptor left for one, and no close-on-exec flag is cleared where another thread's spawn
//! could leak it.
//!
//! The number of one entry's source may be the target of another. Duplicated in the wrong order,
//! the child would get the wrong file. [`order_duplications`] finds the right order.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::io::{Errno, fcntl_dupfd_cloexec, fcntl_getfd};
use rustix::process::{Resource, getrlimit};

use super::error::{SpawnError, Step};
use crate::text::{Text, text};

/// The highest number that a descriptor can have in the child.
///
/// Every unused number below the highest target costs one action, so numbers without end would make
/// a start slow. This is the last number of the descriptor limit that Linux gives by default, and
/// of select(2).
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
    /// Closes a number, open or not.
    Close(RawFd),
    /// Closes a number and every one above it.
    CloseFrom(RawFd),
    /// Opens `/dev/null` as this number.
    OpenNull(RawFd),
}

/// The map as the plan states it.
#[derive(Debug, Default)]
pub(super) struct Map {
    entries: Vec<(RawFd, Source)>,
}

/// The checked map: the child's actions, and what must stay open in the app until they are done.
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

    /// Whether 0, 1 or 2 is a target.
    pub(super) fn names_standard(&self) -> bool {
        self.entries
            .iter()
            .any(|(target, _)| (0..=2).contains(target))
    }

    /// Frees a target for another use: its entry gets the returned number as its target instead.
    pub(super) fn relocate(&mut self, number: RawFd) -> Option<RawFd> {
        let targets: BTreeSet<RawFd> = self.entries.iter().map(|(target, _)| *target).collect();
        let free = (number + 1..=MAX_TARGET).find(|other| !targets.contains(other))?;
        let mut entries = self.entries.iter_mut();
        entries.find(|(target, _)| *target == number)?.0 = free;
        Some(free)
    }

    /// Checks every number and determines the actions.
    pub(super) fn lay_out(self) -> Result<Layout, SpawnError> {
        let limit = soft_limit();
        let mut lowered = Vec::new();
        let mut moves = BTreeMap::new();
        for (target, source) in &self.entries {
            check_target(*target, limit)?;
            let number = source_number(*target, source.descriptor(), limit, &mut lowered)?;
            if moves.insert(*target, number).is_some() {
                return Err(refused(text!(
                    "descriptor {target} of the child is given twice",
                    target = *target
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

fn refused(sentence: Text) -> SpawnError {
    SpawnError::refused(Step::DescriptorMap, sentence)
}

/// One more than the highest descriptor number that the app's, and so the child's, soft limit
/// permits.
pub(super) fn soft_limit() -> RawFd {
    getrlimit(Resource::Nofile)
        .current
        .map_or(RawFd::MAX, |limit| limit.try_into().unwrap_or(RawFd::MAX))
}

fn check_target(target: RawFd, limit: RawFd) -> Result<(), SpawnError> {
    Err(refused(if target < 0 {
        text!(
            "descriptor {target} of the child is negative",
            target = target
        )
    } else if target > MAX_TARGET {
        text!(
            "descriptor {target} of the child is above {highest}, the highest that is supported",
            target = target,
            highest = MAX_TARGET
        )
    } else if target >= limit {
        text!(
            "descriptor {target} of the child is not below {limit}, the soft limit of open files \
             (RLIMIT_NOFILE)",
            target = target,
            limit = limit
        )
    } else {
        return Ok(());
    }))
}

/// The number to duplicate from. By its type a source is open, unless other code closes what it
/// does not own.
fn source_number(
    target: RawFd,
    source: BorrowedFd<'_>,
    limit: RawFd,
    lowered: &mut Vec<OwnedFd>,
) -> Result<RawFd, SpawnError> {
    let number = source.as_raw_fd();
    let failed = |errno: Errno, sentence| {
        SpawnError::failed(Step::DescriptorMap, errno.raw_os_error(), sentence)
    };
    fcntl_getfd(source).map_err(|errno| {
        let sentence = text!(
            "descriptor {target} of the child is to be the app's {number}, which is not open",
            target = target,
            number = number
        );
        failed(errno, sentence)
    })?;
    if number < limit {
        return Ok(number);
    }
    // The limit was lowered below a descriptor that is open; the C library refuses such a number.
    let low = fcntl_dupfd_cloexec(source, 0).map_err(|errno| {
        let sentence = text!(
            "descriptor {target} of the child is to be the app's {number}, which is above the \
             soft limit of open files, and no lower number is free",
            target = target,
            number = number
        );
        failed(errno, sentence)
    })?;
    lowered.push(low);
    Ok(lowered[lowered.len() - 1].as_raw_fd())
}

/// All actions for a map from target to source number.
fn arrange(moves: &BTreeMap<RawFd, RawFd>, limit: RawFd) -> Result<Vec<Action>, SpawnError> {
    let mut actions = order_duplications(moves, limit)?;
    let last = moves
        .last_key_value()
        .map_or(2, |(&target, _)| target.max(2));
    close_above(last, moves, limit, &mut actions)?;
    actions.extend(
        (3..last)
            .filter(|number| !moves.contains_key(number))
            .map(Action::Close),
    );
    // Last, as `close_above` may have used one of these numbers. It is enough to open /dev/null
    // once.
    let mut missing = (0..=2).filter(|number| !moves.contains_key(number));
    if let Some(from) = missing.next() {
        actions.push(Action::OpenNull(from));
        actions.extend(missing.map(|to| Action::Duplicate { from, to }));
    }
    Ok(actions)
}

/// Orders the duplications so that no source is overwritten before its last use.
///
/// A target that no pending duplication reads can be written at once, and then its own source has
/// one reader less. When no such target is left, only cycles remain; moving one member to a spare
/// number breaks one.
fn order_duplications(
    moves: &BTreeMap<RawFd, RawFd>,
    limit: RawFd,
) -> Result<Vec<Action>, SpawnError> {
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
            refused(text!(
                "the descriptor map swaps all numbers below the soft limit of open files \
                 ({limit}); one of them must be free for that",
                limit = limit
            ))
        })
}

/// Closes everything above the last target.
///
/// The C library takes no number at or above the limit, yet descriptors can be open there from
/// before it was lowered. If the last target is the last permitted number, it is moved while
/// closing begins at that number.
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
    let free = (0..last)
        .find(|number| !moves.contains_key(number))
        .ok_or_else(|| {
            refused(text!(
                "the descriptor map uses all numbers below the soft limit of open files \
                 ({limit}); one of them must be free to close the descriptors above",
                limit = limit
            ))
        })?;
    actions.extend([
        Action::Duplicate {
            from: last,
            to: free,
        },
        Action::CloseFrom(last),
        Action::Duplicate {
            from: free,
            to: last,
        },
    ]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEV_NULL: u32 = u32::MAX;

    /// A child's table after the actions, if each of the app's first numbers is open, as a file
    /// that is known by its number. Fails where glibc would.
    fn apply(actions: &[Action], open: u32, limit: RawFd) -> BTreeMap<RawFd, u32> {
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
    fn every_map_of_five_numbers_to_five_is_right_or_refused_without_a_spare_one() {
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
                        let table = apply(&actions, 12, limit);
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
    fn a_map_costs_one_duplication_each_and_one_more_for_each_cycle() {
        let moves = BTreeMap::from([(3, 4), (4, 3), (5, 5), (6, 7), (7, 8), (8, 6), (9, 6)]);
        assert_eq!(order_duplications(&moves, 64).unwrap().len(), 7 + 2);
    }
}
