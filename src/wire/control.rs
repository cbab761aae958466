//! The control socket: whole frames over a `SOCK_SEQPACKET` pair.
//!
//! A packet consists of two bytes of header (kind, flags), the number of the job that it is about, if it is about one,
//! and a payload of at most [`INLINE_MAX`] bytes. A longer payload is written into a sealed memfd, and the packet carries
//! its length and the descriptor instead. No packet is ever sent in part: a sender that dies leaves no incomplete frame,
//! and the threads that send need no lock.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create};
use rustix::io::{Errno, ioctl_fionread, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType,
    recvmsg, sendmsg, shutdown, socketpair,
};

use super::file_size;
use super::frame::{JobNumber, Kind, NO_JOB};
use crate::process::{background, own};

/// The longest payload that travels in the packet itself, in bytes.
pub(crate) const INLINE_MAX: usize = 64 * 1024;

/// The longest payload of one frame, in bytes (64 MiB). Larger data belongs in a [`Buffer`](crate::Buffer), which is
/// mapped and not copied.
pub(crate) const FRAME_MAX: usize = 64 * 1024 * 1024;

/// The most descriptors that travel with one frame. The kernel's own limit is 253 (`SCM_MAX_FD`,
/// unix(7)); one is reserved for the memory of a long payload.
pub(crate) const DESCRIPTORS_MAX: usize = 252;

/// The length of the header: kind and flags. A [`Hello`](super::frame::Hello) has no job's number in any version, so that
/// every worker can decode it.
pub(crate) const HEADER: usize = 2;
/// The length of a job's number, which may follow the header.
const NUMBER: usize = 4;
const FLAG_SPILLED: u8 = 1;
const FLAG_NUMBERED: u8 = 2;

/// A buffer for a packet of any length, to be used again.
pub(crate) struct Scratch(Box<[u8]>);

impl Scratch {
    pub(crate) fn new() -> Self {
        // One byte more than the longest packet, so that a longer one is recognized and not cut silently.
        Scratch(vec![0; HEADER + NUMBER + INLINE_MAX + 1].into_boxed_slice())
    }
}

/// One end of a control socket.
#[derive(Debug)]
pub(crate) struct Control {
    /// `None` once it is being dropped.
    socket: Option<OwnedFd>,
    /// The process that owns it. A process that is forked from that one has a copy, which it must not use.
    process: u32,
}

/// A frame that arrived.
#[derive(Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) kind: u8,
    /// The job that it is about, or [`NO_JOB`].
    pub(crate) job: JobNumber,
    /// Its length in the socket, in bytes.
    pub(crate) length: usize,
    pub(crate) payload: Payload<'a>,
    pub(crate) descriptors: Unclaimed,
}

/// Descriptors that arrived with a frame and that no value owns yet. When dropped, they are closed in the
/// [background].
#[derive(Debug, Default)]
pub(crate) struct Unclaimed(Vec<OwnedFd>);

impl Unclaimed {
    pub(crate) fn claim(mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.0)
    }
}

impl std::ops::Deref for Unclaimed {
    type Target = [OwnedFd];
    fn deref(&self) -> &[OwnedFd] {
        &self.0
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        background::close(std::mem::take(&mut self.0));
    }
}

/// The payload of a frame: in the buffer it arrived in, or read from memory that arrived with it.
#[derive(Debug)]
pub(crate) enum Payload<'a> {
    Inline(&'a [u8]),
    Spilled(Vec<u8>),
}

impl Payload<'_> {
    pub(crate) fn into_vec(self) -> Vec<u8> {
        match self {
            Payload::Inline(bytes) => bytes.to_vec(),
            Payload::Spilled(bytes) => bytes,
        }
    }
}

impl std::ops::Deref for Payload<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Payload::Inline(bytes) => bytes,
            Payload::Spilled(bytes) => bytes,
        }
    }
}

/// The result of receiving.
#[derive(Debug)]
pub(crate) enum Received<'a> {
    Packet(Packet<'a>),
    /// Nothing has arrived.
    Empty,
    /// The peer has closed its end, and all that it sent has been received.
    Closed,
}

/// Why a frame is invalid. It ends the job that sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) String);

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

