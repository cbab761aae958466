//! What Rust's types rule out but a test must do: only in processes that exist to be ruined.

#![allow(unsafe_code)]
// Several calls belong together, in code that is meant to be wrong.
#![allow(clippy::multiple_unsafe_ops_per_block)]

use std::{ffi::CString, os::fd::RawFd, path::Path, ptr};

/// Closes a descriptor by its number, whoever owns it.
pub fn close(number: RawFd) {
    // SAFETY: the caller is a process that exists for this, and no longer uses the number.
    unsafe { libc::close(number) };
}

/// Sends bytes to a socket by its number.
pub fn send_to(number: RawFd, bytes: &[u8]) -> rustix::io::Result<usize> {
    // SAFETY: borrowed for one call, which fails if nothing is open there.
    let socket = unsafe { std::os::fd::BorrowedFd::borrow_raw(number) };
    rustix::net::send(socket, bytes, rustix::net::SendFlags::NOSIGNAL)
}

/// Returns the process group and the session of this process. They are 0 if the leader is outside the PID namespace, as
/// in some containers, and rustix requires a group to be above 0.
pub fn group_and_session() -> (i32, i32) {
    // SAFETY: both calls return a number of this process, and cannot fail for it.
    unsafe { (libc::getpgrp(), libc::getsid(0)) }
}

/// The disposition of a signal.
#[derive(Clone, Copy, Debug)]
pub enum Disposition {
    /// `SIG_DFL`.
    Default,
    /// `SIG_IGN`.
    Ignore,
    /// `SIG_DFL` with `SA_NOCLDWAIT`.
    DefaultWithoutWait,
}

/// `sigaction(signal, …)`.
pub fn dispose(signal: i32, disposition: Disposition) {
    // SAFETY: plain numbers, for which zero is a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    match disposition {
        Disposition::Default => {}
        Disposition::Ignore => action.sa_sigaction = libc::SIG_IGN,
        Disposition::DefaultWithoutWait => action.sa_flags = libc::SA_NOCLDWAIT,
    }
    // SAFETY: no handler is installed, so nothing is called.
    let result = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    let fixed = [libc::SIGKILL, libc::SIGSTOP].contains(&signal);
    assert!(result == 0 || fixed, "sigaction({signal})");
}

/// Forks. The copy runs `work` and exits.
///
/// For controls, and for handles in forked copies. The work must not need a lock that another thread holds.
pub fn in_a_forked_copy(work: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the caller has no thread whose locks the work would need.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(101);
            // SAFETY: ends the copy without the cleanup that belongs to the original.
            unsafe { libc::_exit(code) }
        }
        pid => {
            let mut status = 0;
            // SAFETY: our own child, and space for its status.
            let reaped = unsafe { libc::waitpid(pid, &raw mut status, 0) };
            assert_eq!(reaped, pid);
            if libc::WIFEXITED(status) {
                libc::WEXITSTATUS(status)
            } else {
                128 + libc::WTERMSIG(status)
            }
        }
    }
}

/// A copy of this process that keeps running without an exec: every control of a scene uses it. Killed on drop.
#[derive(Debug)]
pub struct ForkedCopy(libc::pid_t);

impl ForkedCopy {
    /// Forks; the copy runs `work` and exits with the code that it returns. It ends with this process.
    pub fn new(work: impl FnOnce() -> i32) -> Self {
        // SAFETY: a control. That the copy may find locks held forever is what it is meant to show.
        match unsafe { libc::fork() } {
            -1 => panic!("fork: {}", std::io::Error::last_os_error()),
            0 => {
                // SAFETY: plain numbers.
                unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
                let code =
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or(101);
                // SAFETY: ends the copy without the cleanup that belongs to the original.
                unsafe { libc::_exit(code) }
            }
            pid => Self(pid),
        }
    }

    /// Returns its process id.
    pub fn pid(&self) -> u32 {
        self.0.cast_unsigned()
    }

    /// Returns how it ended, its code or 128 plus the signal; `None` if it still runs after this time.
    pub fn end_within(&self, time: std::time::Duration) -> Option<i32> {
        let pid = rustix::process::Pid::from_raw(self.0).expect("the number of a process");
        let flags = rustix::process::PidfdFlags::empty();
        let pidfd = rustix::process::pidfd_open(pid, flags).expect("a child that is not reaped");
        let mut poll = [rustix::event::PollFd::new(
            &pidfd,
            rustix::event::PollFlags::IN,
        )];
        let time = rustix::event::Timespec::try_from(time).expect("a time");
        if rustix::event::poll(&mut poll, Some(&time)) == Ok(0) {
            return None;
        }
        // SAFETY: plain numbers, for which zero is a value.
        let mut end: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let leave_it = libc::WEXITED | libc::WNOWAIT;
        // SAFETY: space for the status of our own child, which the drop will reap.
        let status = unsafe {
            let id = self.0.cast_unsigned();
            assert_eq!(libc::waitid(libc::P_PID, id, &raw mut end, leave_it), 0);
            end.si_status()
        };
        Some(if end.si_code == libc::CLD_EXITED {
            status
        } else {
            128 + status
        })
    }
}

