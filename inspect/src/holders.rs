//! The processes that hold the same object as a descriptor, or its other end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::RawFd;

use procfs::process::all_processes;

use crate::descriptor::DescriptorInfo;
use crate::fdinfo::FdInfo;
use crate::link::{self, Link};
use crate::object::Object;

/// A process that holds the same open file, or its other end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// Its name, as in `/proc/PID/comm`.
    pub name: String,
    /// The descriptor's number there.
    pub number: RawFd,
    /// Which end it is.
    pub end: End,
}

/// Which end of something another process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The same end: the process has inherited it, or it was passed to it.
    Same,
    /// The end that it is connected to.
    Other,
}

/// Finds who else holds the descriptors of a process, by their numbers in that process. The process itself is included
/// if it holds an object more than once, or both of its ends.
///
/// Only processes that this one may inspect are searched. Eventfds, pipes, sockets, memory and logind's inhibitors are
/// recognized; files are not.
pub fn holders(pid: u32, open: &[DescriptorInfo]) -> BTreeMap<RawFd, Vec<Holder>> {
    let wanted = open
        .iter()
        .flat_map(|info| [info.object, info.other_end])
        .flatten()
        .collect::<BTreeSet<_>>();
    let found = if wanted.is_empty() {
        HashMap::new()
    } else {
        find(&wanted)
    };
    open.iter()
        .map(|info| (info.number, holders_of(pid, info, &found)))
        .filter(|(_, holders)| !holders.is_empty())
        .collect()
}

/// A holder, and whether it can read and write.
struct Found {
    holder: Holder,
    access: (bool, bool),
}

fn find(wanted: &BTreeSet<Object>) -> HashMap<Object, Vec<Found>> {
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for process in all_processes().into_iter().flatten().flatten() {
        let pid = process.pid.cast_unsigned();
        let mut name = None;
        for number in link::numbers(pid).unwrap_or_default() {
            let details = || FdInfo::read(pid, number);
            let object = Link::read(pid, number).and_then(|link| Object::of(&link, details));
            let Some(object) = object.filter(|object| wanted.contains(object)) else {
                continue;
            };
            let name = name.get_or_insert_with(|| {
                let stat = process.stat();
                stat.map(|stat| stat.comm).unwrap_or_default()
            });
            let holder = Holder {
                pid,
                name: name.clone(),
                number,
                end: End::Same,
            };
            let access = details().map_or((true, true), |details| details.access());
            found
                .entry(object)
                .or_default()
                .push(Found { holder, access });
        }
    }
    found
}

fn holders_of(pid: u32, info: &DescriptorInfo, found: &HashMap<Object, Vec<Found>>) -> Vec<Holder> {
    let of = |object: Option<Object>| object.and_then(|object| found.get(&object));
    let is_pipe = matches!(info.object, Some(Object::Pipe(_)));
    let with = |found: &Found, end| Holder {
        end,
        ..found.holder.clone()
    };
    let same = of(info.object).into_iter().flatten();
    let same = same.filter(|found| (found.holder.pid, found.holder.number) != (pid, info.number));
    let same = same.map(|found| {
        // Both ends of a pipe are one object.
        let is_other = is_pipe && found.access != (info.readable, info.writable);
        with(found, if is_other { End::Other } else { End::Same })
    });
    let other = of(info.other_end).into_iter().flatten();
    same.chain(other.map(|found| with(found, End::Other)))
        .collect()
}
