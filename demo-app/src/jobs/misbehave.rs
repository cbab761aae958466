//! Jobs that fail on purpose, each in a way that would end the whole app if it ran there.
//!
//! Each works normally for a while first, so that the window shows it running.

use std::{
    thread,
    time::{Duration, Instant},
};

use legwork::{Ctx, Job};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::error::JobError;

/// The job: works normally for a while, then fails.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Misbehave {
    /// How it fails.
    pub misdeed: Misdeed,
    /// How long it works normally before.
    pub after: Duration,
}

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Misdeed {
    /// A Rust panic.
    Panic,
    /// `abort(3)`, as failed assertions of C libraries do.
    Abort,
    /// A write to memory that is not there.
    MemoryFault,
    /// The process exits with code 0, but without a result.
    Exit,
    /// It neither continues nor checks whether it is cancelled.
    Hang,
    /// It allocates memory up to its limit.
    OutOfMemory,
}

impl Misdeed {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Panic,
        Self::Abort,
        Self::MemoryFault,
        Self::Exit,
        Self::Hang,
        Self::OutOfMemory,
    ];
}

/// How much more memory than at its start the job may allocate.
const MEMORY_LIMIT: u64 = 512 << 20;

impl Job for Misbehave {
    type Message = ();
    type Output = ();
    type Error = JobError;

    fn run(self, cx: &Ctx<Self>) -> Result<(), JobError> {
        log::info!("Working normally for {:.1} s", self.after.as_secs_f64());
        work_normally(cx, self.after)?;
        log::warn!("About to misbehave: {:?}", self.misdeed);
        match self.misdeed {
            Misdeed::Panic => panic!("this job panics on purpose"),
            Misdeed::Abort => std::process::abort(),
            Misdeed::MemoryFault => write_to_unmapped_memory(),
            Misdeed::Exit => std::process::exit(0),
            Misdeed::Hang => loop {
                cx.set_text("Waiting for an event that never happens");
                thread::sleep(Duration::from_secs(3600));
            },
            Misdeed::OutOfMemory => allocate(cx),
        }
    }
}

fn work_normally(cx: &Ctx<Misbehave>, time: Duration) -> Result<(), JobError> {
    let start = Instant::now();
    let steps = u64::try_from(time.as_millis() / 20)
        .unwrap_or(u64::MAX)
        .max(1);
    cx.set_total(steps);
    cx.set_text("Working normally");
    for step in 1..=steps {
        cx.check()?;
        thread::sleep((start + time.mul_f64(step as f64 / steps as f64)) - Instant::now());
        cx.set_done(step);
    }
    Ok(())
}

#[expect(unsafe_code, reason = "the fault is the point")]
#[inline(never)]
fn write_to_unmapped_memory() -> ! {
    // The first page is never mapped (vm.mmap_min_addr). A null pointer would be caught by the checks of a debug build,
    // and end as an abort.
    let unmapped = std::ptr::without_provenance_mut::<u8>(16);
    // SAFETY: there is none. No object of this process is touched, as there is no memory there: the
    // kernel answers with SIGSEGV, and that ends this worker.
    unsafe { unmapped.write_volatile(1) };
    unreachable!("there is memory at address 16")
}

/// Allocates and writes memory up to a limit of its own, so that the demonstration does not use up the computer's
/// memory. The failure is the same as without that limit.
fn allocate(cx: &Ctx<Misbehave>) -> Result<(), JobError> {
    const CHUNK: usize = 16 << 20;
    let limit = MEMORY_LIMIT + virtual_memory()?;
    let before = getrlimit(Resource::As);
    setrlimit(
        Resource::As,
        Rlimit {
            current: Some(limit),
            maximum: before.maximum,
        },
    )?;
    cx.set_total(MEMORY_LIMIT);
    cx.set_done(0);
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    loop {
        cx.check()?;
        chunks.push(vec![1; CHUNK]);
        let bytes = (chunks.len() * CHUNK) as u64;
        cx.set_done(bytes);
        cx.set_text(format!("{} MB of memory allocated", bytes >> 20));
        thread::sleep(Duration::from_millis(30));
    }
}

/// The size of this process's address space in bytes: proc(5), `statm`.
fn virtual_memory() -> Result<u64, JobError> {
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = statm.split(' ').next().unwrap_or_default().parse()?;
    Ok(pages * rustix::param::page_size() as u64)
}
