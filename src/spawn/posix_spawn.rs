//! The one place where a process is created: `posix_spawn`, with everything decided beforehand.
//!
//! glibc 2.39 has `pidfd_spawn`, which returns the pidfd with the child, free of every race; it is
//! looked up at run time. Older versions have `posix_spawn` and `pidfd_open`. Their use of a number
//! is safe because an unreaped child keeps its number; only code that reaps foreign children could
//! free it in between.
//!
//! | what | since |
//! |---|---|
//! | `pidfd_open`, waiting by pidfd | Linux 5.3, 5.4 |
//! | `posix_spawn_file_actions_addchdir_np`, `addfchdir_np` | glibc 2.29 |
//! | `posix_spawn_file_actions_addclosefrom_np` | glibc 2.34 |
//! | `pidfd_spawn`, `pidfd_getpid` | glibc 2.39 |
//!
//! The C library's setters return an error number and leave `errno` alone; every one is checked.

#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_short, c_void};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::OnceLock;

use libc::{pid_t, posix_spawn_file_actions_t, posix_spawnattr_t};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::attributes::{Group, Mask};
use super::directory::WorkingDirectory;
use super::environment::Strings;
use super::error::SpawnError;
use super::map::Action;
use crate::process::{destroy, pidfd};

/// Everything that `posix_spawn` is passed.
pub(super) struct Invocation<'a> {
    pub(super) program: &'a CStr,
    pub(super) arguments: &'a [CString],
    pub(super) environment: &'a Strings,
    pub(super) directory: Option<&'a WorkingDirectory>,
    pub(super) actions: &'a [Action],
    pub(super) terminal: Option<&'a CStr>,
    pub(super) group: Group,
    pub(super) signals: Mask,
    /// A bit for each signal whose disposition is left alone.
    pub(super) ignored: u64,
}

/// A child that executes its program.
pub(super) struct Child {
    pub(super) pid: u32,
    pub(super) pidfd: OwnedFd,
}

/// Which call failed, as far as this module can see.
#[derive(Debug)]
pub(super) enum Fault {
    /// A setter of the C library refused its argument or was short of memory.
    Setter { call: &'static str, errno: i32 },
    /// `posix_spawn` itself: the new process, its actions, or the execution.
    Spawn { errno: i32 },
    /// The child could get no pidfd, and has been killed for that.
    Pidfd { errno: i32 },
}

/// Reserves an entry of the app's descriptor table for the pidfd, until right before the child
/// exists.
///
/// A full table is thus an error while there is no child yet, and not after one has begun to run.
#[derive(Debug)]
pub(crate) struct Reservation {
    app: OwnedFd,
}

impl Reservation {
    pub(crate) fn new() -> Result<Self, SpawnError> {
        // By a pidfd, so that a kernel or a sandbox without pidfds is noticed as well.
        let app =
            pidfd::own().map_err(|errno| SpawnError::no_pidfd(errno.raw_os_error(), false))?;
        Ok(Self { app })
    }

    /// What occupies the entry: a pidfd of the app.
    #[cfg(feature = "app")]
    pub(crate) fn app(&self) -> BorrowedFd<'_> {
        self.app.as_fd()
    }
}

/// Starts the child.
pub(super) fn spawn(invocation: &Invocation<'_>, reservation: Reservation) -> Result<Child, Fault> {
    let actions = FileActions::new(invocation)?;
    let attributes = Attributes::new(invocation.group, invocation.signals, invocation.ignored)?;
    let arguments = pointers(invocation.arguments.iter().map(|argument| &**argument));
    let environment = pointers(invocation.environment.iter());
    let call = Call {
        program: invocation.program.as_ptr(),
        actions: &raw const actions.0,
        attributes: &raw const attributes.0,
        arguments: arguments.as_ptr(),
        environment: environment.as_ptr(),
    };
    match PidfdSpawn::find() {
        Some(with_pidfd) => with_pidfd.spawn(&call, reservation),
        None => call.spawn(reservation),
    }
}

/// The pointers stay valid as long as what [`spawn`] keeps on its stack.
struct Call {
    program: *const c_char,
    actions: *const posix_spawn_file_actions_t,
    attributes: *const posix_spawnattr_t,
    arguments: *const *mut c_char,
    environment: *const *mut c_char,
}

impl Call {
    fn spawn(&self, reservation: Reservation) -> Result<Child, Fault> {
        let mut pid: pid_t = 0;
        // SAFETY: the program is a C string; actions and attributes were initialised and live; both
        // lists are arrays of C strings that end with a null pointer, and the C library does not
        // write to them (they are `char *const[]` for history's sake). All of them outlive the
        // call, in which the child borrows this process' memory, as it returns only after the child
        // has executed its program or is gone.
        let errno = unsafe {
            libc::posix_spawn(
                &raw mut pid,
                self.program,
                self.actions,
                self.attributes,
                self.arguments,
                self.environment,
            )
        };
        if errno != 0 {
            return Err(Fault::Spawn { errno });
        }
        drop(reservation);
        let child = Pid::from_raw(pid).expect("posix_spawn returns a process id above zero");
        match pidfd_open(child, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Child {
                pid: pid.cast_unsigned(),
                pidfd,
            }),
            Err(errno) => {
                destroy::by_number(child);
                Err(Fault::Pidfd {
                    errno: errno.raw_os_error(),
                })
            }
        }
    }
}