/// Why a frame could not be received.
#[derive(Debug)]
pub(crate) enum RecvError {
    /// The peer broke the protocol.
    Fault(Fault),
    /// The system call failed.
    Io(io::Error),
}

/// Whether a call may block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    Yes,
    No,
}

impl Control {
    /// A connected pair: this process's end, and the child's. Both are created close-on-exec.
    pub(crate) fn pair() -> io::Result<(Control, OwnedFd)> {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        Ok((Control::from_fd(ours), theirs))
    }

    pub(crate) fn from_fd(fd: OwnedFd) -> Self {
        Control {
            socket: Some(fd),
            process: own::id(),
        }
    }

    /// Sends one frame about the process. With [`Wait::No`] and a full socket it sends nothing and fails with
    /// [`io::ErrorKind::WouldBlock`].
    pub(crate) fn send(
        &self,
        kind: Kind,
        payload: &[u8],
        descriptors: &[BorrowedFd<'_>],
        wait: Wait,
    ) -> io::Result<()> {
        self.send_about(NO_JOB, kind, payload, descriptors, wait)
    }

    /// Whether this process owns the socket. A process that was forked from the owner does not: it neither sends nor
    /// receives.
    pub(crate) fn is_own(&self) -> bool {
        self.process == own::id()
    }

    /// Fails in a process that does not own the socket.
    pub(crate) fn check_own(&self) -> io::Result<()> {
        if self.is_own() {
            return Ok(());
        }
        Err(io::Error::new(
            io::ErrorKind::NotConnected,
            "this process was forked from the one that the control socket belongs to",
        ))
    }

    /// Sends one frame about a job, as [`send`](Self::send) does.
    pub(crate) fn send_about(
        &self,
        job: JobNumber,
        kind: Kind,
        payload: &[u8],
        descriptors: &[BorrowedFd<'_>],
        wait: Wait,
    ) -> io::Result<()> {
        self.check_own()?;
        if payload.len() > FRAME_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "its encoded form has {} bytes, and a frame can carry {FRAME_MAX}; send large data \
                     as a Buffer",
                    payload.len()
                ),
            ));
        }
        if descriptors.len() > DESCRIPTORS_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "it has {} descriptors, and a frame can carry {DESCRIPTORS_MAX}",
                    descriptors.len()
                ),
            ));
        }
        if payload.len() <= INLINE_MAX {
            return self.send_packet([kind as u8, 0], job, payload, descriptors, wait);
        }
        let memory = spill(payload)?;
        let mut all = Vec::with_capacity(descriptors.len() + 1);
        all.extend_from_slice(descriptors);
        all.push(memory.as_fd());
        let length = (payload.len() as u64).to_le_bytes();
        self.send_packet([kind as u8, FLAG_SPILLED], job, &length, &all, wait)
    }

    fn send_packet(
        &self,
        [kind, flags]: [u8; HEADER],
        job: JobNumber,
        payload: &[u8],
        descriptors: &[BorrowedFd<'_>],
        wait: Wait,
    ) -> io::Result<()> {
        let [a, b, c, d] = job.to_le_bytes();
        let header = match job {
            NO_JOB => &[kind, flags][..],
            _ => &[kind, flags | FLAG_NUMBERED, a, b, c, d],
        };
        let parts = [IoSlice::new(header), IoSlice::new(payload)];
        let mut flags = SendFlags::NOSIGNAL;
        if wait == Wait::No {
            flags |= SendFlags::DONTWAIT;
        }
        let mut few = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut many;
        let space: &mut [MaybeUninit<u8>] = if descriptors.len() <= 4 {
            &mut few
        } else {
            let size = SendAncillaryMessage::ScmRights(descriptors).size();
            many = vec![MaybeUninit::uninit(); size + 16];
            &mut many
        };
        let mut ancillary = SendAncillaryBuffer::new(space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors))
        {
            return Err(Errno::NOBUFS.into());
        }
        loop {
            match sendmsg(self, &parts, &mut ancillary, flags) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Receives one frame and its descriptors, which are close-on-exec.
    pub(crate) fn recv<'a>(
        &self,
        scratch: &'a mut Scratch,
        wait: Wait,
    ) -> Result<Received<'a>, RecvError> {
        self.check_own().map_err(RecvError::Io)?;
        let mut flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::TRUNC;
        if wait == Wait::No {
            flags |= RecvFlags::DONTWAIT;
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let message = loop {
            let mut parts = [IoSliceMut::new(&mut scratch.0)];
            match recvmsg(self, &mut parts, &mut ancillary, flags) {
                Ok(message) => break message,
                // The peer closed its end before it had received everything. The kernel reports that once, before what
                // the peer has sent, which can still be received.
                Err(Errno::INTR | Errno::CONNRESET) => continue,
                Err(Errno::AGAIN) => return Ok(Received::Empty),
                Err(errno) => return Err(RecvError::Io(errno.into())),
            }
        };
        let mut descriptors = Unclaimed::default();
        for part in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = part {
                descriptors.0.extend(received);
            }
        }
        if message.flags.contains(ReturnFlags::CTRUNC) {
            return Err(RecvError::Io(io::Error::other(
                "a descriptor was sent, but this process has reached its limit of open files",
            )));
        }
        if message.bytes == 0 && descriptors.is_empty() {
            // Only this tells an empty packet from the end.
            return if self.has_hung_up() {
                Ok(Received::Closed)
            } else {
                Err(fault("a packet is empty".to_owned()))
            };
        }
        let too_long = || fault(format!("a packet of {} bytes is too long", message.bytes));
        let too_short = || fault("a packet is shorter than its header".to_owned());
        let bytes = scratch.0.get(..message.bytes).ok_or_else(too_long)?;
        let (&[kind, flags], rest) = bytes.split_first_chunk::<HEADER>().ok_or_else(too_short)?;
        let (job, rest) = match flags & FLAG_NUMBERED {
            0 => (NO_JOB, rest),
            _ => {
                let (number, rest) = rest.split_first_chunk::<NUMBER>().ok_or_else(too_short)?;
                (JobNumber::from_le_bytes(*number), rest)
            }
        };
        if rest.len() > INLINE_MAX {
            return Err(too_long());
        }
        let payload = match flags & !FLAG_NUMBERED {
            0 => Payload::Inline(rest),
            FLAG_SPILLED if !Kind::may_be_long(kind) => {
                return Err(fault(format!("a frame of kind {kind} is too long")));
            }
            FLAG_SPILLED => {
                let payload = Payload::Spilled(unspill(rest, descriptors.last())?);
                drop(descriptors.0.pop());
                payload
            }
            _ => return Err(fault(format!("a packet has unknown flags {flags:#x}"))),
        };
        Ok(Received::Packet(Packet {
            kind,
            job,
            length: message.bytes,
            payload,
            descriptors,
        }))
    }
}

