//! A worker's start as somebody would write it by hand who needs only this one: what the kernel costs for a child that
//! can be talked to, listened to, cancelled and waited for, without a library.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, send, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::native::{Child, Program};
use crate::Result;

/// The app's epoll descriptor, created once.
pub(crate) struct ByHand {
    epoll: OwnedFd,
    program: Program,
}

/// A child, and what the app holds for it.
pub(crate) struct Held {
    pub(crate) child: Child,
    _descriptors: [OwnedFd; 3],
}

impl ByHand {
    pub(crate) fn new(program: Program) -> Result<Self> {
        Ok(ByHand {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            program,
        })
    }

    /// A control socket with a message in it, a pipe for the output, the start with both of them mapped, a pidfd, and
    /// the three descriptors in the epoll descriptor.
    pub(crate) fn spawn(&self) -> Result<Held> {
        let (control, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let (prints, printing) = pipe_with(PipeFlags::CLOEXEC)?;
        send(&control, &[1; 64], SendFlags::NOSIGNAL)?;
        let child = self.program.spawn_worker(&printing, &theirs)?;
        let pid = i32::try_from(child.pid()).ok().and_then(Pid::from_raw);
        let pidfd = pidfd_open(pid.ok_or("no such number")?, PidfdFlags::empty())?;
        for (number, end) in [control.as_fd(), prints.as_fd(), pidfd.as_fd()]
            .into_iter()
            .enumerate()
        {
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&self.epoll, end, data, epoll::EventFlags::IN)?;
        }
        Ok(Held {
            child,
            _descriptors: [control, prints, pidfd],
        })
    }
}
