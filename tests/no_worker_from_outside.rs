//! Nothing that a program is given makes it a worker: not its arguments, its variables, or what is open at descriptor
//! 3. Only an app's hello does, in a packet socket of the same user, and not in a program that runs with privileges of
//! its own.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use legwork::process::ExitStatus;
use legwork::spawn::{Plan, Program};
use legwork::{ErrorKind, Worker, prelude::*};
use legwork_tests::context::run;
use legwork_tests::jobs::Count;
use legwork_tests::program;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Gid, Uid};

/// A program that is written while another test starts a child is busy for a moment: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an app says to a worker first, as it went over the socket, without the descriptors that came with it.
fn hello(folder: &Path) -> Vec<u8> {
    let (reader, said) = (folder.join("reader"), folder.join("hello"));
    // It is asked to be the app's guardian as well.
    let script = format!(
        "#!/bin/sh\n[ $1 = --legwork-worker ] && dd bs=64k count=1 <&3 2>&1 >'{}'\n",
        said.display()
    );
    fs::write(&reader, script).unwrap();
    fs::set_permissions(&reader, fs::Permissions::from_mode(0o755)).unwrap();
    let error = run(|| async {
        let job = Count { to: 1 }.builder().worker(&Worker::program(&reader));
        job.spawn().await.expect_err("it only reads")
    });
    assert_eq!(error.kind(), ErrorKind::Start, "{error}");
    let hello = fs::read(said).unwrap();
    assert!(hello.len() > 20, "{hello:?}");
    hello
}

fn pair(kind: SocketType) -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap()
}

/// A socket of this kind in which these bytes wait, and its other end.
fn socket(kind: SocketType, bytes: &[u8]) -> (OwnedFd, OwnedFd) {
    let (theirs, ours) = pair(kind);
    rustix::io::write(&ours, bytes).unwrap();
    (theirs, ours)
}

fn file(bytes: &[u8]) -> OwnedFd {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file.into()
}

fn pipe(bytes: &[u8]) -> OwnedFd {
    let (theirs, mut ours) = std::io::pipe().unwrap();
    ours.write_all(bytes).unwrap();
    theirs.into()
}

/// How a worker program ends, and what it says, that is started like this.
fn end_of(plan: Plan) -> (ExitStatus, String) {
    let (mut said, theirs) = std::io::pipe().unwrap();
    let mut process = plan.stderr(theirs).spawn().unwrap();
    let mut words = String::new();
    said.read_to_string(&mut words).unwrap();
    (process.wait().unwrap().status, words)
}

#[track_caller]
fn is_none(what: &str, plan: Plan) {
    let (status, words) = end_of(plan);
    assert_eq!(status, ExitStatus::Code(2), "{what}: {words}");
    assert!(
        words.starts_with("This program is a worker"),
        "{what}: {words}"
    );
}

#[test]
fn a_hello_in_a_packet_socket_of_this_user_and_nothing_else() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let hello = &hello(folder.path());
    let worker = || Plan::new(Program::path(program("worker")));

    // The control: that it would be one is seen at how it complains of the descriptors that are missing.
    let (theirs, _ours) = socket(SocketType::SEQPACKET, hello);
    let (status, words) = end_of(worker().fd(3, theirs));
    assert_ne!(
        status,
        ExitStatus::Code(2),
        "the control is no worker either: {words}"
    );

    for argument in ["--legwork-worker", "--legwork-guardian", "--legwork-exec"] {
        let told = || {
            let plan = worker().args([argument, "Count", "3"]);
            let names = ["LEGWORK", "LEGWORK_WORKER", "LEGWORK_FD", "LEGWORK_JOB"];
            names
                .into_iter()
                .fold(plan, |plan, name| plan.env(name, "3"))
        };
        is_none("nothing", told());
        is_none(
            "nothing to read",
            told().fd(3, File::open("/dev/null").unwrap()),
        );
        is_none("a file", told().fd(3, file(hello)));
        is_none("a pipe", told().fd(3, pipe(hello)));
        for kind in [SocketType::STREAM, SocketType::DGRAM] {
            let (theirs, _ours) = socket(kind, hello);
            is_none("a socket of another kind", told().fd(3, theirs));
        }
        let (theirs, _ours) = pair(SocketType::SEQPACKET);
        is_none("a socket in which nothing waits", told().fd(3, theirs));
        for (what, bytes) in [("its beginning", &hello[..4]), ("its end", &hello[1..])] {
            let (theirs, _ours) = socket(SocketType::SEQPACKET, bytes);
            is_none(what, told().fd(3, theirs));
        }
        // Elsewhere than it belongs.
        let (theirs, _ours) = socket(SocketType::SEQPACKET, hello);
        is_none("at descriptor 4", told().fd(4, theirs));
    }
}

#[test]
fn a_hello_of_another_user_is_none() {
    let _alone = alone();
    if !rustix::process::geteuid().is_root() {
        println!("not looked at: only root can speak for another user");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let hello = hello(folder.path());
    // By the bare system call, it is the one thread that becomes somebody else.
    let other = std::thread::spawn(move || {
        let user = Uid::from_raw(65534);
        rustix::thread::set_thread_res_uid(user, user, user).unwrap();
        socket(SocketType::SEQPACKET, &hello)
    });
    let (theirs, _ours) = other.join().unwrap();
    let plan = Plan::new(Program::path(program("worker"))).fd(3, theirs);
    is_none("of another user", plan);
}

/// A copy of the tests' worker, where such bits are heeded.
fn copy(name: &str, group: Option<Gid>, mode: u32) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&path);
    fs::copy(program("worker"), &path).unwrap();
    std::os::unix::fs::chown(&path, None, group.map(Gid::as_raw)).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    path
}

/// A group that is not the one this process runs as, and to which it can give a file.
fn other_group() -> Option<Gid> {
    if rustix::process::geteuid().is_root() {
        return Some(Gid::from_raw(65534));
    }
    let own = rustix::process::getegid();
    let groups = rustix::process::getgroups().unwrap();
    groups.into_iter().find(|group| *group != own)
}

#[test]
fn a_program_with_privileges_of_its_own_never_is_one() {
    let _alone = alone();
    let Some(group) = other_group() else {
        println!("not looked at: this user is in one group only");
        return;
    };
    let count = |worker: PathBuf| {
        run(|| async {
            let job = Count { to: 3 }.builder().worker(&Worker::program(worker));
            job.spawn().await
        })
    };
    // The control: the same file, of the same group.
    assert!(count(copy("worker of another group", Some(group), 0o755)).is_ok());
    let error = count(copy("worker with privileges", Some(group), 0o2755)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Start);
    let sentence = error.to_string();
    assert!(sentence.contains("exit code 2"), "{sentence}");
}
