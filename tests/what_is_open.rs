//! What a process has open is named in words.

use std::{
    fs::File,
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream},
    },
};

use legwork::{
    process::descriptors::{self, DescriptorInfo, Kind, Service},
    spawn::{Plan, Program},
};
use rustix::{
    event::{EventfdFlags, epoll, eventfd},
    fs::{MemfdFlags, OFlags, inotify, memfd_create},
    process::{PidfdFlags, getpid, pidfd_open},
    time::{TimerfdClockId, TimerfdFlags, timerfd_create},
};

/// How the calling process' own descriptor is described.
fn own(descriptor: impl AsFd) -> DescriptorInfo {
    let number = descriptor.as_fd().as_raw_fd();
    let all = descriptors::list(std::process::id()).unwrap();
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
    assert_is(&listener, Kind::UnixSocket, "listens at");
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
    use std::os::linux::net::SocketAddrExt;
    let name = format!("legwork-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    let stream = UnixStream::connect_addr(&address).unwrap();
    assert_is(stream, Kind::UnixSocket, &format!("connected to @{name}"));
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
    let open = descriptors::list(child.pid()).unwrap();
    let numbers: Vec<_> = open.iter().map(|info| info.number).collect();
    assert_eq!(numbers, [0, 1, 2, 9]);
    assert_eq!(open[3].service, Some(Service::Wayland));
}

#[test]
fn a_process_that_is_gone_is_an_error() {
    let mut child = Plan::new(Program::name("true")).spawn().unwrap();
    child.wait().unwrap();
    let error = descriptors::list(child.pid()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}
