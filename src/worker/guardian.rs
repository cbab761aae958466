//! The guardian: one small process per app that outlives it by a moment.
//!
//! A worker notices the death of its app by itself, unless it has been stopped (SIGSTOP, a
//! debugger, a frozen cgroup); an external program notices nothing. The guardian holds a pidfd of
//! every child and one of the app. When the app is gone it sends SIGKILL to every child's group,
//! and ends. A pidfd needs no care for reused numbers: it means the same process for ever.
//!
//! It is the worker program in another role, in a session of its own, so that Ctrl+C in the app's
//! terminal does not reach it. It sleeps in one `epoll_wait`.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::event::epoll;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process_group, setrlimit};

use super::boot::leave;
use super::watch::app_pidfd;
use crate::wire::control::{Control, Received, Scratch, Wait};
use crate::wire::frame::Kind;

const SOCKET: u64 = u64::MAX;
const APP: u64 = u64::MAX - 1;

/// Whoever is watched over.
struct Ward {
    pidfd: OwnedFd,
    /// The group that it leads.
    group: Option<Pid>,
}

/// Watches until the app is gone or has no use for it any more.
pub(super) fn run(control: Control, mut scratch: Scratch) -> ! {
    // One descriptor per child of the app: as many as the system lets us have.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
    let Ok(Some(app)) = app_pidfd(&control) else {
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
    if watch(app.as_fd(), APP)
        .and(watch(control.as_fd(), SOCKET))
        .is_err()
    {
        leave(1);
    }
    let mut wards: HashMap<u64, Ward> = HashMap::new();
    let mut events = Vec::with_capacity(64);
    let mut connected = true;
    loop {
        events.clear();
        let _ = epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None);
        // A child that ended together with the app may have left its group behind.
        let app_gone = events.iter().any(|event| event.data.u64() == APP);
        for event in &events {
            match event.data.u64() {
                _ if app_gone => (),
                SOCKET => {
                    connected &= take_wards(&control, &mut scratch, |pidfd, group| {
                        let key = pidfd.as_raw_fd() as u64;
                        if watch(pidfd.as_fd(), key).is_ok() {
                            wards.insert(key, Ward { pidfd, group });
                        }
                    });
                    if !connected {
                        let _ = epoll::delete(&epoll, &control);
                    }
                }
                // A child has ended: nothing to guard.
                key => drop(wards.remove(&key)),
            }
        }
        if app_gone {
            // What it had sent before it died is still in the socket.
            take_wards(&control, &mut scratch, |pidfd, group| {
                wards.insert(pidfd.as_raw_fd() as u64, Ward { pidfd, group });
            });
            wards.values().for_each(kill);
            leave(0);
        }
    }
}

/// Reads all that the app has sent; false at its end.
fn take_wards(
    control: &Control,
    scratch: &mut Scratch,
    mut take: impl FnMut(OwnedFd, Option<Pid>),
) -> bool {
    loop {
        match control.recv(scratch, Wait::No) {
            Ok(Received::Packet(packet)) if packet.kind == Kind::Guard as u8 => {
                let group = <[u8; 4]>::try_from(&packet.payload[..])
                    .ok()
                    .and_then(|bytes| Pid::from_raw(i32::from_le_bytes(bytes)));
                for pidfd in packet.descriptors.claim() {
                    take(pidfd, group);
                }
            }
            Ok(Received::Packet(_)) => (),
            Ok(Received::Empty) => return true,
            Ok(Received::Closed) | Err(_) => return false,
        }
    }
}

fn kill(ward: &Ward) {
    // The group first, by its number: as long as somebody is in it, the number is its own.
    if let Some(group) = ward.group {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = rustix::process::pidfd_send_signal(&ward.pidfd, Signal::KILL);
}
