//! The guardian's own end: what it does, as a process.
//!
//! The app may die before this code runs for the first time. Nothing is lost by that: the app's
//! pidfd came with its hello, and whom to watch over waits in the socket, whoever else holds the
//! app's end of it.
//!
//! It sleeps in one `epoll_wait`, and a new child does not wake it: what the app hands over waits in
//! the socket until a bell rings, a child ends, or the app is gone. For that a group must be killed by
//! its leader's pidfd, whose number may be another's by then. Before Linux 6.9 it cannot be, and each
//! child is taken in at once.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, kill_process_group, setrlimit};

use crate::process::pidfd::{To, can_signal_groups, has_ended, send};
use crate::process::{Signal, block_every_signal, leave};
use crate::wire::control::{Control, DESCRIPTORS_MAX, Received, Scratch, Wait};
use crate::wire::frame::Kind;

const SOCKET: u64 = u64::MAX;
const APP: u64 = u64::MAX - 1;
const BELL: u64 = u64::MAX - 2;

/// How long the group of a child that has ended is remembered. A child may die *of* the app's
/// death, by a pipe that nobody reads any more: the app's descriptors are closed before it is
/// gone, and that may take a while.
const AFTERMATH: Duration = Duration::from_millis(500);

/// How many descriptors are left free: for what is open beside the children's, and for those of a frame.
const FREE: usize = DESCRIPTORS_MAX + 16;

/// Whoever is watched over.
struct Ward {
    pidfd: OwnedFd,
    /// The group that it leads.
    group: Option<Pid>,
    /// The `cgroup.kill` of the cgroup that it has for itself. It comes with a pidfd of its own.
    tree: Option<OwnedFd>,
    /// Its end is seen when it comes.
    watched: bool,
}

impl Ward {
    /// How many are open for it.
    fn descriptors(&self) -> usize {
        1 + usize::from(self.tree.is_some())
    }
}

/// Watches until the app is gone or has no use for it any more. What its hello brought is a pidfd
/// of the app and a bell.
pub(crate) fn run(control: Control, mut scratch: Scratch, brought: Vec<OwnedFd>) -> ! {
    // It was born so, but for two.
    block_every_signal();
    // One descriptor per child of the app: as many as the system lets us have.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    let Ok([app, bell]) = <[OwnedFd; 2]>::try_from(brought) else {
        leave(1)
    };
    let Ok(epoll) = epoll::create(epoll::CreateFlags::CLOEXEC) else {
        leave(1)
    };
    let watch = |fd: BorrowedFd<'_>, key| {
        epoll::add(
            &epoll,
            fd,
            epoll::EventData::new_u64(key),
            epoll::EventFlags::IN,
        )
    };
    let watched = watch(app.as_fd(), APP).and(watch(bell.as_fd(), BELL));
    let watched = match can_signal_groups(app.as_fd()) {
        true => watched,
        false => watched.and(watch(control.as_fd(), SOCKET)),
    };
    if watched.is_err() {
        leave(1);
    }
    // An app that is dead already does not hear it, and its children wait below.
    let _ = control.send(Kind::Ready, &[], &[], Wait::No);
    let most = limit
        .maximum
        .map_or(usize::MAX, |most| (most as usize).saturating_sub(FREE));
    let mut wards: HashMap<u64, Ward> = HashMap::new();
    let mut ended: VecDeque<(Instant, Ward)> = VecDeque::new();
    let mut held = 0;
    let mut events = Vec::with_capacity(64);
    loop {
        // What there are no descriptors for waits in the socket.
        while held < most
            && let Some(more) = receive(&control, &mut scratch)
        {
            for mut ward in more {
                let key = ward.pidfd.as_raw_fd() as u64;
                ward.watched = watch(ward.pidfd.as_fd(), key).is_ok();
                held += ward.descriptors();
                wards.insert(key, ward);
            }
        }
        events.clear();
        let now = Instant::now();
        let forget = ended.front().map(|(at, _)| *at + AFTERMATH);
        let time = forget.map(|at| at.saturating_duration_since(now));
        let time = time.and_then(|time| Timespec::try_from(time).ok());
        let room = rustix::buffer::spare_capacity(&mut events);
        let _ = epoll::wait(&epoll, room, time.as_ref());
        let app_gone = events.iter().any(|event| event.data.u64() == APP);
        for event in &events {
            match event.data.u64() {
                _ if app_gone => (),
                // The app has closed it, and goes on.
                SOCKET if { event.flags }.contains(epoll::EventFlags::HUP) => {
                    let _ = epoll::delete(&epoll, &control);
                }
                SOCKET => (),
                BELL => {
                    let _ = rustix::io::read(&bell, &mut [0; 8]);
                }
                // A child has ended, and may have left its group behind.
                key => {
                    if let Some(ward) = wards.remove(&key) {
                        let _ = epoll::delete(&epoll, &ward.pidfd);
                        ended.push_back((Instant::now(), ward));
                    }
                }
            }
        }
        if app_gone {
            wards.into_values().for_each(kill);
            ended.into_iter().for_each(|(_, ward)| kill(ward));
            // What it had sent before it died is still in the socket.
            while let Some(more) = receive(&control, &mut scratch) {
                more.into_iter().for_each(kill);
            }
            leave(0);
        }
        // The app has been seen alive since: what this process did not get round to meanwhile does not count.
        while ended.front().is_some_and(|(at, _)| *at + AFTERMATH <= now) {
            let forgotten = ended.pop_front();
            held -= forgotten.map_or(0, |(_, ward)| ward.descriptors());
        }
    }
}

/// Takes children over, those of one frame; `None` when the app has sent no more.
fn receive(control: &Control, scratch: &mut Scratch) -> Option<Vec<Ward>> {
    let Ok(Received::Packet(packet)) = control.recv(scratch, Wait::No) else {
        return None;
    };
    let mut groups = packet.payload.as_chunks::<4>().0.iter();
    let mut ward = |pidfd, tree| Ward {
        pidfd,
        group: (groups.next()).and_then(|bytes| Pid::from_raw(i32::from_le_bytes(*bytes))),
        tree,
        watched: true,
    };
    let (is_guard, is_tree) = (
        packet.kind == Kind::Guard as u8,
        packet.kind == Kind::GuardTree as u8,
    );
    let descriptors = match is_guard || is_tree {
        true => packet.descriptors.claim(),
        false => Vec::new(),
    };
    if is_tree {
        let pair = <[OwnedFd; 2]>::try_from(descriptors).ok();
        return Some(
            (pair
                .into_iter()
                .map(|[pidfd, tree]| ward(pidfd, Some(tree))))
            .collect(),
        );
    }
    Some((descriptors.into_iter().map(|pidfd| ward(pidfd, None))).collect())
}

fn kill(ward: Ward) {
    let pidfd = ward.pidfd.as_fd();
    // It may have ended long ago: what it left behind is not the app's.
    if !ward.watched && has_ended(pidfd) {
        return;
    }
    if let Some(tree) = &ward.tree {
        let _ = rustix::io::write(tree, b"1");
    }
    // The group first. Where the kernel cannot do it by pidfd, by its number: as long as somebody
    // is in it, the number is its own.
    if let Some(group) = ward.group
        && send(pidfd, Signal::KILL, To::Group) == Err(Errno::INVAL)
    {
        let _ = kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = send(pidfd, Signal::KILL, To::Process);
}
