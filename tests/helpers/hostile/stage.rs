//! The program `hostile`: executes its steps one by one.

#![allow(unsafe_code)]

use std::{
    fs::File,
    io::{IoSlice, Write},
    mem::MaybeUninit,
    net::{TcpListener, TcpStream},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    fs::{MemfdFlags, SealFlags},
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags},
};

use super::{
    Memory, Step, Thing, VARIABLE,
    fuzz::{Random, fuzz},
};
use crate::raw;

/// Runs the program.
pub fn main() {
    let text = std::env::var(VARIABLE).expect("a script");
    let bytes: Vec<u8> = text
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let steps: Vec<Step> = postcard::from_bytes(&bytes).expect("a script");
    let mut stage = Stage { page: None };
    for step in steps {
        stage.act(step);
    }
}

/// The state of a hostile worker.
struct Stage {
    page: Option<OwnedFd>,
}

/// The descriptor number of the control socket.
fn control() -> BorrowedFd<'static> {
    borrowed(3)
}

fn borrowed(number: i32) -> BorrowedFd<'static> {
    // SAFETY: the app opened it before this program started. Once a step has closed it, using it is only an error.
    unsafe { BorrowedFd::borrow_raw(number) }
}

impl Stage {
    fn act(&mut self, step: Step) {
        match step {
            Step::Send(bytes, things) => {
                let of_page = things.iter().position(|thing| matches!(thing, Thing::Page));
                let things: Vec<OwnedFd> = things.into_iter().map(made).collect();
                let page = of_page.map(|at| things[at].try_clone().expect("a copy"));
                self.page = page.or(self.page.take());
                let _ = emit(&bytes, &things);
            }
            Step::SendZeros(kind, length) => {
                let mut bytes = vec![0; length];
                bytes[0] = kind;
                let _ = emit(&bytes, &[]);
            }
            Step::Flood(count, bytes) => {
                for _ in 0..count {
                    if emit(&bytes, &[]).is_err() {
                        break;
                    }
                }
            }
            Step::FloodFromChild(bytes) => {
                // SAFETY: this program has one thread.
                if unsafe { libc::fork() } == 0 {
                    while emit(&bytes, &[]).is_ok() {}
                    exit_at_once(0);
                }
            }
            Step::Fuzz(seed, count) => fuzz(seed, count),
            Step::Print(count, bytes) => {
                let mut out = File::from(borrowed(1).try_clone_to_owned().unwrap());
                let all = bytes.repeat((32 * 1024 / bytes.len().max(1)).clamp(1, count as usize));
                let times = (count as usize * bytes.len()).div_ceil(all.len().max(1));
                for _ in 0..times {
                    if out.write_all(&all).is_err() {
                        break;
                    }
                }
            }
            Step::Scribble(times) => self.scribble(times),
            Step::Close(number) => raw::close(number),
            Step::LeaveGroup => leave_group(),
            Step::Raise(signal) => raise(signal),
            Step::Sleep(milliseconds) => {
                std::thread::sleep(Duration::from_millis(milliseconds));
            }
            Step::Exit(code) => exit_at_once(code),
        }
    }

    fn scribble(&self, times: u32) {
        let page = self
            .page
            .as_ref()
            .expect("the page went with the handshake");
        let mut random = Random(7);
        for _ in 0..times {
            let words: Vec<u8> = (0..512).flat_map(|_| random.next().to_le_bytes()).collect();
            rustix::io::pwrite(page, &words, 0).expect("the page can be written to");
            // This has to fail, because it is sealed.
            assert!(rustix::fs::ftruncate(page, 0).is_err());
        }
    }
}

pub(super) fn emit(bytes: &[u8], things: &[OwnedFd]) -> rustix::io::Result<()> {
    let borrowed: Vec<_> = things.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !borrowed.is_empty() {
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(&borrowed)));
    }
    let flags = SendFlags::NOSIGNAL;
    rustix::net::sendmsg(control(), &[IoSlice::new(bytes)], &mut ancillary, flags).map(drop)
}

pub(super) fn made(thing: Thing) -> OwnedFd {
    match thing {
        Thing::Null => File::open("/dev/null").unwrap().into(),
        Thing::Pipe => std::io::pipe().unwrap().0.into(),
        Thing::File(bytes) => {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            file.into()
        }
        Thing::Lingering => lingering(),
        Thing::Memory(memory) => memory.make(),
        Thing::Page => Memory {
            length: 4096,
            seals: libc::F_SEAL_SHRINK | libc::F_SEAL_GROW,
            ..Memory::default()
        }
        .make(),
    }
}

impl Memory {
    fn make(self) -> OwnedFd {
        let mut flags = MemfdFlags::CLOEXEC;
        if self.seals >= 0 {
            flags |= MemfdFlags::ALLOW_SEALING;
        }
        if self.huge {
            flags |= MemfdFlags::HUGETLB;
        }
        let fd = match rustix::fs::memfd_create("lie", flags) {
            Ok(fd) => fd,
            // This kernel has no huge pages.
            Err(_) => rustix::fs::memfd_create("lie", flags - MemfdFlags::HUGETLB).unwrap(),
        };
        let mut file = File::from(fd);
        if !self.huge {
            file.write_all(&self.start).unwrap();
            for _ in 0..self.times {
                file.write_all(&self.bytes).unwrap();
            }
        }
        let fd = OwnedFd::from(file);
        rustix::fs::ftruncate(&fd, self.length).unwrap();
        if self.seals > 0 {
            let seals = SealFlags::from_bits_retain(self.seals.cast_unsigned());
            rustix::fs::fcntl_add_seals(&fd, seals).unwrap();
        }
        fd
    }
}

/// Creates a connection that is full and whose other end never reads, so that its close takes a minute.
fn lingering() -> OwnedFd {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    std::mem::forget(peer);
    stream.set_nonblocking(true).unwrap();
    while stream.write(&[0; 65536]).is_ok() {}
    stream.set_nonblocking(false).unwrap();
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::from_secs(60))).unwrap();
    stream.into()
}

/// Tries to join a group that a child of its own leads, because a group leader cannot simply leave. The leader of a
/// session may not.
fn leave_group() {
    // SAFETY: this program has one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: plain numbers.
        unsafe { libc::setpgid(0, 0) };
        // It lives as long as the group is needed, and no test leaves it behind.
        // SAFETY: plain numbers.
        unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        std::thread::sleep(Duration::from_secs(600));
        exit_at_once(0);
    }
    // SAFETY: plain numbers.
    unsafe { libc::setpgid(child, child) };
    // SAFETY: plain numbers.
    let joined = unsafe { libc::setpgid(0, child) };
    assert_eq!(joined, -1, "setpgid");
}

fn raise(signal: i32) {
    // SAFETY: a plain number.
    unsafe { libc::raise(signal) };
}

fn exit_at_once(code: i32) -> ! {
    // SAFETY: ends the process without cleanup, as intended.
    unsafe { libc::_exit(code) }
}