impl Control {
    /// Closes this side's direction. The peer notices at once, also while frames wait in the socket, and what it sends is
    /// still received. It asks a worker to end.
    pub(crate) fn half_close(&self) {
        // Fails only when the peer is gone.
        let _ = shutdown(self, Shutdown::Write);
    }

    /// Whether something can be received.
    pub(crate) fn has_news(&self) -> bool {
        self.looks_for(PollFlags::IN) == Ok(1)
    }

    /// Whether the peer has closed its end, or [its direction](Self::half_close).
    pub(crate) fn has_hung_up(&self) -> bool {
        self.looks_for(PollFlags::RDHUP) != Ok(0)
    }

    fn looks_for(&self, what: PollFlags) -> Result<usize, Errno> {
        let mut fds = [PollFd::new(self, what)];
        // poll(2) may be interrupted even if it does not wait.
        retry_on_intr(|| poll(&mut fds, Some(&Timespec::default())))
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket
            .as_ref()
            .expect("present until it is dropped")
            .as_fd()
    }
}

impl Drop for Control {
    /// Frames that were not received may carry the last descriptor of a large buffer, whose memory is freed when the
    /// socket is closed (120 ms for a GiB), or a socket that lingers. Such frames are closed in the [background].
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take()
            && self.is_own()
            && ioctl_fionread(&socket).is_ok_and(|unread| unread > 0)
        {
            // The peer is to notice now.
            let _ = shutdown(&socket, Shutdown::Both);
            background::close(vec![socket]);
        }
    }
}

