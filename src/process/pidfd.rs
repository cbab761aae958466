//! The system calls that need more than their wrappers offer.
//!
//! | what | Linux |
//! |---|---|
//! | `waitid(P_PIDFD)` | 5.4 |
//! | `pidfd_send_signal` | 5.1 |
//! | `pidfd_send_signal` with `PIDFD_SIGNAL_PROCESS_GROUP` | 6.9 |
//! | `ioctl(PIDFD_GET_INFO)` with `PIDFD_INFO_EXIT` | 6.15 |

#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::ioctl::{Opcode, opcode};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::exit::{Exit, ExitStatus, Usage};
use super::own;
use super::signal::Signal;
use crate::text::{Text, text};

/// From the kernel's `include/uapi/linux/pidfd.h`.
const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 1 << 2;

/// How long the caller waits for what happens in this very moment: less than a frame.
pub(super) const MOMENT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 5_000_000,
};

/// Whether to block, and whether to reap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Blocks until it has ended, and reaps it.
    Block,
    /// Does not block; reaps it if it has ended.
    Poll,
    /// Does not block, and does not reap it.
    Peek,
}

/// `waitid(P_PIDFD, pidfd, &info, WEXITED | …, &usage)`; see waitid(2).
///
/// The raw call, as the C library's discards the usage.
pub(super) fn wait(pidfd: BorrowedFd<'_>, how: Wait) -> Result<Option<Exit>, Errno> {
    let options = libc::WEXITED
        | match how {
            Wait::Block => 0,
            Wait::Poll => libc::WNOHANG,
            Wait::Peek => libc::WNOHANG | libc::WNOWAIT,
        };
    // SAFETY: numbers and unions of numbers, for which zero is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    retry_on_intr(|| {
        // SAFETY: the descriptor is open, and both pointers are to memory for what the kernel
        // writes.
        done(unsafe {
            libc::syscall(
                libc::SYS_waitid,
                libc::P_PIDFD,
                pidfd.as_raw_fd(),
                &raw mut info,
                options,
                usage.as_mut_ptr(),
            )
        })
    })?;
    // SAFETY: the kernel filled it in or left the zeroes, which are a value as well.
    let usage = unsafe { usage.assume_init() };
    // SAFETY: `waitid` fills in the fields of a SIGCHLD, or leaves zeroes.
    let status = unsafe { info.si_status() };
    let status = match info.si_code {
        // `WNOHANG`, and it is still running.
        0 => return Ok(None),
        libc::CLD_EXITED => ExitStatus::Code(status),
        code => ExitStatus::Signal {
            signal: Signal::reported(status),
            core_dumped: code == libc::CLD_DUMPED,
        },
    };
    Ok(Some(Exit {
        status,
        usage: read(&usage),
    }))
}

fn read(usage: &libc::rusage) -> Usage {
    let duration = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs())
            + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    Usage {
        user_time: duration(usage.ru_utime),
        system_time: duration(usage.ru_stime),
        minor_faults: usage.ru_minflt.unsigned_abs(),
        major_faults: usage.ru_majflt.unsigned_abs(),
        voluntary_switches: usage.ru_nvcsw.unsigned_abs(),
        involuntary_switches: usage.ru_nivcsw.unsigned_abs(),
    }
}