impl Drop for ForkedCopy {
    fn drop(&mut self) {
        // SAFETY: our own child, not reaped yet, so the number is still its own.
        unsafe {
            libc::kill(self.0, libc::SIGKILL);
            libc::waitpid(self.0, ptr::null_mut(), 0);
        }
    }
}

/// Forks as a library of the app's might: the copy holds all of the app's descriptors, and outlives the app. It ends by
/// itself after a while. Returns its process id.
pub fn leave_a_copy() -> u32 {
    // SAFETY: the copy calls only functions that signal-safety(7) lists.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => {
            // SAFETY: plain numbers.
            unsafe {
                // A kill of the app's group must not reach the copy.
                libc::setpgid(0, 0);
                libc::sleep(300);
                libc::_exit(0)
            }
        }
        pid => pid.cast_unsigned(),
    }
}

/// Creates an event in memory that this process shares with its forked copies, and returns its address.
pub fn make_event() -> usize {
    let access = rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE;
    // SAFETY: a new mapping, which stays for good.
    let page = unsafe {
        rustix::mm::mmap_anonymous(ptr::null_mut(), 4096, access, rustix::mm::MapFlags::SHARED)
    };
    page.expect("a page").expose_provenance()
}

/// Sets an event, which is a word of memory, at this address; returns the old value.
///
/// A handle as used with fork: valid in a copy of the process that created it, and in no other.
#[inline(never)]
pub fn set_event_at(address: usize) -> u32 {
    let event: *const std::sync::atomic::AtomicU32 = ptr::with_exposed_provenance(address);
    // SAFETY: none if there is no event: this is the fault that the test is about, in a process of its own.
    unsafe { &*event }.swap(1, std::sync::atomic::Ordering::SeqCst)
}

/// Counts the handlers that `fork` calls.
pub mod atfork {
    use std::sync::atomic::{AtomicU32, Ordering};

    static CALLED: AtomicU32 = AtomicU32::new(0);

    unsafe extern "C" fn count() {
        CALLED.fetch_add(1, Ordering::SeqCst);
    }

    unsafe extern "C" {
        fn pthread_atfork(
            prepare: Option<unsafe extern "C" fn()>,
            parent: Option<unsafe extern "C" fn()>,
            child: Option<unsafe extern "C" fn()>,
        ) -> libc::c_int;
    }

    /// Starts counting.
    pub fn watch() {
        // SAFETY: the handler only changes an atomic.
        let result = unsafe { pthread_atfork(Some(count), None, None) };
        assert_eq!(result, 0, "pthread_atfork");
    }

    /// Returns how often this process was about to be forked.
    pub fn called() -> u32 {
        CALLED.load(Ordering::SeqCst)
    }
}

/// Blocks every signal in the calling thread.
pub fn block_every_signal() {
    // SAFETY: the set is filled in before it is used.
    let errno = unsafe {
        let mut every: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut every);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const every, ptr::null_mut())
    };
    assert_eq!(errno, 0, "pthread_sigmask");
}

/// How a naive start sets signals.
#[derive(Clone, Copy, Debug)]
pub enum Defaults {
    /// Nothing.
    None,
    /// `SETSIGDEF` with what `sigfillset` considers all.
    Sigfillset,
}

