//! A socket of a peer as zbus reads and writes it, with limits.
//!
//! Every length in a message's header is checked before memory is taken for the message, and the kernel closes descriptors
//! beyond the limit instead of handing them over. A message is read by itself, so that descriptors belong to it that came
//! with its bytes.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv, recvmsg, sendmsg,
};
use zbus::connection::socket::{BoxedSplit, ReadHalf, Split, WriteHalf};
use zbus::export::async_trait::async_trait;
use zbus::runtime::traits::PollIo;
use zbus::runtime::{Interest, IoSource};

use super::executor::Executor;
use super::io::RegisteredIoSource;

/// The part of a header that every message has.
const HEADER: usize = 16;

/// What a message of a peer may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: usize,
    pub(super) descriptors: usize,
}

/// A registered socket.
#[derive(Debug)]
pub(super) struct Socket {
    registered: RegisteredIoSource,
    source: IoSource,
}

impl Socket {
    /// Takes a non-blocking socket.
    pub(super) fn new(executor: &Arc<Executor>, socket: OwnedFd) -> io::Result<Self> {
        let source = IoSource::from(socket);
        Ok(Self {
            registered: RegisteredIoSource::new(executor, source.clone())?,
            source,
        })
    }

    async fn ready<T>(
        &self,
        interest: Interest,
        mut operation: impl FnMut() -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        poll_fn(|cx| {
            self.registered.poll_io(cx, interest, || {
                loop {
                    match operation() {
                        Err(Errno::INTR) => (),
                        result => return Ok(result?),
                    }
                }
            })
        })
        .await
    }

    /// Reads a line that ends in `\r\n`, without that, and nothing behind it.
    pub(super) async fn line(&self, longest: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; longest];
        let mut len = 0;
        loop {
            let unread = &mut bytes[len..];
            if unread.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a line is too long",
                ));
            }
            let peek = || recv(&self.source, &mut *unread, RecvFlags::PEEK);
            let (_, seen) = self.ready(Interest::Readable, peek).await?;
            if seen == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the other end was closed before it had authenticated",
                ));
            }
            let end = bytes[..len + seen].iter().position(|byte| *byte == b'\n');
            let whole = end.map_or(len + seen, |end| end + 1);
            let unread = &mut bytes[len..whole];
            let take = || recv(&self.source, &mut *unread, RecvFlags::empty());
            let (_, taken) = self.ready(Interest::Readable, take).await?;
            len += taken;
            if end.is_some() && len == whole {
                bytes.truncate(len - 1);
                if bytes.last() == Some(&b'\r') {
                    bytes.pop();
                }
                return Ok(bytes);
            }
        }
    }

    /// Sends a short text.
    pub(super) async fn send(&self, mut text: &[u8]) -> io::Result<()> {
        while !text.is_empty() {
            let send = || rustix::net::send(&self.source, text, SendFlags::NOSIGNAL);
            let sent = self.ready(Interest::Writable, send).await?;
            text = &text[sent..];
        }
        Ok(())
    }

    /// Makes the two halves that zbus wants of an authenticated socket.
    pub(super) fn split(self, limits: Limits, pass_descriptors: bool) -> BoxedSplit {
        let socket = Arc::new(self);
        let space = rustix::cmsg_space!(ScmRights(limits.descriptors.max(1)));
        let reader = Reader {
            socket: socket.clone(),
            limits,
            pass_descriptors,
            space: vec![MaybeUninit::uninit(); space],
            frame: Frame::default(),
        };
        let writer = Writer {
            socket,
            pass_descriptors,
        };
        Split::new(Box::new(reader), Box::new(writer))
    }
}

/// How far a message has been read.
#[derive(Debug, Default)]
struct Frame {
    header: [u8; HEADER],
    /// How much of the header is there.
    have: usize,
    /// How much of the rest is not there.
    left: usize,
    descriptors: usize,
}

impl Frame {
    /// How much of the next bytes belongs to this message.
    fn wants(&self) -> usize {
        match HEADER - self.have {
            0 => self.left,
            header => header,
        }
    }

    /// These bytes and descriptors were read, at most as many as it wants.
    fn add(&mut self, bytes: &[u8], descriptors: usize, limits: Limits) -> io::Result<()> {
        self.descriptors += descriptors;
        if self.descriptors > limits.descriptors {
            return Err(too_many(limits));
        }
        if self.have < HEADER {
            self.header[self.have..self.have + bytes.len()].copy_from_slice(bytes);
            self.have += bytes.len();
            if self.have == HEADER {
                self.left = rest(&self.header, limits)?;
            }
        } else {
            self.left -= bytes.len();
        }
        if self.have == HEADER && self.left == 0 {
            *self = Self::default();
        }
        Ok(())
    }
}

/// The length of what comes behind the header, if that is allowed.
fn rest(header: &[u8; HEADER], limits: Limits) -> io::Result<usize> {
    let number = |at: usize| {
        let bytes = [header[at], header[at + 1], header[at + 2], header[at + 3]];
        match header[0] {
            b'B' => u32::from_be_bytes(bytes),
            _ => u32::from_le_bytes(bytes),
        }
    };
    if !matches!(header[0], b'l' | b'B') {
        return Err(bad("what the peer sends is not a D-Bus message".to_owned()));
    }
    let fields = u64::from(number(12)).next_multiple_of(8);
    let all = HEADER as u64 + fields + u64::from(number(4));
    if all > limits.bytes as u64 {
        return Err(bad(format!(
            "the peer sends a message of {all} bytes, and its limit is {}",
            limits.bytes
        )));
    }
    Ok(all as usize - HEADER)
}

