//! What a process has open is described in words.

use std::ffi::OsStr;
use std::fs::File;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};

use legwork::spawn::{Plan, Program};
use legwork_inspect::{DescriptorInfo, End, Kind, Object, Scene, Service};
use rustix::{
    event::{EventfdFlags, epoll, eventfd},
    fs::{MemfdFlags, OFlags, inotify, memfd_create},
    process::{PidfdFlags, getpid, pidfd_open},
    time::{TimerfdClockId, TimerfdFlags, timerfd_create},
};

/// How the calling process' own descriptor is described.
fn own(descriptor: impl AsFd) -> DescriptorInfo {
    let number = descriptor.as_fd().as_raw_fd();
    let all = legwork_inspect::list(std::process::id()).unwrap();
    all.into_iter().find(|info| info.number == number).unwrap()
}

#[track_caller]
fn assert_is(descriptor: impl AsFd, kind: Kind, words: &str) {
    let info = own(descriptor);
    assert_eq!(info.kind, kind, "{info:?}");
    assert!(info.description.contains(words), "{info:?}");
}

#[test]
fn what_main_loops_and_libraries_open_is_told_apart() {
    assert_is(
        eventfd(0, EventfdFlags::CLOEXEC).unwrap(),
        Kind::Eventfd,
        "eventfd",
    );
    let pidfd = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    assert_is(pidfd, Kind::Pidfd, &std::process::id().to_string());
    assert_is(
        epoll::create(epoll::CreateFlags::CLOEXEC).unwrap(),
        Kind::Epoll,
        "epoll",
    );
    assert_is(
        inotify::init(inotify::CreateFlags::CLOEXEC).unwrap(),
        Kind::Inotify,
        "inotify",
    );
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).unwrap();
    assert_is(timer, Kind::Timerfd, "timer");
    let memory = memfd_create("pixels", MemfdFlags::CLOEXEC).unwrap();
    assert_is(memory, Kind::Memfd, r#"memory "pixels""#);
}

#[test]
fn files_pipes_and_devices_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a file");
    assert_is(
        File::create(&path).unwrap(),
        Kind::File,
        &path.display().to_string(),
    );
    assert_is(
        File::open(folder.path()).unwrap(),
        Kind::Directory,
        "directory",
    );
    let (reader, _writer) = std::io::pipe().unwrap();
    assert_is(reader, Kind::Pipe, "pipe");
    assert_is(File::open("/dev/null").unwrap(), Kind::Null, "/dev/null");
    assert_is(File::open("/dev/zero").unwrap(), Kind::Device, "/dev/zero");
    // The two ends of a new pseudoterminal: one is the terminal, the other a device that makes it.
    let master = File::options()
        .read(true)
        .write(true)
        .open("/dev/ptmx")
        .unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = rustix::fs::open(&*name, flags, rustix::fs::Mode::empty()).unwrap();
    assert_is(terminal, Kind::Terminal, name.to_str().unwrap());
}

#[test]
fn a_deleted_file_still_is_a_file() {
    let file: OwnedFd = tempfile::NamedTempFile::new().unwrap().into_file().into();
    assert_is(file, Kind::File, "(deleted)");
}

#[test]
fn sockets_say_whom_they_are_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stream = TcpStream::connect(address).unwrap();
    assert_is(
        &stream,
        Kind::TcpSocket,
        &format!("connection to {address}"),
    );
    assert_is(
        &listener,
        Kind::TcpSocket,
        &format!("listening at {address}"),
    );
    let datagram = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert_is(
        &datagram,
        Kind::UdpSocket,
        &datagram.local_addr().unwrap().to_string(),
    );

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let stream = UnixStream::connect(&path).unwrap();
    let words = format!("connected to {}", path.display());
    assert_is(&stream, Kind::UnixSocket, &words);
    assert_is(&listener, Kind::UnixSocket, "listening at");
    assert_is(
        UnixDatagram::unbound().unwrap(),
        Kind::UnixSocket,
        "without a name",
    );
}

#[test]
fn the_services_of_a_desktop_are_known_by_their_address() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("wayland-7", Service::Wayland),
        (".X11-unix/X7", Service::X11),
        ("at-spi/bus_7", Service::AccessibilityBus),
        ("system_bus_socket", Service::SystemBus),
        ("pipewire-0", Service::Sound),
        ("pulse/native", Service::Sound),
    ];
    for (name, service) in cases {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _listener = UnixListener::bind(&path).unwrap();
        let info = own(UnixStream::connect(&path).unwrap());
        assert_eq!(info.service, Some(service), "{info:?}");
        assert!(
            info.description.ends_with(&format!("({})", service.name())),
            "{info:?}"
        );
    }
    let path = folder.path().join("something-else");
    let _listener = UnixListener::bind(&path).unwrap();
    assert_eq!(own(UnixStream::connect(&path).unwrap()).service, None);
}

