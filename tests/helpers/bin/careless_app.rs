//! A GLib app with everything in it that a careless child should not get, for the doctor to find.
//!
//! Its arguments are `careless` or `careful`, the address of a TCP server and a folder. The careful one has the same
//! connections, all of them close-on-exec, and its signals are at their defaults. Both print which number is what,
//! print that they are ready, and run a main loop until they are killed.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;

use legwork::gio::{self, BusType, Cancellable};
use legwork::glib::{ControlFlow, IOCondition, MainLoop};
use legwork::process::Process;
use legwork::spawn::{Group, Plan, Program};
use legwork_tests::raw::{self, Disposition};
use legwork_tests::scene::tell;
use legwork_tests::{display, with_glib};
use nix::sys::signal::{SigSet, Signal};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{FdFlags, fcntl_setfd};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let is_careless = arguments.next().expect("how") == "careless";
    let server = arguments.next().expect("an address");
    let folder = PathBuf::from(arguments.next().expect("a folder"));

    let bus = gio::bus_get_sync(BusType::Session, Cancellable::NONE).expect("a session bus");
    with_glib::id_of_bus(&bus, Cancellable::NONE).expect("a bus that answers");
    let display = std::env::var(display::Display::VARIABLE).expect("a display");
    let display = display::connect(&display).expect("a display that lets it in");
    let server = TcpStream::connect(server).expect("a server");
    let memory = memfd_create("pixels", MemfdFlags::CLOEXEC).expect("memory");
    let inhibitor = OpenOptions::new()
        .read(true)
        .write(true)
        .open(folder.join("systemd/inhibit/7.ref"))
        .expect("the inhibitor");
    let log = File::create(folder.join("app.log")).expect("a log");
    let wakeup = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("an eventfd");
    say("display", &display);
    say("server", &server);
    say("memory", &memory);
    say("inhibitor", &inhibitor);
    say("log", &log);
    say("wakeup", &wakeup);

    // Undoes what Rust and GIO have set meanwhile.
    raw::dispose(libc::SIGPIPE, Disposition::Default);
    let mut _heir = None;
    if is_careless {
        fcntl_setfd(&log, FdFlags::empty()).expect("an open file");
        rustix::io::write(&wakeup, &1_u64.to_ne_bytes()).expect("room for one");
        _heir = Some(be_careless(&wakeup));
    }
    let number = wakeup.as_raw_fd();
    // It is woken forever, because it never reads what is there.
    glib_unix::unix_fd_add_local(number, IOCondition::IN, |_, _| ControlFlow::Continue);
    // As in every client of the bus; otherwise the first event that is not read would keep the loop busy as well.
    display.set_nonblocking(true).expect("a socket");
    let number = display.as_raw_fd();
    glib_unix::unix_fd_add_local(number, IOCondition::IN, move |_, _| {
        while matches!((&display).read(&mut [0; 4096]), Ok(1..)) {}
        ControlFlow::Continue
    });
    println!("ready");
    MainLoop::new(None, false).run();
}

fn say(name: &str, descriptor: impl AsFd) {
    tell(name, descriptor.as_fd().as_raw_fd());
}

/// Signals that no child would receive, a child that nobody waits for, and a child that inherited the wakeup
/// descriptor.
fn be_careless(wakeup: &OwnedFd) -> Process {
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGUSR1);
    blocked.thread_block().expect("a mask");
    raw::dispose(libc::SIGUSR2, Disposition::Ignore);
    let child = std::process::Command::new("true").spawn();
    tell("zombie", child.expect("a child").id());
    let heir = Plan::new(Program::name("sleep"))
        .arg("1000")
        .group(Group::Inherit)
        .fd(3, wakeup.try_clone().expect("a duplicate"))
        .spawn()
        .expect("a child");
    tell("heir", heir.pid());
    heir
}