fn too_many(limits: Limits) -> io::Error {
    bad(format!(
        "the peer sends more descriptors with a message than its limit, which is {}",
        limits.descriptors
    ))
}

fn bad(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[derive(Debug)]
struct Reader {
    socket: Arc<Socket>,
    limits: Limits,
    pass_descriptors: bool,
    /// For the descriptors that come with one read.
    space: Vec<MaybeUninit<u8>>,
    frame: Frame,
}

#[async_trait]
impl ReadHalf for Reader {
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let wanted = self.frame.wants().min(buffer.len());
        let buffer = &mut buffer[..wanted];
        let (socket, space) = (&self.socket, &mut self.space);
        let receive = || {
            let mut control = RecvAncillaryBuffer::new(space);
            let flags = RecvFlags::CMSG_CLOEXEC;
            let into = &mut [IoSliceMut::new(buffer)];
            let received = recvmsg(&socket.source, into, &mut control, flags)?;
            let mut descriptors = Vec::new();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    descriptors.extend(rights);
                }
            }
            let cut = received.flags.contains(ReturnFlags::CTRUNC);
            Ok((received.bytes, descriptors, cut))
        };
        let (read, descriptors, cut) = socket.ready(Interest::Readable, receive).await?;
        if cut {
            return Err(too_many(self.limits));
        }
        (self.frame).add(&buffer[..read], descriptors.len(), self.limits)?;
        Ok((read, descriptors))
    }

    fn can_pass_unix_fd(&self) -> bool {
        self.pass_descriptors
    }
}

#[derive(Debug)]
struct Writer {
    socket: Arc<Socket>,
    pass_descriptors: bool,
}

#[async_trait]
impl WriteHalf for Writer {
    async fn sendmsg(
        &mut self,
        buffer: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<usize> {
        let size = rustix::cmsg_space!(ScmRights(descriptors.len()));
        let mut space = vec![MaybeUninit::uninit(); size];
        let send = || {
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty()
                && !control.push(SendAncillaryMessage::ScmRights(descriptors))
            {
                return Err(Errno::TOOMANYREFS);
            }
            let from = &[IoSlice::new(buffer)];
            sendmsg(&self.socket.source, from, &mut control, SendFlags::NOSIGNAL)
        };
        self.socket.ready(Interest::Writable, send).await
    }

    async fn close(&mut self) -> io::Result<()> {
        Ok(rustix::net::shutdown(
            &self.socket.source,
            rustix::net::Shutdown::Both,
        )?)
    }

    fn can_pass_unix_fd(&self) -> bool {
        self.pass_descriptors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        bytes: 1000,
        descriptors: 2,
    };

    fn header(endian: u8, body: u32, fields: u32) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        header[0] = endian;
        let number = |number: u32| match endian {
            b'B' => number.to_be_bytes(),
            _ => number.to_le_bytes(),
        };
        header[4..8].copy_from_slice(&number(body));
        header[12..].copy_from_slice(&number(fields));
        header
    }

    #[test]
    fn a_length_is_judged_before_anything_is_read() {
        let rest = |header| rest(&header, LIMITS).map_err(|error| error.to_string());
        assert_eq!(rest(header(b'l', 10, 9)), Ok(26));
        assert_eq!(rest(header(b'B', 10, 9)), Ok(26));
        assert_eq!(rest(header(b'l', 984, 0)), Ok(984));
        for long in [(985, 0), (128 << 20, 0), (u32::MAX, u32::MAX), (0, 1 << 26)] {
            let said = rest(header(b'l', long.0, long.1)).unwrap_err();
            assert!(said.contains("its limit is 1000"), "{said}");
        }
        let said = rest(header(b'H', 0, 0)).unwrap_err();
        assert!(said.contains("not a D-Bus message"), "{said}");
    }

    #[test]
    fn messages_follow_each_other_however_they_are_cut() {
        let mut message = header(b'l', 5, 8).to_vec();
        message.resize(HEADER + 8 + 5, 0);
        let stream = [&message[..], &message, &message].concat();
        for step in 1..=40 {
            let (mut frame, mut at, mut whole) = (Frame::default(), 0, 0);
            while at < stream.len() {
                let read = frame.wants().min(step).min(stream.len() - at);
                frame.add(&stream[at..at + read], 0, LIMITS).unwrap();
                at += read;
                whole += usize::from(frame.have == 0);
            }
            assert_eq!(whole, 3, "{step}");
        }
    }

    #[test]
    fn descriptors_are_counted_by_message() {
        let mut frame = Frame::default();
        let header = header(b'l', 8, 0);
        frame.add(&header, 1, LIMITS).unwrap();
        frame.add(&[0; 8], 1, LIMITS).unwrap();
        frame.add(&header, 2, LIMITS).unwrap();
        assert!(frame.add(&[0; 8], 1, LIMITS).is_err());
    }
}