/// Calls `posix_spawn` in the simplest way, which closes nothing and keeps the caller's mask. The control.
pub fn naive_posix_spawn(program: &Path, argument: &Path, defaults: Defaults) -> libc::pid_t {
    use std::os::unix::ffi::OsStrExt;
    let strings =
        [program, argument].map(|path| CString::new(path.as_os_str().as_bytes()).unwrap());
    let mut arguments: Vec<_> = strings.iter().map(|s| s.as_ptr().cast_mut()).collect();
    arguments.push(ptr::null_mut());
    let environment = [ptr::null_mut()];
    let mut pid = 0;
    // SAFETY: the attributes are initialised before use; all pointers are to values on this stack.
    let errno = unsafe {
        let mut attributes: libc::posix_spawnattr_t = std::mem::zeroed();
        libc::posix_spawnattr_init(&raw mut attributes);
        if let Defaults::Sigfillset = defaults {
            let mut every: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut every);
            libc::posix_spawnattr_setsigdefault(&raw mut attributes, &raw const every);
            let flags = libc::POSIX_SPAWN_SETSIGDEF as libc::c_short;
            libc::posix_spawnattr_setflags(&raw mut attributes, flags);
        }
        let errno = libc::posix_spawn(
            &raw mut pid,
            strings[0].as_ptr(),
            ptr::null(),
            &raw const attributes,
            arguments.as_ptr(),
            environment.as_ptr(),
        );
        libc::posix_spawnattr_destroy(&raw mut attributes);
        errno
    };
    assert_eq!(errno, 0, "posix_spawn");
    pid
}

/// Calls `setuid`, which cannot be undone.
pub fn become_user(number: u32) {
    // SAFETY: a plain number.
    let result = unsafe { libc::setuid(number) };
    assert_eq!(result, 0, "setuid: {}", std::io::Error::last_os_error());
}

/// Makes this system call fail with EPERM, in this process and in what it starts.
pub fn deny(number: u32) {
    filter_calls(&[step(EQUAL, number, 1), error(libc::EPERM), ALLOW]);
}

/// Sends a signal to the calling process, unblocked and with its default action, and so ends it.
pub fn end_by_signal(number: i32) {
    dispose(number, Disposition::Default);
    // SAFETY: a plain number.
    unsafe { libc::raise(number) };
}

/// Sends SIGKILL by number, to a process that the test knows to be still the same.
pub fn kill(pid: u32) {
    // SAFETY: plain numbers.
    unsafe { libc::kill(pid.cast_signed(), libc::SIGKILL) };
}

/// Sends any signal by number, to a process that the test knows to be still the same.
pub fn signal(pid: u32, number: i32) {
    // SAFETY: plain numbers.
    unsafe { libc::kill(pid.cast_signed(), number) };
}

/// Returns the version of the C library that is in use, as major and minor number.
pub fn glibc_version() -> (u32, u32) {
    // SAFETY: returns a constant C string.
    let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
    let version = version.to_str().expect("a version is plain text");
    let (major, minor) = version.split_once('.').expect("a version has a dot");
    let number = |text: &str| text.parse().expect("a number");
    (number(major), number(minor))
}

/// Calls `g_object_run_dispose`: what a window does when it is closed, whoever still holds it.
pub fn run_dispose(object: &impl legwork::glib::prelude::IsA<legwork::glib::Object>) {
    use legwork::glib::prelude::ObjectExt;
    // SAFETY: the object is only dropped from here on.
    unsafe { object.run_dispose() };
}

/// The capability to do most of what an administrator does; see capabilities(7).
pub const CAP_SYS_ADMIN: u32 = 21;

/// The capability to raise hard limits; see capabilities(7).
pub const CAP_SYS_RESOURCE: u32 = 24;

/// Removes a capability from everything that this process starts, if it has the right to do so.
pub fn give_up_capability(number: u32) {
    // SAFETY: plain numbers. Processes without capabilities are refused.
    unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0) };
}

/// Returns to the system the memory that the allocator keeps for later.
pub fn trim_memory() {
    // SAFETY: a plain number.
    unsafe { libc::malloc_trim(0) };
}

/// Makes epoll refuse any further descriptor of this thread, as if the user had too many watched: ENOSPC, see
/// epoll_ctl(2). Descriptors that are watched already stay watched. Applies to the thread's children as well.
pub fn refuse_to_watch() {
    filter_calls(&[
        step(EQUAL, libc::SYS_epoll_ctl as u32, 3),
        load_argument(1),
        step(EQUAL, libc::EPOLL_CTL_ADD as u32, 1),
        error(libc::ENOSPC),
        ALLOW,
    ]);
}

/// Makes this thread's madvise(2) succeed without any effect, as under an emulator. Applies to the thread's children as
/// well.
pub fn heed_no_advice() {
    filter_calls(&[step(EQUAL, libc::SYS_madvise as u32, 1), error(0), ALLOW]);
}

/// Returns whether a pidfd can be asked about its process, as it can since Linux 6.13: not under the filter below.
pub fn pidfds_have_info() -> bool {
    use std::os::fd::AsRawFd;
    let this = rustix::process::getpid();
    let pidfd = rustix::process::pidfd_open(this, rustix::process::PidfdFlags::empty());
    let pidfd = pidfd.expect("of this process");
    // `struct pidfd_info` in its first version, and the number of the request with its length.
    let mut info = [0u64; 8];
    let get_info = rustix::ioctl::opcode::read_write::<[u64; 8]>(0xff, 11);
    // SAFETY: the number says how large the structure is.
    unsafe { libc::ioctl(pidfd.as_raw_fd(), get_info.into(), info.as_mut_ptr()) == 0 }
}

