//! Fatal signals: the app is sent the backtrace before the process dies.
//!
//! The handler runs on the thread that crashed, on a stack of its own, and calls only what may be called there
//! (signal-safety(7)): it walks the stack into a static array, sends the addresses as one packet, wakes the watcher,
//! and gives it some seconds to add the names. Then it restores the default action, so that the process dies of the
//! same signal, with a core dump where the system makes one. Looking up names takes memory, and the crash may have
//! happened inside the allocator: therefore another thread does that, and the addresses are sent first.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::io::Write;
use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering::*};
use std::time::Duration;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

use super::link::Link;
use super::modules::Modules;
use crate::wire::control::INLINE_MAX;
use crate::wire::frame::{CRASH_FIXED, CRASH_FRAMES, CRASH_PANICKING, CRASH_STACK_OVERFLOW, Kind};
use crate::wire::limits::cut;

const SIGNALS: [i32; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
];

/// The size of the handler's stack. The standard library's own is too small to walk a stack on where the processor's
/// registers are wide.
const STACK: usize = 128 * 1024;

/// How long the process waits for the names: the symbols of a large program are read from its file. If the crash has
/// happened inside the allocator, they may never come.
const NAMES_WITHIN: Duration = Duration::from_secs(5);

/// How far from the stack pointer an access that overflows the stack may be.
const NEAR: u64 = 64 * 1024;

const NONE: u32 = 0;
const CAUGHT: u32 = 1;
const RECORDED: u32 = 2;
const NAMED: u32 = 3;

static STATE: AtomicU32 = AtomicU32::new(NONE);
/// The thread that crashed first, and its signal.
static THREAD: AtomicI32 = AtomicI32::new(0);
static SIGNAL: AtomicI32 = AtomicI32::new(0);
/// The upper end of the stack on which the first crash is reported.
static EMERGENCY: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
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

/// Has fatal signals on all threads reported to the app from now on.
pub(super) fn install() {
    // The job runs on this thread. It gets a signal stack, so that an overflow of its own stack can be handled. Other
    // threads have the standard library's, if any, which is large enough to get onto the emergency stack.
    if let Some(stack) = new_stack() {
        let stack = libc::stack_t {
            ss_sp: stack,
            ss_flags: 0,
            ss_size: STACK,
        };
        // SAFETY: the mapping is never undone.
        unsafe { libc::sigaltstack(&stack, null_mut()) };
    }
    if let Some(stack) = new_stack() {
        EMERGENCY.store(stack.wrapping_byte_add(STACK), Release);
    }
    // What the unwinder does at its first use (binding symbols, for one) is done now.
    backtrace::trace(|_| false);
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

fn new_stack() -> Option<*mut c_void> {
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a fresh anonymous mapping at an address of the kernel's choice.
    unsafe { mmap_anonymous(null_mut(), STACK, access, MapFlags::PRIVATE) }.ok()
}

/// What the kernel passes to a handler.
struct Crash {
    link: &'static Link,
    signal: i32,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
}

extern "C" fn handle(mut signal: i32, info: *mut libc::siginfo_t, context: *mut c_void) {
    let thread = rustix::thread::gettid().as_raw_nonzero().get();
    let first = STATE
        .compare_exchange(NONE, CAUGHT, AcqRel, Acquire)
        .is_ok();
    if first {
        SIGNAL.store(signal, Relaxed);
        THREAD.store(thread, Relaxed);
        if let Some(link) = Link::get() {
            let crash = Crash {
                link,
                signal,
                info,
                context,
            };
            on_stack((&raw const crash).cast(), EMERGENCY.load(Acquire), record);
        }
    } else if THREAD.load(Relaxed) == thread {
        // The report itself has crashed.
        signal = SIGNAL.load(Relaxed);
    } else {
        // Another thread crashed first.
        sleep_until_named();
    }
    die_of(signal, info);
}

/// Calls a function on another stack, if there is one. The directives let the unwinder find the way back.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
extern "C" fn on_stack_at(
    argument: *const c_void,
    top: *mut c_void,
    call: extern "C" fn(*const c_void),
) {
    std::arch::naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "mov rsp, rsi",
        "call rdx",
        "mov rsp, rbp",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
    )
}

fn on_stack(argument: *const c_void, top: *mut c_void, call: extern "C" fn(*const c_void)) {
    #[cfg(target_arch = "x86_64")]
    if !top.is_null() {
        return on_stack_at(argument, top, call);
    }
    let _ = top;
    call(argument);
}

/// The instruction that crashed, and the stack pointer. 0 where that is not known.
fn registers(context: *const c_void) -> (u64, u64) {
    let context = context.cast::<libc::ucontext_t>();
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: with SA_SIGINFO the kernel passes a valid context.
        let registers = unsafe { &(*context).uc_mcontext.gregs };
        let register = |which: libc::c_int| registers[which as usize] as u64;
        (register(libc::REG_RIP), register(libc::REG_RSP))
    }
    #[cfg(target_arch = "aarch64")]
    {
        // SAFETY: with SA_SIGINFO the kernel passes a valid context.
        let registers = unsafe { &(*context).uc_mcontext };
        (registers.pc, registers.sp)
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        let _ = context;
        (0, 0)
    }
}