/// Whether sending has failed because the peer has closed its end: also with something in it that it had not read.
pub(crate) fn is_peer_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset)
}

fn fault(what: String) -> RecvError {
    RecvError::Fault(Fault(what))
}

fn spill(payload: &[u8]) -> io::Result<OwnedFd> {
    file_size::check(payload.len() as u64)?;
    let memory = memfd_create(
        "legwork-frame",
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )?;
    let mut rest = payload;
    while !rest.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&memory, rest))?;
        rest = &rest[written..];
    }
    fcntl_add_seals(
        &memory,
        SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL,
    )?;
    Ok(memory)
}

/// Copies a long payload out of the memory that arrived with it. The memory is read, not mapped; it must be sealed only
/// so that it does not change after the checks.
fn unspill(length: &[u8], memory: Option<&OwnedFd>) -> Result<Vec<u8>, RecvError> {
    let length = <[u8; 8]>::try_from(length)
        .map(u64::from_le_bytes)
        .map_err(|_| fault("a long frame does not say its length".to_owned()))?;
    let Some(memory) = memory else {
        return Err(fault("a long frame came without its memory".to_owned()));
    };
    let length = usize::try_from(length)
        .ok()
        .filter(|&length| length <= FRAME_MAX)
        .ok_or_else(|| {
            fault(format!(
                "a frame claims {length} bytes, and at most {FRAME_MAX} are allowed"
            ))
        })?;
    let seals = fcntl_get_seals(memory)
        .map_err(|_| fault("the memory of a long frame cannot be sealed".to_owned()))?;
    if !seals.contains(SealFlags::SHRINK | SealFlags::WRITE) {
        return Err(fault("the memory of a long frame is not sealed".to_owned()));
    }
    let stat = fstat(memory).map_err(|e| RecvError::Io(e.into()))?;
    if usize::try_from(stat.st_size).ok() != Some(length) {
        return Err(fault(format!(
            "a frame claims {length} bytes, and its memory has {}",
            stat.st_size
        )));
    }
    // st_blocks counts 512 bytes, inode(7). Holes cost the sender nothing, and would cost this process all of it.
    if (stat.st_blocks.unsigned_abs() as usize).saturating_mul(512) < length {
        return Err(fault("the memory of a long frame has holes".to_owned()));
    }
    let mut bytes = vec![0; length];
    let mut done = 0;
    while done < length {
        let read = rustix::io::retry_on_intr(|| {
            rustix::io::pread(memory, &mut bytes[done..], done as u64)
        })
        .map_err(|e| RecvError::Io(e.into()))?;
        if read == 0 {
            return Err(fault("the memory of a long frame ended early".to_owned()));
        }
        done += read;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether this process has a thread of this name.
    fn has_thread(name: &str) -> bool {
        let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = threads.map(|thread| std::fs::read_to_string(thread.path().join("comm")));
        names.flatten().any(|comm| comm.trim_end() == name)
    }

    #[test]
    fn what_was_not_received_is_closed_on_another_thread() {
        use rustix::net::sockopt::set_socket_linger;
        use std::io::{Read, Write};
        use std::net::{TcpListener, TcpStream};
        use std::time::{Duration, Instant};

        // A connection whose closing waits for its reader.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut lingers = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut reader, _) = listener.accept().unwrap();
        set_socket_linger(&lingers, Some(Duration::from_secs(60))).unwrap();
        lingers.set_nonblocking(true).unwrap();
        while lingers.write(&[0; 4096]).is_ok() {}
        lingers.set_nonblocking(false).unwrap();

        let start = Instant::now();
        let (a, b) = ends();
        a.send(Kind::Message, b"unread", &[lingers.as_fd()], Wait::Yes)
            .unwrap();
        drop((a, lingers));
        // Closed here, it would come back in a minute, and to no such thread.
        drop(b);
        while !has_thread("legwork-close") {
            assert!(start.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        }
        reader.read_to_end(&mut Vec::new()).unwrap();
    }

    fn ends() -> (Control, Control) {
        let (ours, theirs) = Control::pair().unwrap();
        (ours, Control::from_fd(theirs))
    }

    fn round(payload: &[u8]) -> Vec<u8> {
        let (a, b) = ends();
        a.send(Kind::Message, payload, &[], Wait::Yes).unwrap();
        let mut scratch = Scratch::new();
        let Received::Packet(packet) = b.recv(&mut scratch, Wait::No).unwrap() else {
            panic!("nothing arrived");
        };
        assert_eq!(packet.kind, Kind::Message as u8);
        assert!(packet.descriptors.is_empty());
        packet.payload.to_vec()
    }

    #[test]
    fn a_payload_arrives_whole_at_every_edge() {
        for length in [0, 1, INLINE_MAX - 1, INLINE_MAX, INLINE_MAX + 1, FRAME_MAX] {
            let payload: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            assert!(round(&payload) == payload, "{length} bytes");
        }
    }

    #[test]
    fn one_byte_over_the_limit_is_refused_by_the_sender() {
        let (a, _b) = ends();
        let error = a
            .send(Kind::Message, &vec![0; FRAME_MAX + 1], &[], Wait::Yes)
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn the_most_descriptors_arrive_and_one_more_is_refused() {
        let (a, b) = ends();
        let file = std::fs::File::open("/dev/null").unwrap();
        let many = vec![file.as_fd(); DESCRIPTORS_MAX];
        a.send(Kind::Message, b"x", &many, Wait::Yes).unwrap();
        let long = vec![7; INLINE_MAX + 1];
        a.send(Kind::Message, &long, &many, Wait::Yes).unwrap();
        let mut scratch = Scratch::new();
        for _ in 0..2 {
            let Received::Packet(packet) = b.recv(&mut scratch, Wait::No).unwrap() else {
                panic!("nothing arrived");
            };
            assert_eq!(packet.descriptors.len(), DESCRIPTORS_MAX);
        }
        let over = vec![file.as_fd(); DESCRIPTORS_MAX + 1];
        assert!(a.send(Kind::Message, b"x", &over, Wait::Yes).is_err());
    }

    #[test]
    fn what_was_sent_is_read_also_from_a_peer_that_left_ours_unread() {
        let (a, b) = ends();
        a.send(Kind::EndOfRequests, &[], &[], Wait::Yes).unwrap();
        b.send(Kind::Done, b"answer", &[], Wait::Yes).unwrap();
        drop(b);
        let mut scratch = Scratch::new();
        let Received::Packet(packet) = a.recv(&mut scratch, Wait::No).unwrap() else {
            panic!("the answer is lost");
        };
        assert_eq!(&*packet.payload, b"answer");
        assert!(matches!(
            a.recv(&mut scratch, Wait::No),
            Ok(Received::Closed)
        ));
    }

    /// A poll that need not wait is interrupted all the same.
    #[test]
    #[allow(unsafe_code)]
    fn a_signal_is_no_hang_up() {
        use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
        use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

        extern "C" fn nothing(_: i32) {}
        let handler = SigHandler::Handler(nothing);
        let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: it does nothing.
        unsafe { sigaction(Signal::SIGUSR2, &action) }.unwrap();
        let (a, b) = ends();
        let done = AtomicBool::new(false);
        // SAFETY: has no precondition.
        let this = unsafe { libc::pthread_self() };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    // SAFETY: that thread waits for this one.
                    unsafe { libc::pthread_kill(this, libc::SIGUSR2) };
                }
            });
            let undisturbed = (0..200_000).all(|_| !a.has_hung_up() && !a.has_news());
            done.store(true, Relaxed);
            assert!(undisturbed);
        });
        drop(b);
        assert!(a.has_hung_up() && a.has_news());
    }

    #[test]
    fn a_full_socket_would_block_and_sends_nothing() {
        let (a, b) = ends();
        let payload = [1; 1000];
        let mut sent = 0;
        loop {
            match a.send(Kind::Log, &payload, &[], Wait::No) {
                Ok(()) => sent += 1,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    break;
                }
            }
        }
        drop(a);
        let mut scratch = Scratch::new();
        for _ in 0..sent {
            assert!(matches!(
                b.recv(&mut scratch, Wait::No),
                Ok(Received::Packet(_))
            ));
        }
        assert!(matches!(
            b.recv(&mut scratch, Wait::No),
            Ok(Received::Closed)
        ));
    }
}
