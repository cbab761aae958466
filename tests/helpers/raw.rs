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
    let filter = |code: u32, jt, jf, k| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let mut filters = [
        // The first word of the data is the number.
        filter(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        filter(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, number),
        filter(
            libc::BPF_RET | libc::BPF_K,
            0,
            0,
            libc::SECCOMP_RET_ERRNO | libc::EPERM as u32,
        ),
        filter(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: filters.len() as u16,
        filter: filters.as_mut_ptr(),
    };
    // SAFETY: plain numbers, and a program that outlives the call.
    let results = unsafe {
        [
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program),
        ]
    };
    assert_eq!(results, [0, 0], "{}", std::io::Error::last_os_error());
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
    // Of `struct seccomp_data`: the low half of the second argument.
    let operation = if cfg!(target_endian = "little") {
        24
    } else {
        28
    };
    filter_calls(&[
        step(EQUAL, libc::SYS_epoll_ctl as u32, 3),
        step(LOAD, operation, 0),
        step(EQUAL, libc::EPOLL_CTL_ADD as u32, 1),
        step(RETURN, libc::SECCOMP_RET_ERRNO | libc::ENOSPC as u32, 0),
        step(RETURN, libc::SECCOMP_RET_ALLOW, 0),
    ]);
}

/// Makes this thread's madvise(2) succeed without any effect, as under an emulator. Applies to the thread's children as
/// well.
pub fn heed_no_advice() {
    filter_calls(&[
        step(EQUAL, libc::SYS_madvise as u32, 1),
        step(RETURN, libc::SECCOMP_RET_ERRNO, 0),
        step(RETURN, libc::SECCOMP_RET_ALLOW, 0),
    ]);
}

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

fn step(code: u16, k: u32, otherwise: u8) -> libc::sock_filter {
    libc::sock_filter {
        code,
        jt: 0,
        jf: otherwise,
        k,
    }
}

/// Installs these steps as a filter for every system call of this thread, starting with the call's number.
fn filter_calls(steps: &[libc::sock_filter]) {
    let mut all = vec![step(LOAD, 0, 0)];
    all.extend_from_slice(steps);
    let filter = libc::sock_fprog {
        len: all.len() as u16,
        filter: all.as_mut_ptr(),
    };
    rustix::thread::set_no_new_privs(true).expect("anybody may");
    // SAFETY: a filter and its length, both alive; it only changes what one call returns.
    let result = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const filter,
        )
    };
    assert_eq!(result, 0, "prctl: {}", std::io::Error::last_os_error());
}