extern "C" fn record(crash: *const c_void) {
    // SAFETY: `handle` passes one that lives until this returns.
    let crash = unsafe { &*crash.cast::<Crash>() };
    // SAFETY: with SA_SIGINFO the kernel passes a valid siginfo.
    let info = unsafe { &*crash.info };
    // SAFETY: for signals without an address it is some other number.
    let address = unsafe { info.si_addr() } as u64;
    let (instruction, stack_pointer) = registers(crash.context);
    let mut flags = 0;
    if std::thread::panicking() {
        flags |= CRASH_PANICKING;
    }
    let is_fault = crash.signal == libc::SIGSEGV && info.si_code > 0;
    if is_fault && stack_pointer != 0 && address.abs_diff(stack_pointer) < NEAR {
        flags |= CRASH_STACK_OVERFLOW;
    }
    let mut packet = [0u8; CRASH_FIXED + CRASH_FRAMES * 8];
    let mut send = |addresses: &[usize]| {
        let mut rest = &mut packet[..];
        let _ = rest.write_all(&crash.signal.to_le_bytes());
        let _ = rest.write_all(&info.si_code.to_le_bytes());
        let _ = rest.write_all(&address.to_le_bytes());
        let _ = rest.write_all(&[flags, addresses.len() as u8]);
        for address in addresses {
            let _ = rest.write_all(&(*address as u64).to_le_bytes());
        }
        let length = CRASH_FIXED + addresses.len() * 8;
        crash.link.send(Kind::Crash, &packet[..length]);
    };
    // Before the stack is walked, which may crash.
    send(&[instruction as usize]);

    // SAFETY: only this thread writes, see `Frames`.
    let addresses = unsafe { &mut *FRAMES.addresses.get() };
    let mut count = 0;
    // SAFETY: not synchronized with other walks; the state lets one thread in.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            addresses[count] = frame.ip() as usize;
            count += 1;
            count < CRASH_FRAMES
        });
    }
    send(&addresses[..count]);
    FRAMES.count.store(count, Relaxed);
    STATE.store(RECORDED, Release);
    crash.link.wake_watcher();
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

/// Restores the default action, and raises the signal again, with all that is known of it. Returning alone would not do:
/// a trap (an int3, SECCOMP_RET_TRAP) is over, and another thread may have repaired what a fault was about.
fn die_of(signal: i32, info: *mut libc::siginfo_t) {
    // SAFETY: SIG_DFL is always a valid action.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
    let process = std::process::id();
    let thread = rustix::thread::gettid().as_raw_nonzero().get();
    // SAFETY: takes numbers and a valid siginfo, and has no other precondition. The signal is blocked until the handler
    // returns.
    unsafe { libc::syscall(libc::SYS_rt_tgsigqueueinfo, process, thread, signal, info) };
}

/// Called by the watcher: sends the names, once there are addresses.
pub(super) fn name_frames(link: &Link) {
    if STATE.load(Acquire) != RECORDED {
        return;
    }
    let count = FRAMES.count.load(Relaxed);
    // SAFETY: the state is RECORDED: the array was written, and is never written again.
    let addresses = unsafe { &(&*FRAMES.addresses.get())[..count] };
    let text = cut(of_crash(addresses), INLINE_MAX - "…".len());
    link.send(Kind::CrashFrames, text.as_bytes());
    STATE.store(NAMED, Release);
}

/// The frames of a crash as text. Those of the handler and of the kernel's trampoline, and those that called the job, are
/// left out where they can be recognized.
fn of_crash(addresses: &[usize]) -> String {
    let (lines, legend) = names(addresses);
    let handler = concat!(module_path!(), "::handle");
    let skip = lines
        .iter()
        .position(|(name, _)| name.starts_with(handler))
        // The trampoline does not have a name everywhere.
        .map_or(0, |handler| handler + 2)
        .min(lines.len());
    let run = concat!(module_path!(), "::run_job").replace("crash", "answer");
    let end = lines
        .iter()
        .position(|(name, _)| name.starts_with(&run))
        .unwrap_or(lines.len())
        .max(skip);
    text(&lines[skip..end]) + &legend
}

/// The frames of this thread as text, for a panic whose own backtrace has no names.
pub(super) fn here() -> String {
    let mut addresses = Vec::new();
    backtrace::trace(|frame| {
        addresses.push(frame.ip().addr());
        addresses.len() < CRASH_FRAMES
    });
    let (lines, legend) = names(&addresses);
    text(&lines) + &legend
}

/// A frame's name, and where it is in the source.
type Line = (String, String);

/// The frames with their names, one or more lines each. A frame without one has its module, which the text that is also
/// returned describes.
fn names(addresses: &[usize]) -> (Vec<Line>, String) {
    let mut lines = Vec::new();
    let mut modules = Modules::default();
    for &address in addresses {
        // A return address is that of the next instruction: one byte before it is inside the call.
        let inside = address.saturating_sub(1);
        let mut named = false;
        backtrace::resolve(inside as *mut c_void, |symbol| {
            named = true;
            let name = symbol.name();
            let name = name.map_or_else(|| modules.place(inside), |name| format!("{name:#}"));
            let at = match (symbol.filename(), symbol.lineno()) {
                (Some(file), Some(line)) => format!("\n             at {}:{line}", file.display()),
                _ => String::new(),
            };
            lines.push((name, at));
        });
        if !named {
            lines.push((modules.place(inside), String::new()));
        }
    }
    (lines, modules.legend())
}

fn text(lines: &[Line]) -> String {
    let numbered = lines.iter().enumerate();
    numbered
        .map(|(index, (name, at))| format!("{index:4}: {name}{at}\n"))
        .collect()
}
