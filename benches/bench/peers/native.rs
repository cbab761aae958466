//! The C library without a wrapper: starting processes, memory, and the poll function of a main context.
//!
//! Beside the program `bench-peer` and what that maps by hand, this is the only module of the benchmark with unsafe code.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_uint};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use glib::translate::ToGlibPtr;
use legwork_benches::clock;

/// A child known by its process id, for peers that have nothing better. It is killed and reaped when dropped.
pub(crate) struct Child {
    pid: libc::pid_t,
}

impl Child {
    pub(crate) fn pid(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// Returns whether it has ended, and can be waited for without blocking.
    pub(crate) fn has_ended(&self) -> io::Result<bool> {
        // SAFETY: a plain structure of numbers, for which zero is a value.
        let mut about: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        let pid = self.pid.unsigned_abs();
        // SAFETY: `about` outlives the call.
        match unsafe { libc::waitid(libc::P_PID, pid, &raw mut about, flags) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: filled in by the call, or zero as before.
            _ => Ok(unsafe { about.si_pid() } != 0),
        }
    }

    /// Waits until the child exits by itself; its exit status must be 0.
    pub(crate) fn wait(self) -> io::Result<()> {
        let status = reap(self.pid);
        std::mem::forget(self);
        match status? {
            0 => Ok(()),
            status => Err(io::Error::other(format!(
                "a peer's child ended with wait status {status:#x}"
            ))),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: a plain system call; the number is ours until it is reaped, which happens only below and in `wait`.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
        let _ = reap(self.pid);
    }
}

fn reap(pid: libc::pid_t) -> io::Result<c_int> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    match unsafe { libc::waitpid(pid, &raw mut status, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(status),
    }
}

/// A program with its arguments, ready to be started any number of times: the preparation is not measured.
pub(crate) struct Program {
    path: CString,
    words: Vec<CString>,
}

impl Program {
    pub(crate) fn new(path: &Path, words: &[&str]) -> crate::Result<Self> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        let words = words
            .iter()
            .map(|word| CString::new(*word))
            .collect::<Result<_, _>>()?;
        Ok(Program { path, words })
    }

    fn argv(&self) -> Vec<*mut c_char> {
        let words = self.words.iter().map(|word| word.as_ptr().cast_mut());
        std::iter::once(self.path.as_ptr().cast_mut())
            .chain(words)
            .chain([ptr::null_mut()])
            .collect()
    }

    /// The shortest `posix_spawn` that leaks nothing: one file action, `closefrom(3)`.
    pub(crate) fn spawn(&self) -> io::Result<Child> {
        self.spawn_with(&[])
    }

    /// The same with `end` as the child's descriptor 3.
    pub(crate) fn spawn_with_end(&self, end: &OwnedFd) -> io::Result<Child> {
        self.spawn_with(&[(end, 3)])
    }

    /// The same with `end` as the child's descriptor 3 and `orders` as its standard input.
    pub(crate) fn spawn_with_orders(&self, end: &OwnedFd, orders: &OwnedFd) -> io::Result<Child> {
        self.spawn_with(&[(orders, 0), (end, 3)])
    }

    /// The same with `end` as the child's descriptor 3 and `output` for its output.
    pub(crate) fn spawn_worker(&self, output: &OwnedFd, end: &OwnedFd) -> io::Result<Child> {
        self.spawn_with(&[(output, 1), (output, 2), (end, 3)])
    }

    /// The same between two pipes.
    pub(crate) fn spawn_between(&self, input: &OwnedFd, output: &OwnedFd) -> io::Result<Child> {
        self.spawn_with(&[(input, 0), (output, 1)])
    }

    /// `map` is assigned to targets in ascending order, from numbers above them.
    fn spawn_with(&self, map: &[(&OwnedFd, c_int)]) -> io::Result<Child> {
        let argv = self.argv();
        let mut actions = Actions::new()?;
        for (source, target) in map {
            actions.dup2(source, *target)?;
        }
        actions.closefrom(map.last().map_or(3, |(_, target)| 3.max(target + 1)))?;
        let mut pid = 0;
        // SAFETY: the path and the arguments are terminated by NUL, the list by a null pointer, and all of them and the
        // actions outlive the call; nothing in this program changes the environment.
        check(unsafe {
            libc::posix_spawn(
                &raw mut pid,
                self.path.as_ptr(),
                &raw const actions.0,
                ptr::null(),
                argv.as_ptr(),
                environ(),
            )
        })?;
        Ok(Child { pid })
    }

    /// Forks, closes everything above 2, and executes: what a careful program did before `closefrom`.
    pub(crate) fn fork_and_exec(&self) -> io::Result<Child> {
        let argv = self.argv();
        // SAFETY: the child calls only `close_range`, `execve` and `_exit`, which are all async-signal-safe, on memory
        // that was prepared before.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                // SAFETY: see above; the arguments are as for `posix_spawn`.
                #[allow(clippy::multiple_unsafe_ops_per_block)]
                unsafe {
                    libc::syscall(libc::SYS_close_range, 3, c_uint::MAX, 0);
                    libc::execve(self.path.as_ptr(), argv.as_ptr().cast(), environ().cast());
                    libc::_exit(127)
                }
            }
            pid => Ok(Child { pid }),
        }
    }
}