type PidfdSpawnFn = unsafe extern "C" fn(
    *mut c_int,
    *const c_char,
    *const posix_spawn_file_actions_t,
    *const posix_spawnattr_t,
    *const *mut c_char,
    *const *mut c_char,
) -> c_int;
type PidfdGetpidFn = unsafe extern "C" fn(c_int) -> pid_t;

/// The pair of functions of glibc 2.39.
#[derive(Clone, Copy)]
struct PidfdSpawn {
    spawn: PidfdSpawnFn,
    getpid: PidfdGetpidFn,
}

impl PidfdSpawn {
    fn find() -> Option<Self> {
        static FOUND: OnceLock<Option<PidfdSpawn>> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let spawn = symbol(c"pidfd_spawn")?;
            let getpid = symbol(c"pidfd_getpid")?;
            Some(Self {
                // SAFETY: a C library that has `pidfd_spawn` has it with this signature, see its
                // <spawn.h>.
                spawn: unsafe { std::mem::transmute::<*mut c_void, PidfdSpawnFn>(spawn) },
                // SAFETY: likewise `pidfd_getpid`, see its <sys/pidfd.h>.
                getpid: unsafe { std::mem::transmute::<*mut c_void, PidfdGetpidFn>(getpid) },
            })
        })
    }

    fn spawn(self, call: &Call, reservation: Reservation) -> Result<Child, Fault> {
        let mut raw: c_int = -1;
        // SAFETY: as in `Call::spawn`, of which this is the sibling.
        let errno = unsafe {
            (self.spawn)(
                &raw mut raw,
                call.program,
                call.actions,
                call.attributes,
                call.arguments,
                call.environment,
            )
        };
        match errno {
            0 => (),
            // A kernel or a sandbox without what it needs, or only one free descriptor. The other
            // way can do with that, as it opens nothing but the pidfd.
            libc::ENOSYS | libc::EMFILE => return call.spawn(reservation),
            _ => return Err(Fault::Spawn { errno }),
        }
        drop(reservation);
        // SAFETY: on success the number is a new descriptor, owned by nobody else, close-on-exec.
        let pidfd = unsafe { OwnedFd::from_raw_fd(raw) };
        // SAFETY: takes a plain number and reads what `/proc` says about it.
        let pid = unsafe { (self.getpid)(pidfd.as_raw_fd()) };
        match u32::try_from(pid) {
            Ok(pid) => Ok(Child { pid, pidfd }),
            Err(_) => {
                let errno = nix::errno::Errno::last_raw();
                destroy::by_pidfd(pidfd);
                Err(Fault::Pidfd { errno })
            }
        }
    }
}

fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name is a C string; looking a symbol up has no side effect.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

/// An array of C strings, ended by a null pointer.
fn pointers<'a>(strings: impl Iterator<Item = &'a CStr>) -> Vec<*mut c_char> {
    strings
        .map(|string| string.as_ptr().cast_mut())
        .chain([ptr::null_mut()])
        .collect()
}

fn check(call: &'static str, errno: c_int) -> Result<(), Fault> {
    match errno {
        0 => Ok(()),
        errno => Err(Fault::Setter { call, errno }),
    }
}

struct FileActions(posix_spawn_file_actions_t);

impl FileActions {
    fn new(invocation: &Invocation<'_>) -> Result<Self, Fault> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: the pointer is to memory for one such object.
        let errno = unsafe { libc::posix_spawn_file_actions_init(raw.as_mut_ptr()) };
        check("posix_spawn_file_actions_init", errno)?;
        // SAFETY: the call above succeeded and has initialised it. It holds no pointer to itself,
        // so it may move.
        let mut actions = Self(unsafe { raw.assume_init() });
        // First, while the directory's descriptor still has its number.
        if let Some(directory) = invocation.directory {
            actions.enter(directory)?;
        }
        for action in invocation.actions {
            actions.add(*action)?;
        }
        // A terminal that the leader of a new session opens becomes the session's controlling
        // terminal.
        if let Some(terminal) = invocation.terminal {
            actions.open(0, terminal, libc::O_RDWR)?;
            actions.add(Action::Duplicate { from: 0, to: 1 })?;
            actions.add(Action::Duplicate { from: 0, to: 2 })?;
        }
        Ok(actions)
    }