/// `struct pidfd_info` in its first version; see the kernel's `include/uapi/linux/pidfd.h`.
#[repr(C)]
struct Info {
    /// What is wanted, and then what there is.
    mask: u64,
    _cgroup: u64,
    _ids: [u32; 11],
    /// As wait(2) has it.
    exit_code: i32,
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;
const PIDFD_GET_INFO: Opcode = opcode::read_write::<Info>(0xff, 11);

/// How a process ended that others have reaped, where the kernel remembers it.
pub(super) fn exit_of_reaped(pidfd: BorrowedFd<'_>) -> Option<ExitStatus> {
    for _ in 0..3 {
        match remembered(pidfd) {
            Ok(Some(status)) => return Some(status),
            // The kernel is about to reap it. The pidfd hangs up when it has.
            Ok(None) => {
                let mut fds = [PollFd::from_borrowed_fd(pidfd, PollFlags::empty())];
                let _ = poll(&mut fds, Some(&MOMENT));
            }
            // It has just done so.
            Err(Errno::SRCH) => (),
            Err(_) => return None,
        }
    }
    None
}

/// `ioctl(pidfd, PIDFD_GET_INFO, &info)` with `PIDFD_INFO_EXIT`.
fn remembered(pidfd: BorrowedFd<'_>) -> Result<Option<ExitStatus>, Errno> {
    let mut info = Info {
        mask: PIDFD_INFO_EXIT,
        _cgroup: 0,
        _ids: [0; 11],
        exit_code: 0,
    };
    // SAFETY: the number says how large the structure is, and any bits in it are a value.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO.into(), &raw mut info) };
    done(result.into())?;
    let status = info.exit_code;
    Ok(
        (info.mask & PIDFD_INFO_EXIT != 0).then(|| match libc::WIFEXITED(status) {
            true => ExitStatus::Code(libc::WEXITSTATUS(status)),
            false => ExitStatus::Signal {
                signal: Signal::reported(libc::WTERMSIG(status)),
                core_dumped: libc::WCOREDUMP(status),
            },
        }),
    )
}

/// A pidfd of this process, for a child that has to know when it dies. The process keeps its number
/// meanwhile, as it is running.
pub(crate) fn own() -> Result<OwnedFd, Errno> {
    let this = own::id().cast_signed();
    let this = Pid::from_raw(this).expect("a process has a number above zero");
    pidfd_open(this, PidfdFlags::empty())
}

/// Whether the process has ended, whosever child it is.
pub(crate) fn has_ended(pidfd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    // It can be interrupted although it does not wait.
    retry_on_intr(|| poll(&mut fds, Some(&Timespec::default()))) == Ok(1)
}

/// What a signal is sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Process,
    /// The group that the process leads or led. `EINVAL` before Linux 6.9.
    Group,
}

/// `pidfd_send_signal(pidfd, signal, NULL, flags)`; see pidfd_send_signal(2).
pub(crate) fn send(pidfd: BorrowedFd<'_>, signal: Signal, to: To) -> Result<(), Errno> {
    send_number(pidfd, signal.as_raw(), to)
}

/// Whether the kernel signals a group by its leader's pidfd, whichever process that is of.
pub(crate) fn can_signal_groups(pidfd: BorrowedFd<'_>) -> bool {
    // Signal 0 is only a check. The process need not lead a group to learn whether the flag is
    // known.
    send_number(pidfd, 0, To::Group) != Err(Errno::INVAL)
}

fn send_number(pidfd: BorrowedFd<'_>, signal: i32, to: To) -> Result<(), Errno> {
    let flags = match to {
        To::Process => 0,
        To::Group => PIDFD_SIGNAL_PROCESS_GROUP,
    };
    // SAFETY: the descriptor is open; without a siginfo the kernel fills one in as for kill(2).
    done(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            ptr::null::<libc::siginfo_t>(),
            flags,
        )
    })
}

/// `kill(-pid, signal)`; see kill(2). The caller knows that the number still is that of the group.
pub(super) fn send_group_by_number(leader: u32, signal: Signal) -> Result<(), Errno> {
    // SAFETY: plain numbers. A leader's number is above 1, so this is one group and not every
    // process.
    let result = unsafe { libc::kill(-leader.cast_signed(), signal.as_raw()) };
    done(result.into())
}

/// Whether the kernel keeps a child's exit status until we wait for it.
///
/// It discards the status if `SIGCHLD` is ignored explicitly, or with `SA_NOCLDWAIT`; see
/// sigaction(2).
pub(crate) fn check_child_signal() -> Result<(), Text> {
    let mut now = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: only queries, and the pointer is to memory for the result.
    let result = unsafe { libc::sigaction(libc::SIGCHLD, ptr::null(), now.as_mut_ptr()) };
    debug_assert_eq!(
        result, 0,
        "the disposition of a valid signal can be queried"
    );
    // SAFETY: filled in, or zeroes, which are a value.
    let now = unsafe { now.assume_init() };
    if now.sa_sigaction == libc::SIG_IGN {
        return Err(text!(
            "this program ignores SIGCHLD, so the system would discard how the child ends. Set \
             SIGCHLD to its default"
        ));
    }
    if now.sa_flags & libc::SA_NOCLDWAIT != 0 {
        return Err(text!(
            "this program handles SIGCHLD with SA_NOCLDWAIT, so the system would discard how the \
             child ends. Remove that flag"
        ));
    }
    Ok(())
}

/// What a system call has returned, as a result.
fn done(result: libc::c_long) -> Result<(), Errno> {
    match result {
        0 => Ok(()),
        _ => Err(Errno::from_raw_os_error(nix::errno::Errno::last_raw())),
    }
}
