//! An app with a limit for the size of files, as `ulimit -f` sets it: an error, and no SIGXFSZ.

use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::time::Duration;

use legwork::glib::MainContext;
use legwork::{Buffer, BufferMut, BufferWriter, Worker, prelude::*};
use legwork_tests::jobs::{Echo, Misbehave, Unpack};
use legwork_tests::program;
use legwork_tests::raw::ForkedCopy;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Resource, Rlimit, setrlimit};

const LIMIT: usize = 1 << 20;

fn limit_to(bytes: usize) {
    let current = Some(bytes as u64);
    let maximum = Some(LIMIT as u64);
    setrlimit(Resource::Fsize, Rlimit { current, maximum }).unwrap();
}

fn main() {
    limit_to(LIMIT);
    let control = ForkedCopy::new(|| {
        let memory = memfd_create("too long", MemfdFlags::CLOEXEC).unwrap();
        i32::from(rustix::fs::ftruncate(memory, 2 * LIMIT as u64).is_err())
    });
    let ended = control.end_within(Duration::from_secs(20));
    assert_eq!(ended, Some(128 + libc::SIGXFSZ), "the control");

    let too_large = |error: std::io::Error| assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    too_large(Buffer::copy_from_slice(&vec![1; LIMIT + 1]).unwrap_err());
    too_large(BufferMut::new(LIMIT + 1).unwrap_err());
    let mut writer = BufferWriter::new().unwrap();
    writer.write_all(&vec![1; LIMIT]).unwrap();
    too_large(writer.write(&[1]).unwrap_err());
    too_large(
        writer
            .write_vectored(&[std::io::IoSlice::new(&[1])])
            .unwrap_err(),
    );
    writer.seek(SeekFrom::Start(1)).unwrap();
    writer.write_all(&[1]).unwrap();
    assert_eq!(writer.seal().unwrap().len(), LIMIT);

    let context = MainContext::new();
    let run = || {
        let worker = Worker::program(program("worker"));
        let input = |length| Unpack {
            bytes: vec![1; length],
            files: vec![],
        };
        let job = input(LIMIT + 1).builder().worker(&worker).spawn();
        let error = context.block_on(job.into_future()).unwrap_err();
        assert!(
            error.is_start() && error.to_string().contains("RLIMIT_FSIZE"),
            "{error}"
        );
        let mut job = Echo.builder().worker(&worker).spawn();
        let sent = context.block_on(job.sender().send(vec![1; LIMIT + 1]));
        let error = sent.unwrap_err();
        assert!(format!("{error:?}").contains("RLIMIT_FSIZE"), "{error:?}");
        context
            .block_on(job.sender().send(vec![1; LIMIT / 2]))
            .unwrap();
        assert_eq!(context.block_on(job.message()).unwrap().len(), LIMIT / 2);
        drop(job);

        // The worker has inherited it.
        let job = Misbehave::SendMuch(1).builder().worker(&worker).spawn();
        let error = context.block_on(job.into_future()).unwrap_err();
        assert!(format!("{error:?}").contains("RLIMIT_FSIZE"), "{error:?}");
        limit_to(1024);
        let job = input(1).builder().worker(&worker).spawn();
        let error = context.block_on(job.into_future()).unwrap_err();
        assert!(
            error.is_start() && error.to_string().contains("RLIMIT_FSIZE"),
            "{error}"
        );
    };
    context.with_thread_default(run).unwrap();
}