    fn enter(&mut self, directory: &WorkingDirectory) -> Result<(), Fault> {
        match directory {
            WorkingDirectory::Open { fd, .. } => {
                // SAFETY: initialised actions and a plain number.
                let errno = unsafe {
                    libc::posix_spawn_file_actions_addfchdir_np(&raw mut self.0, fd.as_raw_fd())
                };
                check("posix_spawn_file_actions_addfchdir_np", errno)
            }
            WorkingDirectory::Named { raw, .. } => {
                // SAFETY: initialised actions and a C string, of which a copy is made.
                let errno = unsafe {
                    libc::posix_spawn_file_actions_addchdir_np(&raw mut self.0, raw.as_ptr())
                };
                check("posix_spawn_file_actions_addchdir_np", errno)
            }
        }
    }

    fn add(&mut self, action: Action) -> Result<(), Fault> {
        let actions = &raw mut self.0;
        match action {
            Action::Duplicate { from, to } => {
                // SAFETY: initialised actions and plain numbers.
                let errno = unsafe { libc::posix_spawn_file_actions_adddup2(actions, from, to) };
                check("posix_spawn_file_actions_adddup2", errno)
            }
            Action::Close(number) => {
                // SAFETY: initialised actions and a plain number.
                let errno = unsafe { libc::posix_spawn_file_actions_addclose(actions, number) };
                check("posix_spawn_file_actions_addclose", errno)
            }
            Action::CloseFrom(number) => {
                // SAFETY: initialised actions and a plain number.
                let errno =
                    unsafe { libc::posix_spawn_file_actions_addclosefrom_np(actions, number) };
                check("posix_spawn_file_actions_addclosefrom_np", errno)
            }
            Action::OpenNull(number) => self.open(number, c"/dev/null", libc::O_RDWR),
        }
    }

    fn open(&mut self, number: c_int, path: &CStr, flags: c_int) -> Result<(), Fault> {
        // SAFETY: initialised actions, and a C string of which a copy is made.
        let errno = unsafe {
            libc::posix_spawn_file_actions_addopen(&raw mut self.0, number, path.as_ptr(), flags, 0)
        };
        check("posix_spawn_file_actions_addopen", errno)
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialised, and used no more.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

struct Attributes(posix_spawnattr_t);

impl Attributes {
    fn new(group: Group, mask: Mask, ignored: u64) -> Result<Self, Fault> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: the pointer is to memory for one such object.
        let errno = unsafe { libc::posix_spawnattr_init(raw.as_mut_ptr()) };
        check("posix_spawnattr_init", errno)?;
        // SAFETY: the call above succeeded and has initialised it. It holds no pointer to itself,
        // so it may move.
        let mut attributes = Self(unsafe { raw.assume_init() });
        attributes.signals(mask, ignored)?;
        attributes.flags(group)?;
        Ok(attributes)
    }

    /// Sets every disposition to its default, except those that stay ignored, and the mask.
    fn signals(&mut self, mask: Mask, ignored: u64) -> Result<(), Fault> {
        // Not by sigfillset, which leaves out 32 and 33: glibc ignores in the child what is left
        // out of them.
        // SAFETY: a signal set is a plain array of bits, of which any combination is a value.
        let every: libc::sigset_t =
            unsafe { std::mem::transmute([u8::MAX; size_of::<libc::sigset_t>()]) };
        // SAFETY: as above.
        let none: libc::sigset_t = unsafe { std::mem::zeroed() };
        let mut default = every;
        // Never 32 and 33, for the same reason.
        for number in (1..=64).filter(|number| !matches!(number, 32 | 33)) {
            if ignored & (1_u64 << (number - 1)) != 0 {
                // SAFETY: a signal set, and a number that is one of a signal.
                unsafe { libc::sigdelset(&raw mut default, number) };
            }
        }
        // SAFETY: initialised attributes and a signal set, of which a copy is made.
        let errno =
            unsafe { libc::posix_spawnattr_setsigdefault(&raw mut self.0, &raw const default) };
        check("posix_spawnattr_setsigdefault", errno)?;
        let mask = match mask {
            Mask::Empty => none,
            Mask::Full => every,
        };
        // SAFETY: as above.
        let errno = unsafe { libc::posix_spawnattr_setsigmask(&raw mut self.0, &raw const mask) };
        check("posix_spawnattr_setsigmask", errno)
    }

    fn flags(&mut self, group: Group) -> Result<(), Fault> {
        let own_group = match group {
            Group::Inherit => 0,
            // The attribute's group is 0 from its initialisation: the child's own number.
            Group::Lead => libc::POSIX_SPAWN_SETPGROUP,
            Group::Session => c_int::from(libc::POSIX_SPAWN_SETSID as c_short),
        };
        let flags = libc::POSIX_SPAWN_SETSIGDEF | libc::POSIX_SPAWN_SETSIGMASK | own_group;
        // SAFETY: initialised attributes and a plain number.
        let errno = unsafe { libc::posix_spawnattr_setflags(&raw mut self.0, flags as c_short) };
        check("posix_spawnattr_setflags", errno)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised, and used no more.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}
