//! Fatal signals: where the program was, told before it dies of it.
//!
//! The handler runs on the thread that crashed, on a stack of its own, and does only what may be
//! done there (signal-safety(7)): it walks the stack into a static array, sends the addresses as
//! one packet, wakes the watcher, and gives it some seconds to add the names. Then it puts the default
//! action back, so that the process dies of the true signal, with a core dump where the system
//! makes one. Names need memory, and the crash may have happened inside the allocator: that is why
//! another thread makes them, and why the addresses go first.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::io::Write;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};
use std::time::Duration;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

use super::link::Link;
use crate::wire::control::INLINE_MAX;
use crate::wire::frame::{CRASH_FIXED, CRASH_FRAMES, Kind};
use crate::wire::text::cut;

const SIGNALS: [i32; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
];

/// Room for the handler. The standard library's own is too small to walk a stack on where the
/// processor's registers are wide.
const STACK: usize = 128 * 1024;

/// How long the process waits for the names: the symbols of a large program are read from its
/// file. Only when the crash has happened inside the allocator is it ever waited for in vain.
const NAMES_WITHIN: Duration = Duration::from_secs(5);

const NONE: u32 = 0;
const CAUGHT: u32 = 1;
const RECORDED: u32 = 2;
const NAMED: u32 = 3;

static STATE: AtomicU32 = AtomicU32::new(NONE);
static FRAMES: Frames = Frames {
    count: AtomicUsize::new(0),
    addresses: UnsafeCell::new([0; CRASH_FRAMES]),
};

struct Frames {
    count: AtomicUsize,
    addresses: UnsafeCell<[usize; CRASH_FRAMES]>,
}

// SAFETY: written only by the one thread that moved STATE from NONE to CAUGHT, and read by others
// only after it has moved STATE to RECORDED.
unsafe impl Sync for Frames {}

/// From now on a fatal signal on any thread is told to the app.
pub(super) fn install() {
    // The job runs on this thread: it gets a stack on which a crash can be looked at, also when
    // the crash is that its own stack is used up.
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice.
    let stack = unsafe {
        mmap_anonymous(
            std::ptr::null_mut(),
            STACK,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::PRIVATE,
        )
    };
    if let Ok(stack) = stack {
        let stack = libc::stack_t {
            ss_sp: stack,
            ss_flags: 0,
            ss_size: STACK,
        };
        // SAFETY: the mapping is never undone.
        unsafe { libc::sigaltstack(&stack, std::ptr::null_mut()) };
    }
    for signal in SIGNALS {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: all zeroes is a valid sigaction: default action, empty mask.
        let action = unsafe { action.assume_init_mut() };
        action.sa_sigaction = handle as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: the handler has the signature that SA_SIGINFO asks for.
        unsafe { libc::sigaction(signal, action, std::ptr::null_mut()) };
    }
}

extern "C" fn handle(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let first = STATE
        .compare_exchange(NONE, CAUGHT, AcqRel, Acquire)
        .is_ok();
    if first {
        if let Some(link) = Link::get() {
            record(link, signal, info);
        }
    } else {
        // Another thread is dying of the same; or this one did again, while it told of it.
        sleep_until_named();
    }
    die_of(signal, info);
}

fn record(link: &'static Link, signal: i32, info: *mut libc::siginfo_t) {
    // SAFETY: only this thread writes, see `Frames`.
    let addresses = unsafe { &mut *FRAMES.addresses.get() };
    let mut count = 0;
    // SAFETY: not synchronized with other walks; the state above lets one thread in.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            addresses[count] = frame.ip() as usize;
            count += 1;
            count < CRASH_FRAMES
        });
    }
    FRAMES.count.store(count, Relaxed);

    // SAFETY: with SA_SIGINFO the kernel hands over a valid siginfo.
    let code = unsafe { (*info).si_code };
    // SAFETY: as above.
    let info = unsafe { &*info };
    // SAFETY: for signals without an address it is some other number.
    let address = unsafe { info.si_addr() } as u64;
    let mut packet = [0u8; CRASH_FIXED + CRASH_FRAMES * 8];
    let mut rest = &mut packet[..];
    let _ = rest.write_all(&signal.to_le_bytes());
    let _ = rest.write_all(&code.to_le_bytes());
    let _ = rest.write_all(&address.to_le_bytes());
    let _ = rest.write_all(&[u8::from(std::thread::panicking()), count as u8]);
    for address in &addresses[..count] {
        let _ = rest.write_all(&(*address as u64).to_le_bytes());
    }
    link.send(Kind::Crash, &packet[..CRASH_FIXED + count * 8]);
    STATE.store(RECORDED, Release);
    link.wake_watcher();
    sleep_until_named();
}

fn sleep_until_named() {
    const STEP: Duration = Duration::from_millis(5);
    for _ in 0..NAMES_WITHIN.as_millis() / STEP.as_millis() {
        if STATE.load(Acquire) == NAMED {
            return;
        }
        std::thread::sleep(STEP);
    }
}

/// Puts the default action back. A fault happens again when the handler returns; a signal that
/// somebody sent is sent again.
fn die_of(signal: i32, info: *mut libc::siginfo_t) {
    // SAFETY: SIG_DFL is always a valid action.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    // SAFETY: as in `record`.
    let sent = unsafe { (*info).si_code } <= 0;
    if sent {
        // SAFETY: has no precondition. The signal is blocked until the handler returns.
        unsafe { libc::raise(signal) };
    }
}

/// In the watcher: adds the names, once there are addresses.
pub(super) fn name_frames(link: &Link) {
    if STATE.load(Acquire) != RECORDED {
        return;
    }
    let count = FRAMES.count.load(Relaxed);
    // SAFETY: RECORDED was seen: the array is written and nobody writes it again.
    let addresses = unsafe { &(&*FRAMES.addresses.get())[..count] };
    let text = cut(names(addresses), INLINE_MAX - "…".len());
    link.send(Kind::CrashFrames, text.as_bytes());
    STATE.store(NAMED, Release);
}

/// The frames as text, one or more lines each. What stands before the place of the crash (the
/// handler and the kernel's trampoline) and behind the job is left out where it can be told.
fn names(addresses: &[usize]) -> String {
    let mut lines: Vec<(String, String)> = Vec::new();
    for &address in addresses {
        // The address is that of the next instruction: the one before is in the call.
        let inside = address.saturating_sub(1) as *mut std::ffi::c_void;
        let mut named = false;
        backtrace::resolve(inside, |symbol| {
            named = true;
            let name = symbol
                .name()
                .map_or_else(|| "?".to_owned(), |name| format!("{name:#}"));
            let place = match (symbol.filename(), symbol.lineno()) {
                (Some(file), Some(line)) => format!("\n             at {}:{line}", file.display()),
                _ => String::new(),
            };
            lines.push((name, place));
        });
        if !named {
            lines.push((format!("{address:#x}"), String::new()));
        }
    }
    let handler = concat!(module_path!(), "::handle");
    let skip = lines
        .iter()
        .position(|(name, _)| name.starts_with(handler))
        // The trampoline has no name of its own everywhere.
        .map_or(0, |at| at + 2)
        .min(lines.len());
    let run = concat!(module_path!(), "::run_job").replace("crash", "answer");
    let end = lines
        .iter()
        .position(|(name, _)| name.starts_with(&run))
        .unwrap_or(lines.len())
        .max(skip);
    lines[skip..end]
        .iter()
        .enumerate()
        .map(|(index, (name, place))| format!("{index:4}: {name}{place}\n"))
        .collect()
}