/// Runs `work` in a fork of this process, which a program that uses GLib must not do: for controls only. The child ends
/// after ten seconds in any case.
pub(crate) fn fork_without_exec(work: impl FnOnce()) -> io::Result<Child> {
    // SAFETY: none for the child, and that is the point; its process was started to be ruined.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: a plain system call.
            unsafe { libc::alarm(10) };
            work();
            // SAFETY: ends the child without running the exit handlers that its parent has registered.
            unsafe { libc::_exit(0) }
        }
        pid => Ok(Child { pid }),
    }
}

/// Returns descriptor 3, in a child that was started with it.
#[cfg(any(feature = "bus", feature = "peers"))]
pub(crate) fn inherited_end() -> OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: called once, in a process that was started with its end there.
    unsafe { OwnedFd::from_raw_fd(3) }
}

fn environ() -> *const *mut c_char {
    unsafe extern "C" {
        static environ: *const *mut c_char;
    }
    // SAFETY: the C library sets it before `main`, and nothing in this program writes to the environment.
    unsafe { environ }
}

struct Actions(libc::posix_spawn_file_actions_t);

impl Actions {
    fn new() -> io::Result<Self> {
        let mut actions = MaybeUninit::uninit();
        // SAFETY: the call initialises what the pointer points at.
        check(unsafe { libc::posix_spawn_file_actions_init(actions.as_mut_ptr()) })?;
        // SAFETY: initialised above, as the return value says.
        Ok(Actions(unsafe { actions.assume_init() }))
    }

    fn dup2(&mut self, source: &OwnedFd, target: c_int) -> io::Result<()> {
        // SAFETY: the actions are initialised; a descriptor is a number here.
        check(unsafe {
            libc::posix_spawn_file_actions_adddup2(&raw mut self.0, source.as_raw_fd(), target)
        })
    }

    fn closefrom(&mut self, first: c_int) -> io::Result<()> {
        // SAFETY: the actions are initialised.
        check(unsafe { libc::posix_spawn_file_actions_addclosefrom_np(&raw mut self.0, first) })
    }
}

impl Drop for Actions {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

/// Checks the result of functions that return an errno and do not set it.
fn check(errno: c_int) -> io::Result<()> {
    if errno == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(errno))
    }
}

/// Returns the version of the C library in use.
pub(crate) fn glibc_version() -> String {
    // SAFETY: no arguments and no conditions.
    let version = unsafe { libc::gnu_get_libc_version() };
    // SAFETY: a static string, ended by NUL.
    unsafe { CStr::from_ptr(version) }
        .to_string_lossy()
        .into_owned()
}

