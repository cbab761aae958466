//! A socket or a pipe between two processes, used by hand.

use std::fs::File;
use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use glib::{ControlFlow, IOCondition, MainContext, MainLoop, Priority};
use glib_unix::fd_source_new;
use legwork_benches::data::{Call, Note};
use legwork_benches::mapped::Mapped;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::pipe::{PipeFlags, pipe_with};

use super::native::{Child, Program};
use crate::Result;
use crate::machine::sibling;

/// A child that waits until this end of its socket is closed.
pub(crate) struct Waiting {
    _end: File,
    child: Child,
}

impl Waiting {
    pub(crate) fn start() -> Result<Self> {
        let (end, child) = start(&["wait"])?;
        Ok(Waiting { _end: end, child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }
}

/// A child that echoes with blocking calls, and this end of its socket.
pub(crate) struct Echo {
    end: File,
    child: Child,
}

impl Echo {
    pub(crate) fn start() -> Result<Self> {
        let (end, child) = start(&["echo"])?;
        Ok(Echo { end, child })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Makes `calls` round trips by blocking reads and writes: the lowest cost possible.
    pub(crate) fn call_blocking(&self, calls: usize) -> Result<()> {
        let mut bytes = [1; size_of::<Call>()];
        for _ in 0..calls {
            (&self.end).write_all(&bytes)?;
            (&self.end).read_exact(&mut bytes)?;
        }
        Ok(())
    }

    /// Makes `calls` round trips through one source on `context`: each answer that arrives sends the next call.
    pub(crate) fn call_from(&self, context: &MainContext, calls: usize) -> Result<()> {
        let end = self.end.try_clone()?;
        let main_loop = MainLoop::new(Some(context), false);
        let left = Arc::new(AtomicUsize::new(calls));
        let source = fd_source_new(
            self.end.as_raw_fd(),
            IOCondition::IN | IOCondition::HUP,
            None,
            Priority::DEFAULT,
            {
                let (main_loop, left) = (main_loop.clone(), left.clone());
                move |_, _| {
                    let mut bytes = [0; size_of::<Call>()];
                    let read = (&end).read_exact(&mut bytes);
                    let last = left.fetch_sub(1, Relaxed) == 1;
                    if read.is_err() || last || (&end).write_all(&bytes).is_err() {
                        main_loop.quit();
                        return ControlFlow::Break;
                    }
                    ControlFlow::Continue
                }
            },
        );
        source.attach(Some(context));
        (&self.end).write_all(&[1; size_of::<Call>()])?;
        main_loop.run();
        match left.load(Relaxed) {
            0 => Ok(()),
            left => Err(format!("the echo ended with {left} calls to go").into()),
        }
    }
}

/// A child that writes messages when told to.
pub(crate) struct Notes {
    end: File,
    _child: Child,
    count: usize,
}

impl Notes {
    pub(crate) fn start(count: usize) -> Result<Self> {
        let (end, child) = start(&["notes", &count.to_string()])?;
        Ok(Notes {
            end,
            _child: child,
            count,
        })
    }

    /// Makes the child write its messages, and reads them one by one.
    pub(crate) fn receive(&self) -> Result<()> {
        (&self.end).write_all(&[1])?;
        let mut note = [0; size_of::<Note>()];
        for _ in 0..self.count {
            (&self.end).read_exact(&mut note)?;
        }
        Ok(())
    }
}

fn start(words: &[&str]) -> Result<(File, Child)> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let child = Program::new(&sibling("bench-peer")?, words)?.spawn_with_end(&theirs)?;
    Ok((File::from(ours), child))
}

/// A child that fills memory and writes it to a pipe, and the memory that keeps what arrives.
pub(crate) struct Pipe {
    end: File,
    orders: File,
    _child: Child,
    kept: Vec<u8>,
}

impl Pipe {
    /// A pipe of the default size, and a child that fills new memory for each transfer, like a job that creates its
    /// result.
    pub(crate) fn fresh(len: usize) -> Result<Self> {
        Self::start("fresh", len, false)
    }

    /// The largest pipe that an ordinary user gets, and a child that fills the same memory again and again.
    pub(crate) fn whole(len: usize) -> Result<Self> {
        Self::start("whole", len, true)
    }

    /// The same pipe, and a child that never has all bytes at once.
    pub(crate) fn pieces(len: usize) -> Result<Self> {
        Self::start("pieces", len, true)
    }

    fn start(how: &str, len: usize, large: bool) -> Result<Self> {
        let (end, theirs) = pipe_with(PipeFlags::CLOEXEC)?;
        let (their_orders, orders) = pipe_with(PipeFlags::CLOEXEC)?;
        if large {
            rustix::pipe::fcntl_setpipe_size(&end, 1 << 20)?;
        }
        let child = Program::new(&sibling("bench-peer")?, &[how, &len.to_string()])?
            .spawn_with_orders(&theirs, &their_orders)?;
        // Touched, so that the memory that is kept has its pages.
        Ok(Pipe {
            end: File::from(end),
            orders: File::from(orders),
            _child: child,
            kept: vec![1; len],
        })
    }

    /// Makes one transfer. Returns when filling started, by the child's clock, and the bytes that arrived.
    pub(crate) fn receive(&mut self) -> Result<(u64, &[u8])> {
        self.orders.write_all(&[1])?;
        let mut started = [0; 8];
        self.end.read_exact(&mut started)?;
        self.end.read_exact(&mut self.kept)?;
        Ok((u64::from_ne_bytes(started), &self.kept))
    }
}

/// A child that fills new memory and passes it on, as somebody would write it who needs only that: memfd_create(2),
/// mmap(2), the seals, SCM_RIGHTS.
pub(crate) struct Memfd {
    end: File,
    len: usize,
    _child: Child,
}

impl Memfd {
    pub(crate) fn start(len: usize) -> Result<Self> {
        let (end, child) = start(&["memfd", &len.to_string()])?;
        Ok(Memfd {
            end,
            len,
            _child: child,
        })
    }

    /// Makes one transfer. Returns when filling started, by the child's clock, and the memory that arrived.
    pub(crate) fn receive(&mut self) -> Result<(u64, Mapped)> {
        self.end.write_all(&[1])?;
        let mut started = [0; 8];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut about = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::WAITALL;
        recvmsg(
            &self.end,
            &mut [IoSliceMut::new(&mut started)],
            &mut about,
            flags,
        )?;
        let memory = about.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        let mapped = Mapped::shared(memory.ok_or("no memory arrived")?, self.len, false)?;
        Ok((u64::from_ne_bytes(started), mapped))
    }
}