/// Returns whether a process group can be signalled by the pidfd of its leader, as since Linux 6.9.
pub fn groups_have_pidfds() -> bool {
    use std::os::fd::AsRawFd;
    let this = rustix::process::getpid();
    let pidfd = rustix::process::pidfd_open(this, rustix::process::PidfdFlags::empty());
    let pidfd = pidfd.expect("of this process");
    let (call, to_group) = (libc::SYS_pidfd_send_signal, 1 << 2);
    // SAFETY: signal 0 is only a check.
    let result = unsafe { libc::syscall(call, pidfd.as_raw_fd(), 0, ptr::null::<u8>(), to_group) };
    result == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::EINVAL)
}

/// Takes from this thread, and from what it starts, what Linux has learned since 5.10 as far as the library uses it, and
/// faccessat2(2), which older containers do not know either.
pub fn be_an_older_kernel() {
    let unknown = |call: i64| [step(EQUAL, call as u32, 1), error(libc::ENOSYS)];
    let no_flags = |call: i64, argument, errno| {
        [
            step(EQUAL, call as u32, 4),
            load_argument(argument),
            step(EQUAL, 0, 1),
            ALLOW,
            error(errno),
        ]
    };
    let mut steps = Vec::new();
    steps.extend(unknown(libc::SYS_faccessat2));
    // 5.11.
    steps.extend(unknown(libc::SYS_epoll_pwait2));
    // The process group of a pidfd: 6.9.
    steps.extend(no_flags(libc::SYS_pidfd_send_signal, 3, libc::EINVAL));
    // RWF_NOSIGNAL: 6.18.
    steps.extend(no_flags(libc::SYS_pwritev2, 5, libc::EOPNOTSUPP));
    // MADV_POPULATE_READ and MADV_POPULATE_WRITE: 5.14.
    steps.extend([
        step(EQUAL, libc::SYS_madvise as u32, 5),
        load_argument(2),
        step(EQUAL, libc::MADV_POPULATE_READ as u32, 1),
        error(libc::EINVAL),
        step(EQUAL, libc::MADV_POPULATE_WRITE as u32, 1),
        error(libc::EINVAL),
        // The number again, for what follows.
        step(LOAD, 0, 0),
    ]);
    // PIDFD_GET_INFO, whatever the length of what it fills in: 6.13.
    steps.extend([
        step(EQUAL, libc::SYS_ioctl as u32, 4),
        load_argument(1),
        step(AND, 0xffff, 0),
        step(EQUAL, 0xff0b, 1),
        error(libc::ENOTTY),
        ALLOW,
    ]);
    filter_calls(&steps);
}

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const AND: u16 = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
const ALLOW: libc::sock_filter = step(RETURN, libc::SECCOMP_RET_ALLOW, 0);

/// Ends the call with this error, or with 0.
const fn error(errno: i32) -> libc::sock_filter {
    step(RETURN, libc::SECCOMP_RET_ERRNO | errno as u32, 0)
}

/// Loads the low half of an argument, from `struct seccomp_data`.
const fn load_argument(index: u32) -> libc::sock_filter {
    let low = if cfg!(target_endian = "little") { 0 } else { 4 };
    step(LOAD, 16 + 8 * index + low, 0)
}

/// A step; one that compares leaves out so many after it when it finds something else.
const fn step(code: u16, k: u32, otherwise: u8) -> libc::sock_filter {
    libc::sock_filter {
        code,
        jt: 0,
        jf: otherwise,
        k,
    }
}

/// Installs these steps as a filter for every system call of this thread, starting with the call's number. One who may do
/// it without giving up new privileges keeps them.
fn filter_calls(steps: &[libc::sock_filter]) {
    let mut all = vec![step(LOAD, 0, 0)];
    all.extend_from_slice(steps);
    let filter = libc::sock_fprog {
        len: all.len() as u16,
        filter: all.as_mut_ptr(),
    };
    // SAFETY: a filter and its length, both alive; it only changes what one call returns.
    let install = || unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const filter,
        )
    };
    if install() != 0 {
        rustix::thread::set_no_new_privs(true).expect("anybody may");
        assert_eq!(install(), 0, "prctl: {}", std::io::Error::last_os_error());
    }
}