/// Returns the version of GLib in use.
pub(crate) fn glib_version() -> String {
    unsafe extern "C" {
        static glib_major_version: c_uint;
        static glib_minor_version: c_uint;
        static glib_micro_version: c_uint;
    }
    // SAFETY: constants of the library, under the names and the type of its header.
    let (major, minor, micro) =
        unsafe { (glib_major_version, glib_minor_version, glib_micro_version) };
    format!("{major}.{minor}.{micro}")
}

/// The size of the pages of the app's memory: with 4 KiB pages, `fork` has the most page tables to copy.
#[derive(Clone, Copy)]
pub(crate) enum Pages {
    Small,
    Huge,
}

/// Memory that the app holds: mapped, touched, and freed when dropped.
pub(crate) struct Ballast {
    address: *mut libc::c_void,
    len: usize,
}

impl Ballast {
    pub(crate) fn hold(len: usize, pages: Pages) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let address = unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let ballast = Ballast { address, len };
        let advice = match pages {
            Pages::Small => libc::MADV_NOHUGEPAGE,
            Pages::Huge => libc::MADV_HUGEPAGE,
        };
        // SAFETY: advice about the mapping made above.
        if unsafe { libc::madvise(address, len, advice) } == -1 {
            return Err(io::Error::last_os_error());
        }
        for offset in (0..len).step_by(4096) {
            // SAFETY: within the mapping, which nothing else uses.
            unsafe { address.cast::<u8>().wrapping_add(offset).write_volatile(1) };
        }
        Ok(ballast)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        // SAFETY: mapped by `hold` with this length; nothing else refers to it.
        unsafe { libc::munmap(self.address, self.len) };
    }
}

thread_local! {
    static WATCH: Cell<Watch> = const { Cell::new(Watch::NEW) };
}

/// What a main context did on this thread since it was watched.
#[derive(Clone, Copy)]
pub(crate) struct Watch {
    /// How often it polled, which is how often it iterated.
    pub(crate) polls: u64,
    /// The longest time between a return from poll and the next call: nothing was drawn during that time.
    pub(crate) longest: u64,
    /// The most processor time in between. A thread that waits for its turn on a busy machine uses none.
    pub(crate) longest_work: u64,
    returned: u64,
    returned_work: u64,
}

impl Watch {
    const NEW: Watch = Watch {
        polls: 0,
        longest: 0,
        longest_work: 0,
        returned: 0,
        returned_work: 0,
    };

    fn poll_returned(self) -> Self {
        Watch {
            returned: clock::now(),
            returned_work: clock::thread_time(),
            ..self
        }
    }

    fn poll_called(self) -> Self {
        Watch {
            longest: self.longest.max(clock::now() - self.returned),
            longest_work: self
                .longest_work
                .max(clock::thread_time() - self.returned_work),
            ..self
        }
    }
}

/// Starts to count what `context` does on this thread, by its poll function (`g_main_context_set_poll_func`).
pub(crate) fn watch(context: &glib::MainContext) {
    WATCH.set(Watch::NEW.poll_returned());
    let context: *mut glib::ffi::GMainContext = context.to_glib_none().0;
    // SAFETY: the context is alive, and the function has the type that GLib requires and keeps no reference to it.
    unsafe { glib::ffi::g_main_context_set_poll_func(context, Some(watched_poll)) };
}

/// Returns what was counted since [`watch`], including the time from the last poll until now.
pub(crate) fn watched() -> Watch {
    WATCH.get().poll_called()
}

unsafe extern "C" fn watched_poll(
    fds: *mut glib::ffi::GPollFD,
    count: c_uint,
    timeout: c_int,
) -> c_int {
    let watch = WATCH.get().poll_called();
    // SAFETY: GLib's own poll with GLib's own arguments.
    let ready = unsafe { glib::ffi::g_poll(fds, count, timeout) };
    let polls = watch.polls + 1;
    WATCH.set(Watch { polls, ..watch }.poll_returned());
    ready
}
