//! The exec helper: what `posix_spawn` cannot do for an external program, done after birth.
//!
//! It is the worker program in another role. It changes itself as the order says (umask, nice
//! value, limits, no new privileges), says that it is about to execute, and executes the program
//! in its own place. The control socket is close-on-exec: its end tells the app that the program
//! runs. A refusal names the step that failed; the app makes a sentence of it.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::resource::{Resource, setrlimit};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, retry_on_intr};

use crate::process::leave;
use crate::wire::control::{Control, Received, Scratch, Wait};
use crate::wire::frame::{CONTROL_FD, ExecOrder, ExecRefusal, ExecStep, Kind};

/// What shells answer when a program cannot be executed. Nobody sees it: the refusal is first.
const NOT_EXECUTED: i32 = 126;

pub(super) fn run(control: Control, mut scratch: Scratch, app: Vec<OwnedFd>) -> ! {
    wait_for_order(&control, &app);
    let order: ExecOrder = match control.recv(&mut scratch, Wait::Yes) {
        Ok(Received::Packet(packet)) if packet.kind == Kind::Order as u8 => {
            match postcard::from_bytes(&packet.payload) {
                Ok(order) => order,
                Err(_) => refuse(&control, ExecStep::Order, libc::EPROTO),
            }
        }
        _ => leave(NOT_EXECUTED),
    };
    let control = match make_way(control, order.moved) {
        Ok(control) => control,
        Err((control, errno)) => refuse(&control, ExecStep::Descriptor, errno.raw_os_error()),
    };
    if let Err((step, errno)) = change(&order) {
        refuse(&control, step, errno);
    }
    // The standard library ignores it in every program that it starts; a program expects it as
    // it was.
    // SAFETY: SIG_DFL is always a valid action.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    if control.send(Kind::Ready, &[], &[], Wait::Yes).is_err() {
        leave(NOT_EXECUTED);
    }
    let mut arguments: Vec<_> = order.arguments.iter().map(|arg| arg.as_ptr()).collect();
    arguments.push(std::ptr::null());
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    // SAFETY: no other thread is there that could change it.
    let environment = unsafe { environ };
    // SAFETY: a path and two lists of C strings that live until the call, each with its end.
    unsafe { libc::execve(order.path.as_ptr(), arguments.as_ptr(), environment) };
    let errno = nix::errno::Errno::last_raw();
    refuse(&control, ExecStep::Execute, errno)
}

/// Waits until there is something to read. Should the app die before, this process ends: nobody knows of it. An order that
/// has been sent does not count then; and the end of the socket does not show when a copy of the app holds it open.
fn wait_for_order(control: &Control, app: &[OwnedFd]) {
    let mut fds: Vec<_> = (app.iter().map(|app| PollFd::new(app, PollFlags::IN)))
        .chain([PollFd::new(control, PollFlags::IN)])
        .collect();
    let _ = retry_on_intr(|| poll(&mut fds, None));
    if fds[..app.len()].iter().any(|app| !app.revents().is_empty()) {
        leave(NOT_EXECUTED);
    }
}

/// Leaves the control socket's number to the descriptor that is to be there.
fn make_way(control: Control, moved: Option<i32>) -> Result<Control, (Control, Errno)> {
    let Some(moved) = moved else {
        return Ok(control);
    };
    let moved_control = match rustix::io::fcntl_dupfd_cloexec(control.as_fd(), moved + 1) {
        Ok(copy) => copy,
        Err(errno) => return Err((control, errno)),
    };
    debug_assert_eq!(control.as_fd().as_raw_fd(), CONTROL_FD);
    // SAFETY: both numbers are open: the app has put `moved` there for this. The control socket's
    // number is given up with its owner.
    let duplicated = unsafe { libc::dup2(moved, CONTROL_FD) };
    std::mem::forget(control);
    let control = Control::from_fd(moved_control);
    if duplicated < 0 {
        return Err((
            control,
            Errno::from_raw_os_error(nix::errno::Errno::last_raw()),
        ));
    }
    // SAFETY: open, and owned by nobody here.
    unsafe { libc::close(moved) };
    Ok(control)
}

fn change(order: &ExecOrder) -> Result<(), (ExecStep, i32)> {
    for (resource, soft, hard) in &order.limits {
        let limit = |limit: &Option<u64>| limit.unwrap_or(libc::RLIM_INFINITY);
        let failed = |errno: i32| (ExecStep::Limit(*resource), errno);
        let known = RESOURCES
            .into_iter()
            .find(|known| *known as u32 == *resource)
            .ok_or_else(|| failed(libc::EINVAL))?;
        setrlimit(known, limit(soft), limit(hard)).map_err(|errno| failed(errno as i32))?;
    }
    if let Some(by) = order.nice {
        rustix::process::nice(by).map_err(|errno| (ExecStep::Nice, errno.raw_os_error()))?;
    }
    if let Some(class) = order.class {
        class.set(0).map_err(|errno| (ExecStep::Class, errno))?;
    }
    if let Some(mask) = order.umask {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
    }
    if order.no_new_privileges {
        rustix::thread::set_no_new_privs(true)
            .map_err(|errno| (ExecStep::NoNewPrivileges, errno.raw_os_error()))?;
    }
    Ok(())
}

/// The limits that an order can set.
const RESOURCES: [Resource; 10] = [
    Resource::RLIMIT_AS,
    Resource::RLIMIT_CORE,
    Resource::RLIMIT_CPU,
    Resource::RLIMIT_DATA,
    Resource::RLIMIT_FSIZE,
    Resource::RLIMIT_MEMLOCK,
    Resource::RLIMIT_NOFILE,
    Resource::RLIMIT_NPROC,
    Resource::RLIMIT_RSS,
    Resource::RLIMIT_STACK,
];

fn refuse(control: &Control, step: ExecStep, errno: i32) -> ! {
    let refusal = ExecRefusal { step, errno };
    let bytes = postcard::to_allocvec(&refusal).unwrap_or_default();
    let _ = control.send(Kind::Refused, &bytes, &[], Wait::Yes);
    leave(NOT_EXECUTED)
}
