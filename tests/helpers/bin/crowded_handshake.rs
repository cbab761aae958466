//! Starts a job while this user has more descriptors in transit through sockets than its worker may send.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

use legwork::{ErrorKind, Worker, prelude::*};
use legwork_tests::{
    context::run,
    jobs::Count,
    program,
    raw::{CAP_SYS_ADMIN, CAP_SYS_RESOURCE, give_up_capability},
};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn main() {
    let limits = Rlimit {
        current: Some(64),
        ..getrlimit(Resource::Nofile)
    };
    setrlimit(Resource::Nofile, limits).unwrap();
    // A process with one of these capabilities may send any number.
    give_up_capability(CAP_SYS_ADMIN);
    give_up_capability(CAP_SYS_RESOURCE);
    let (_reader, writer) = UnixDatagram::pair().unwrap();
    // Without them, the app itself cannot send the last one either.
    while crowd(&writer).is_ok() {}
    run(|| async {
        let worker = Worker::program(program("worker"));
        let error = Count { to: 3 }.builder().worker(&worker).spawn().await;
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Start, "{error:?}");
        assert!(error.to_string().contains("os error 109"), "{error:?}");
    });
}

/// Sends eight more, which stay in transit.
fn crowd(writer: &UnixDatagram) -> rustix::io::Result<()> {
    let null: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
    let all = [null.as_fd(); 8];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&all)));
    let byte = std::io::IoSlice::new(b"x");
    sendmsg(writer, &[byte], &mut ancillary, SendFlags::DONTWAIT).map(drop)
}