#[test]
fn an_abstract_socket_is_written_with_an_at_sign() {
    let name = format!("legwork-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let stream = UnixStream::connect_addr(&address).unwrap();
    assert_is(stream, Kind::UnixSocket, &format!("connected to @{name}"));
}

#[test]
fn a_name_of_any_bytes_hides_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder
        .path()
        .join(OsStr::from_bytes(b"\xff[x]: \n(deleted)"));
    let file = File::create(&path).unwrap();
    let info = own(&file);
    assert_eq!((info.kind, &info.link), (Kind::File, &path));

    let name = [b"\xff \n ", std::process::id().to_string().as_bytes()].concat();
    let listener =
        UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let inode = rustix::fs::fstat(&listener).unwrap().st_ino;
    let info = own(&listener);
    assert_eq!(info.object, Some(Object::Socket(inode)));
    assert!(
        info.listening && info.description.contains('\u{fffd}'),
        "{info:?}"
    );

    let (reader, _writer) = std::io::pipe().unwrap();
    std::fs::write("/proc/self/comm", b"\xff)( \n:").unwrap();
    let holders = legwork_inspect::holders(std::process::id(), &[own(&reader)]);
    let name = &holders[&reader.as_raw_fd()][0].name;
    assert!(name.starts_with("\u{fffd})("), "{name:?}");
}

#[test]
fn the_flags_are_read() {
    let both = own(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap());
    assert!(both.close_on_exec && both.nonblocking);
    let none = own(eventfd(0, EventfdFlags::empty()).unwrap());
    assert!(!none.close_on_exec && !none.nonblocking);
}

#[test]
fn a_child_is_seen_from_its_parent_sockets_and_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wayland-0");
    let _listener = UnixListener::bind(&path).unwrap();
    let child = Plan::new(Program::name("sleep"))
        .arg("1000")
        .fd(9, UnixStream::connect(&path).unwrap())
        .spawn()
        .unwrap();
    let open = legwork_inspect::list(child.pid()).unwrap();
    let numbers: Vec<_> = open.iter().map(|info| info.number).collect();
    assert_eq!(numbers, [0, 1, 2, 9]);
    assert_eq!(open[3].service, Some(Service::Wayland));
}

#[test]
fn an_inhibitor_is_known_by_where_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let inhibit = folder.path().join("systemd/inhibit");
    std::fs::create_dir_all(&inhibit).unwrap();
    let path = inhibit.join("7.ref");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
    let both = File::options().read(true).write(true).open(&path).unwrap();
    assert_is(&both, Kind::Inhibitor, "7.ref");
    assert!(own(&both).harm().unwrap().risk().contains("awake"));
}

#[test]
fn whoever_holds_the_same_or_the_other_end_is_found() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let wakeup = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    let child = Plan::new(Program::name("sleep"))
        .arg("1000")
        .fd(3, theirs)
        .fd(4, writer)
        .fd(5, wakeup.try_clone().unwrap())
        .spawn()
        .unwrap();
    let open = [own(&ours), own(&reader), own(&wakeup)];
    let holders = legwork_inspect::holders(std::process::id(), &open);
    let expected = [(3, End::Other), (4, End::Other), (5, End::Same)];
    for (info, (number, end)) in open.iter().zip(expected) {
        let holder = holders[&info.number]
            .iter()
            .find(|holder| holder.pid == child.pid())
            .unwrap_or_else(|| panic!("{info:?} {holders:?}"));
        assert_eq!((holder.number, holder.end), (number, end), "{info:?}");
        assert_eq!(holder.name, "sleep");
    }
}

#[test]
fn what_is_ready_is_seen_and_stays_there() {
    let here = std::process::id();
    let look = |descriptor: &OwnedFd| legwork_inspect::readiness(here, &own(descriptor)).unwrap();

    let wakeup = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
    assert!(!look(&wakeup).wakes());
    rustix::io::write(&wakeup, &3u64.to_ne_bytes()).unwrap();
    for _ in 0..2 {
        assert!(look(&wakeup).readable);
        assert_eq!(look(&wakeup).waiting, Some(3));
    }
    let mut count = [0; 8];
    rustix::io::read(&wakeup, &mut count).unwrap();
    assert_eq!(u64::from_ne_bytes(count), 3);
    assert!(!look(&wakeup).wakes());

    let (reader, mut writer) = std::io::pipe().unwrap();
    let reader = OwnedFd::from(reader);
    assert!(!look(&reader).wakes());
    std::io::Write::write_all(&mut writer, b"four").unwrap();
    assert_eq!(look(&reader).waiting, Some(4));
    assert_eq!(legwork_inspect::readiness(here, &own(&writer)), None);
    drop(writer);
    assert!(look(&reader).hung_up);

    let file: OwnedFd = tempfile::tempfile().unwrap().into();
    assert_eq!(legwork_inspect::readiness(here, &own(&file)), None);
}

#[test]
fn what_did_harm_to_others_has_the_number_of_its_scene() {
    let scene = |descriptor: &dyn Fn() -> DescriptorInfo| {
        let harm = descriptor().harm().unwrap();
        harm.scene().map(Scene::number)
    };
    let wakeup = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    assert_eq!(scene(&|| own(&wakeup)), Some(1));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert_eq!(scene(&|| own(&stream)), Some(3));
    assert_eq!(scene(&|| own(&listener)), None);
    let file = tempfile::tempfile().unwrap();
    assert_eq!(scene(&|| own(&file)), Some(5));
    assert_eq!(own(File::open("/dev/null").unwrap()).harm(), None);
    assert_eq!(own(std::io::stdin()).harm(), None);
}

#[test]
fn a_process_that_is_gone_is_an_error() {
    let mut child = Plan::new(Program::name("true")).spawn().unwrap();
    child.wait().unwrap();
    let error = legwork_inspect::list(child.pid()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
