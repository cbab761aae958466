//! Whether a descriptor of another process is ready. Nothing is read from it.
//!
//! A duplicate is polled without waiting and closed again; poll(2) and `FIONREAD` consume nothing. If duplicating is
//! denied, fdinfo has the counters, and the kernel's lists have how much can be read from sockets.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;

use crate::descriptor::DescriptorInfo;
use crate::duplicate::duplicate;
use crate::fdinfo::FdInfo;
use crate::kind::Kind;
use crate::network::Network;
use crate::object::Object;

/// The result of polling a descriptor once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Readiness {
    /// Whether reading would not block: there is data, or end-of-file.
    pub readable: bool,
    /// Whether the other end is closed.
    pub hung_up: bool,
    /// How much can be read: bytes, or the count of an eventfd.
    pub waiting: Option<u64>,
}

impl Readiness {
    /// Returns whether a main loop that waits for it is woken.
    pub fn wakes(self) -> bool {
        self.readable || self.hung_up
    }
}

/// Polls a descriptor of a process.
///
/// Returns `None` for kinds that no main loop waits for, such as files, which are always ready. Also if the process or
/// the descriptor is gone, or if this process may not know.
pub fn readiness(pid: u32, info: &DescriptorInfo) -> Option<Readiness> {
    let is_waited_for = match info.kind {
        Kind::Eventfd
        | Kind::Pidfd
        | Kind::Epoll
        | Kind::Inotify
        | Kind::Timerfd
        | Kind::Terminal
        | Kind::UnixSocket
        | Kind::TcpSocket
        | Kind::UdpSocket
        | Kind::Socket => true,
        Kind::Pipe => info.readable,
        _ => false,
    };
    if !is_waited_for {
        return None;
    }
    by_poll(pid, info).or_else(|| by_lists(pid, info))
}

fn by_poll(pid: u32, info: &DescriptorInfo) -> Option<Readiness> {
    let descriptor = duplicate(pid, info.number)?;
    let mut polled = [PollFd::new(&descriptor, PollFlags::IN)];
    poll(&mut polled, Some(&Timespec::default())).ok()?;
    let found = polled[0].revents();
    let waiting = match info.kind {
        Kind::Eventfd => FdInfo::read(pid, info.number).and_then(|details| details.eventfd_count()),
        // In a listening socket, this would be the number of connections.
        _ if info.listening => None,
        Kind::Epoll | Kind::Pidfd | Kind::Timerfd => None,
        _ => ioctl_fionread(&descriptor).ok(),
    };
    Some(Readiness {
        readable: found.contains(PollFlags::IN),
        hung_up: found.intersects(PollFlags::HUP | PollFlags::ERR),
        waiting,
    })
}

fn by_lists(pid: u32, info: &DescriptorInfo) -> Option<Readiness> {
    let details = FdInfo::read(pid, info.number)?;
    let waiting = match (info.kind, info.object) {
        (Kind::Eventfd, _) => details.eventfd_count()?,
        (Kind::Timerfd, _) => details.timer_ticks()?,
        (Kind::UnixSocket, Some(Object::Socket(inode))) => {
            Network::of(pid).unix().get(inode)?.waiting?
        }
        (_, Some(Object::Socket(inode))) => Network::of(pid).internet().get(inode)?.waiting?,
        _ => return None,
    };
    Some(Readiness {
        readable: waiting > 0,
        hung_up: false,
        waiting: Some(waiting),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    use rustix::event::{EventfdFlags, eventfd};

    use super::*;

    fn own(descriptor: impl AsFd) -> DescriptorInfo {
        let number = descriptor.as_fd().as_raw_fd();
        let all = crate::list(std::process::id()).unwrap();
        all.into_iter().find(|info| info.number == number).unwrap()
    }

    /// Until a poll finds what is expected, which for TCP takes its time, the lists may say either.
    #[track_caller]
    fn both_ways(descriptor: impl AsFd, wakes: bool, waiting: u64) {
        let (here, info) = (std::process::id(), own(descriptor));
        let start = Instant::now();
        while by_poll(here, &info).unwrap().wakes() != wakes {
            assert!(start.elapsed() < Duration::from_secs(60));
        }
        for way in [by_poll, by_lists] {
            let found = way(here, &info).unwrap();
            assert_eq!((found.wakes(), found.waiting), (wakes, Some(waiting)));
        }
    }

    #[test]
    fn without_the_rights_of_a_debugger_the_lists_tell_the_same() {
        let wakeup = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        both_ways(&wakeup, false, 0);
        rustix::io::write(&wakeup, &17_u64.to_ne_bytes()).unwrap();
        both_ways(&wakeup, true, 17);

        let (unix, mut to_unix) = UnixStream::pair().unwrap();
        both_ways(&unix, false, 0);
        to_unix.write_all(b"four").unwrap();
        both_ways(&unix, true, 4);

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut to_tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let tcp = listener.accept().unwrap().0;
        both_ways(&tcp, false, 0);
        to_tcp.write_all(b"fours").unwrap();
        both_ways(&tcp, true, 5);
    }
}
